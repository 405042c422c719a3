"""CAST: which conversion serves two types, and nested types part by part."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions import cast_date_time, cast_interval, cast_numeric, cast_string
from voltray.executors.functions.casting import Casting, Conversion
from voltray.executors.functions.evaluation import NEVER, Evaluation
from voltray.executors.functions.to_string import TextStyle, entries_of, text_of
from voltray.proto.expressions import EvalMode
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    ArrayType,
    CharType,
    DataType,
    MapType,
    NullType,
    StringType,
    StructType,
    UserDefinedType,
    VarcharType,
    VariantType,
    carrier,
    same_type,
    struct_carrier_names,
    type_name,
)  # fmt: skip

_TEXT = (StringType, CharType, VarcharType)

CASTS: dict[tuple[type[DataType], type[DataType]], Conversion] = {
    **cast_numeric.CASTS,
    **cast_string.CASTS,
    **cast_date_time.CASTS,
    **cast_interval.CASTS,
}


def cast(evaluation: Evaluation, value: pl.Expr, source: DataType, target: DataType, mode: EvalMode) -> pl.Expr:
    """Values of one type as another."""
    if same_type(source, target):
        return value
    if isinstance(source, NullType):
        return value.cast(carrier(target))
    if isinstance(source, UserDefinedType):
        return cast(evaluation, value, source.sqlType(), target, mode)
    if isinstance(source, VariantType) or isinstance(target, VariantType):
        from voltray.executors.functions import cast_variant

        return cast_variant.cast(evaluation, value, source, target, mode)
    if isinstance(target, _TEXT):
        legacy = not evaluation.context.ansi
        return text_of(TextStyle(evaluation.context.time_zone, java_decimals=legacy), source, value)
    if isinstance(source, (CharType, VarcharType)):
        source = StringType()
    if isinstance(target, (ArrayType, MapType, StructType)) and type(source) is type(target):
        return _nested(evaluation, value, source, target, mode)
    conversion = CASTS.get((type(source), type(target)))
    if conversion is None:
        raise spark_error(
            "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
            ErrorKind.ANALYSIS,
            sqlExpr="CAST",
            srcType=type_name(source),
            targetType=type_name(target),
        )
    return conversion(Casting(evaluation, source, target, mode), value)


def _nested(evaluation: Evaluation, value: pl.Expr, source: DataType, target: DataType, mode: EvalMode) -> pl.Expr:
    """Part by part; rows that Spark would not reach are NULL from the start, so that their parts can't raise."""
    guard = evaluation.guard
    if guard is not None and guard is not NEVER:
        value = pl.when(guard).then(value)
        evaluation = Evaluation(evaluation.call, evaluation.context, None, evaluation.compiler)
    match source, target:
        case (ArrayType(), ArrayType()):
            element = cast(evaluation, pl.element(), source.elementType, target.elementType, mode)
            return value.list.eval(element)
        case (MapType(), MapType()) if isinstance(source.keyType, NullType):
            return pl.when(value.is_not_null()).then(pl.lit(pl.Series([{}], dtype=carrier(target))).first())
        case (MapType(), MapType()):
            entry = pl.element().struct
            key = cast(evaluation, entry.field("key"), source.keyType, target.keyType, mode)
            item = cast(evaluation, entry.field("value"), source.valueType, target.valueType, mode)
            parts = pl.struct(key.alias("key"), item.alias("value"))
            return entries_of(source, value).list.eval(parts).cast(carrier(target))
        case (StructType(), StructType()):
            return _structs(evaluation, value, source, target, mode)
    raise AssertionError(f"{source} and {target} are not nested alike")


def _structs(evaluation: Evaluation, value: pl.Expr, source: StructType, target: StructType, mode: EvalMode) -> pl.Expr:
    names = zip(struct_carrier_names(source), struct_carrier_names(target), strict=True)
    fields = zip(names, source.fields, target.fields, strict=True)
    parts = [
        cast(evaluation, value.struct.field(old), a.dataType, b.dataType, mode).alias(new)
        for (old, new), a, b in fields
    ]
    return pl.when(value.is_not_null()).then(pl.struct(parts))
