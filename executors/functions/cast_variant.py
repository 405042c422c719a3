"""Casts to and from variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import Evaluation, EvaluationContext, Rows
from voltray.executors.functions.variant_encoding import Day, Instant, LocalTime, Single, decode, encode, to_text
from voltray.executors.literals import internal_values, series_of
from voltray.proto.expressions import Attribute, Cast, EvalMode
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BINARY,
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    LONG,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    VARIANT,
    ArrayType,
    DataType,
    DateType,
    DecimalType,
    FloatType,
    MapType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    VariantType,
    carrier,
    struct_carrier_names,
    type_name,
)  # fmt: skip

_SCALAR_TYPES: dict[type, DataType] = {
    bool: BOOLEAN, int: LONG, float: DOUBLE, Single: FLOAT, str: STRING, bytes: BINARY, Day: DATE, Instant: TIMESTAMP,
    LocalTime: TIMESTAMP_NTZ,
}  # fmt: skip


def cast(evaluation: Evaluation, value: pl.Expr, source: DataType, target: DataType, mode: EvalMode) -> pl.Expr:
    """A cast between a variant and another type."""
    if isinstance(source, VariantType) and isinstance(target, VariantType):
        return value
    if isinstance(source, VariantType):
        return from_variants(evaluation, value, target, mode is EvalMode.ANSI)
    return evaluation.columnwise(lambda rows, column: to_variants(column, source), value, dtype=carrier(VARIANT))


# ---- from ------------------------------------------------------------------------------------------
def _invalid(text: str, target: DataType) -> SparkError:
    return spark_error("INVALID_VARIANT_CAST", ErrorKind.RUNTIME, value=text, dataType=type_name(target))


def from_variants(evaluation: Evaluation, value: pl.Expr, target: DataType, strict: bool) -> pl.Expr:
    """Variants as a type; a value that is none of it is an error or NULL."""

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return converted(rows, decoded(column), target, evaluation.context, strict)

    return evaluation.columnwise(run, value, dtype=carrier(target))


def decoded(column: pl.Series) -> list[Any]:
    """Each variant as a Python value, None for NULL and for the variant null."""
    values = [column.struct.field(n).to_list() for n in ("value", "metadata")]
    return [None if v is None or m is None else decode(v, m) for v, m in zip(*values, strict=True)]


def converted(
    rows: Rows, values: Sequence[Any], target: DataType, context: EvaluationContext, strict: bool
) -> pl.Series:
    """Decoded variants as a column of a type."""
    found, bad = VariantColumns(context).column(values, target)
    if bad.any():
        if strict:
            row = rows.first(pl.Series(bad))
            if row is not None:
                raise _invalid(to_text(values[row], context.time_zone), target)
        found = found.zip_with(pl.Series(~bad), pl.Series([None], dtype=found.dtype))
    return found


@dataclass(frozen=True, slots=True)
class VariantColumns:
    """Turns decoded variants into columns, one field of all values at a time."""

    context: EvaluationContext

    def column(self, values: Sequence[Any], target: DataType) -> tuple[pl.Series, np.ndarray]:
        """The values as a column, and which of them do not fit."""
        match target:
            case VariantType():
                return series_of([None if v is None else encode(v) for v in values], VARIANT), _none(values)
            case StructType():
                return self._struct(values, target)
            case ArrayType():
                return self._array(values, target)
            case MapType():
                return self._map(values, target)
            case StringType():
                values = [to_text(v, self.context.time_zone) if isinstance(v, (dict, list)) else v for v in values]
        return self._scalars(values, target)

    def _scalars(self, values: Sequence[Any], target: DataType) -> tuple[pl.Series, np.ndarray]:
        result = pl.Series([None], dtype=carrier(target)).new_from_index(0, len(values))
        given = np.array([v is not None for v in values], dtype=bool)
        kinds = [None if v is None or isinstance(v, (dict, list)) else _type_of(v) for v in values]
        for kind in {k.simpleString(): k for k in kinds if k is not None}.values():
            mine = np.array([k == kind for k in kinds], dtype=bool)
            plain = [_plain(v) for v, m in zip(values, mine, strict=True) if m]
            cast_values = _cast(series_of(plain, kind), kind, target, self.context)
            indices = np.full(len(values), -1)
            indices[mine] = np.arange(len(plain))
            result = lists.take(cast_values, indices).zip_with(pl.Series(mine), result)
        return result, given & result.is_null().to_numpy()

    def _struct(self, values: Sequence[Any], target: StructType) -> tuple[pl.Series, np.ndarray]:
        known = np.array([isinstance(v, dict) for v in values], dtype=bool)
        bad = ~known & np.array([v is not None for v in values], dtype=bool)
        columns = []
        for name, field in zip(struct_carrier_names(target), target.fields, strict=True):
            inner, wrong = self.column(
                [v.get(field.name) if isinstance(v, dict) else None for v in values], field.dataType
            )
            bad |= wrong
            columns.append(inner.alias(name))
        whole = pl.DataFrame(columns).to_struct("struct")
        return whole.zip_with(pl.Series(known), pl.Series([None], dtype=whole.dtype)), bad

    def _array(self, values: Sequence[Any], target: ArrayType) -> tuple[pl.Series, np.ndarray]:
        known = np.array([isinstance(v, list) for v in values], dtype=bool)
        items, wrong = self.column([x for v in values if isinstance(v, list) for x in v], target.elementType)
        lengths = np.array([len(v) if isinstance(v, list) else 0 for v in values], dtype=np.int64)
        return lists.build(items, lengths, known), _spread(values, known, lengths, wrong)

    def _map(self, values: Sequence[Any], target: MapType) -> tuple[pl.Series, np.ndarray]:
        known = np.array([isinstance(v, dict) for v in values], dtype=bool)
        held = [v if isinstance(v, dict) else {} for v in values]
        lengths = np.array([len(v) for v in held], dtype=np.int64)
        keys = series_of([k for v in held for k in v], STRING)
        items, wrong = self.column([x for v in held for x in v.values()], target.valueType)
        pairs = pl.DataFrame([keys.alias("key"), items.alias("value")]).to_struct("entry")
        return lists.build(pairs, lengths, known).list.to_map(), _spread(values, known, lengths, wrong)


def _none(values: Sequence[Any]) -> np.ndarray:
    return np.zeros(len(values), dtype=bool)


def _spread(values: Sequence[Any], known: np.ndarray, lengths: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    bad = ~known & np.array([v is not None for v in values], dtype=bool)
    bad[np.repeat(np.arange(len(lengths)), lengths)[wrong]] = True
    return bad  # type: ignore[no-any-return]


def _type_of(value: Any) -> DataType:
    if isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        scale = max(-int(exponent), 0)
        return DecimalType(max(len(digits), scale, 1), scale)
    return _SCALAR_TYPES[type(value)]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, (Day, Instant, LocalTime)) else value


def _cast(column: pl.Series, source: DataType, target: DataType, context: EvaluationContext) -> pl.Series:
    from voltray.executors.compiler import compile_expression
    from voltray.proto.coercion import can_cast

    if source == target:
        return column
    if not can_cast(source, target, True):
        return pl.Series([None], dtype=carrier(target)).new_from_index(0, len(column))
    attribute = Attribute(-1, "value", source)
    expression = compile_expression(Cast(attribute, target, True, EvalMode.TRY), context)
    return column.to_frame(attribute.column).select(expression.alias("cast")).to_series()


# ---- to --------------------------------------------------------------------------------------------
def to_variants(column: pl.Series, source: DataType) -> pl.Series:
    """A column of any type as variants."""
    values = internal_values(column, source)
    return series_of([None if v is None else encode(variant_value(v, source)) for v in values], VARIANT)


def variant_value(value: Any, dtype: DataType) -> Any:
    """An internal value as a value to encode."""
    if value is None:
        return None
    match dtype:
        case ArrayType():
            return [variant_value(v, dtype.elementType) for v in value]
        case MapType():
            return {str(k): variant_value(v, dtype.valueType) for k, v in value}
        case StructType():
            return {f.name: variant_value(v, f.dataType) for f, v in zip(dtype.fields, value, strict=True)}
        case VariantType():
            return decode(*value)
        case DateType():
            return Day(value)
        case TimestampType():
            return Instant(value)
        case TimestampNTZType():
            return LocalTime(value)
        case FloatType():
            return Single(value)
    return value
