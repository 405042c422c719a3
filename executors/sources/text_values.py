"""Values of text formats: a column of text as any Spark type, NULL where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions import java_parse
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options
from voltray.proto.expressions import Attribute, Cast, EvalMode
from voltray.proto.types import (
    STRING,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NullType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
    carrier,
)  # fmt: skip

_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?$"
_COLUMN = Attribute(-1, "text", STRING)


def try_cast(text: pl.Series, dtype: DataType, context: EvaluationContext) -> pl.Series:
    """Spark's try_cast of a column of text."""
    frame = text.to_frame(_COLUMN.column)
    cast = Cast(_COLUMN, dtype, True, EvalMode.TRY)
    return frame.select(compile_expression(cast, context).alias("value"))["value"]


def parse_text(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    """A column of text as a type, by the rules of CSV."""
    parser = _PARSERS.get(type(dtype))
    if parser is None:
        return try_cast(text, dtype, context).cast(carrier(dtype))
    return parser(text, dtype, options, context)


def _string(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    return text


def _binary(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    return text.cast(pl.Binary)


def _integer(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    target = carrier(dtype)
    direct = text.cast(target, strict=False)
    if direct.null_count() == text.null_count() and not text.str.contains(r"^\s|\s$").any():
        return direct
    valid = text.str.contains(_INTEGER)
    bare = text.str.strip_prefix("+").to_frame("t").select(pl.when(valid).then(pl.col("t")))["t"]
    return bare.cast(target, strict=False)


def _floating(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    names = {
        options.get("nanValue", "NaN"): float("nan"), "NaN": float("nan"),
        options.get("positiveInf", "Inf"): float("inf"), "Infinity": float("inf"), "+Infinity": float("inf"),
        options.get("negativeInf", "-Inf"): float("-inf"), "-Infinity": float("-inf"),
    }  # fmt: skip
    target = carrier(dtype)
    if not text.str.contains(_NUMBER).not_().any():
        return text.str.strip_chars_end("fFdD").cast(target, strict=False)
    bare = text.str.strip_chars()
    column = pl.col("t")
    number = pl.when(column.str.contains(_NUMBER)).then(column.str.strip_chars_end("fFdD")).cast(target, strict=False)
    special = column.replace_strict(list(names), list(names.values()), default=None, return_dtype=target)
    return bare.to_frame("t").select(pl.coalesce(number, special))["t"]


def _boolean(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    lower = pl.col("t").str.to_lowercase()
    value = lower.replace_strict(["true", "false"], [True, False], default=None, return_dtype=pl.Boolean)
    return text.to_frame("t").select(value)["t"]


def _decimal(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    return try_cast(text.str.replace_all(",", "", literal=True), dtype, context)


def _date(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    pattern = options.get("dateFormat")
    if pattern is None:
        return try_cast(text, dtype, context)
    return _by_pattern(text, pattern, None).cast(pl.Date)


def _timestamp(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    pattern = options.get("timestampFormat")
    zone = options.text("timeZone", default=context.time_zone)
    if pattern is None:
        return try_cast(text, dtype, context)
    return _by_pattern(text, pattern, zone).dt.replace_time_zone("UTC")


def _timestamp_ntz(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    pattern = options.get("timestampNTZFormat")
    return try_cast(text, dtype, context) if pattern is None else _by_pattern(text, pattern, None).cast(carrier(dtype))


def _by_pattern(text: pl.Series, pattern: str, zone: str | None) -> pl.Series:
    return java_parse.parse(text, pattern, zone).micros.cast(pl.Datetime("us"))


def _null(text: pl.Series, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Series:
    return pl.Series([None] * len(text), dtype=pl.Null)


_PARSERS: dict[type[DataType], Callable[[pl.Series, DataType, Options, EvaluationContext], pl.Series]] = {
    StringType: _string, BinaryType: _binary, ByteType: _integer, ShortType: _integer, IntegerType: _integer,
    LongType: _integer, FloatType: _floating, DoubleType: _floating, BooleanType: _boolean, DecimalType: _decimal,
    DateType: _date, TimestampType: _timestamp, TimestampNTZType: _timestamp_ntz, NullType: _null,
}  # fmt: skip
