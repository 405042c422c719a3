"""Types of CSV columns from their values."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options
from voltray.executors.sources.text_values import parse_text
from voltray.proto.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    DataType,
    DecimalType,
)  # fmt: skip

_DIGITS = r"^[+-]?[0-9]+$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"


def infer_types(
    batches: Iterable[pl.Series], width: int, options: Options, context: EvaluationContext
) -> list[DataType]:
    """A type for each of the first ``width`` columns of lists of tokens."""
    found: list[list[DataType]] = [[] for _ in range(width)]
    for tokens in batches:
        frame = tokens.to_frame("tokens")
        for i in range(width):
            if STRING not in found[i]:
                column = frame.select(pl.col("tokens").list.get(i, null_on_oob=True))["tokens"]
                found[i] += _kinds(column.drop_nulls().unique(), options, context)
    return [_common(list(dict.fromkeys(kinds))) for kinds in found]


def _kinds(values: pl.Series, options: Options, context: EvaluationContext) -> list[DataType]:
    """The types among some values; each kind of value is taken out as it is recognised."""
    found: list[DataType] = []
    for recognise in (_numbers, _dates, _timestamps, _booleans):
        if not len(values):
            return found
        kinds, values = recognise(values, options, context)
        found += kinds
    return [*found, STRING] if len(values) else found


def _split(values: pl.Series, parsed: pl.Series) -> tuple[bool, pl.Series]:
    known = parsed.is_not_null()
    return bool(known.any()), values.filter(~known)


def _numbers(values: pl.Series, options: Options, context: EvaluationContext) -> tuple[list[DataType], pl.Series]:
    kinds: list[DataType] = []
    for dtype in (INTEGER, LONG):
        known, values = _split(values, parse_text(values, dtype, options, context))
        kinds += [dtype] if known else []
    digits = values.filter(values.str.contains(_DIGITS))
    lengths = digits.str.strip_chars_start("+-0").str.len_chars()
    if len(digits) and (lengths.max() or 0) <= 38:  # type: ignore[operator]
        kinds.append(DecimalType(int(lengths.max() or 1), 0))  # type: ignore[arg-type]
        values = values.filter(~values.str.contains(_DIGITS))
    known, values = _split(values, parse_text(values, DOUBLE, options, context))
    return kinds + ([DOUBLE] if known else []), values


def _dates(values: pl.Series, options: Options, context: EvaluationContext) -> tuple[list[DataType], pl.Series]:
    if not options.flag("preferDate", True):
        return [], values
    shaped = values if "dateFormat" in options else values.filter(values.str.contains(_DATE))
    if not len(shaped):
        return [], values
    parsed = parse_text(shaped, DATE, options, context)
    dates = shaped.filter(parsed.is_not_null())
    return ([DATE] if len(dates) else []), values.filter(~values.is_in(dates.implode()))


def _timestamps(values: pl.Series, options: Options, context: EvaluationContext) -> tuple[list[DataType], pl.Series]:
    plain = context.conf("spark.sql.timestampType", "TIMESTAMP_LTZ") == "TIMESTAMP_NTZ"
    dtype = TIMESTAMP_NTZ if plain else TIMESTAMP
    shaped = values.filter(values.str.contains(r"\d")) if "timestampFormat" not in options else values
    if not len(shaped):
        return [], values
    found = shaped.filter(parse_text(shaped, dtype, options, context).is_not_null())
    return ([dtype] if len(found) else []), values.filter(~values.is_in(found.implode()))


def _booleans(values: pl.Series, options: Options, context: EvaluationContext) -> tuple[list[DataType], pl.Series]:
    known, rest = _split(values, parse_text(values, BOOLEAN, options, context))
    return ([BOOLEAN] if known else []), rest


def _common(found: list[DataType]) -> DataType:
    if not found:
        return STRING
    if len(found) == 1:
        return found[0]
    numeric = [t for t in found if t in (INTEGER, LONG, DOUBLE) or isinstance(t, DecimalType)]
    if len(numeric) == len(found):
        if DOUBLE in found:
            return DOUBLE
        decimals = [t for t in found if isinstance(t, DecimalType)]
        if not decimals:
            return LONG
        return DecimalType(max([20 if LONG in found else 10, *[d.precision for d in decimals]]), 0)
    temporal = [t for t in found if t in (DATE, TIMESTAMP, TIMESTAMP_NTZ)]
    return max(temporal, key=lambda t: t != DATE) if len(temporal) == len(found) else STRING
