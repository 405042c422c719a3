"""Casts written by a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import eval_mode
from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import mismatch, shown_type
from voltray.driver.analysis.names import literal_name, rope, text_of
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedCast
from voltray.proto.coercion import can_cast, cast_gives_null
from voltray.proto.expressions import Alias, Attribute, Cast, EvalMode, Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    STRING,
    ArrayType,
    CharType,
    DataType,
    DateType,
    MapType,
    NullType,
    NumericType,
    StructField,
    StructType,
    TimestampType,
    VarcharType,
    sql_type,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

# A typed literal (DATE '...') is strict whatever the session says.
_MODES = {"try": EvalMode.TRY, "legacy": EvalMode.LEGACY, "ansi": EvalMode.ANSI, "literal": EvalMode.ANSI}
ANSI_CONF = '"spark.sql.ansi.enabled"'


def resolve_cast(expression: UnresolvedCast, resolver: ExpressionResolver) -> Typed:
    """CAST, TRY_CAST, or a cast under given rules."""
    if expression.mode == "literal":
        return _typed_literal(expression, resolver)
    child = resolver.resolve(expression.child)
    dtype = without_lengths(expression.dtype)
    ansi = resolver.environment.ansi
    mode = _MODES.get(expression.mode or "") or eval_mode(ansi)
    keyword = "TRY_CAST" if mode is EvalMode.TRY else "CAST"
    nested = isinstance(dtype, (ArrayType, MapType, StructType))  # Spark names such a cast by its child alone
    name = child.name if nested else rope(keyword, "(", child.name, " AS ", sql_type(dtype), ")")
    strict = mode is not EvalMode.LEGACY
    if not can_cast(child.dtype, dtype, strict):
        raise _refused(child, dtype, text_of(name), expression, strict)
    field_name = child.field_name if _is_named(child) else None
    resolved = _cast(child.expression, dtype, mode, child)
    if child.dtype == dtype and not isinstance(child.expression, Literal):
        return Typed(child.expression, name, field_name)
    return Typed(resolved, name, field_name)


def _typed_literal(expression: UnresolvedCast, resolver: ExpressionResolver) -> Typed:
    """``DATE '2024-01-31'``: a constant of that type."""
    text, dtype = expression.child, expression.dtype
    assert isinstance(text, Literal)
    environment = resolver.environment
    try:
        value = constant_value(Cast(text, dtype, True, EvalMode.ANSI), environment)
    except SparkError as problem:
        raise spark_error(
            "INVALID_TYPED_LITERAL",
            ErrorKind.PARSE,
            contexts=() if expression.origin is None else (expression.origin,),
            valueType=f'"{sql_type(dtype)}"',
            value=f"'{text.value}'",
        ) from problem
    return Typed(Literal(value, dtype), literal_name(value, dtype, environment.time_zone))


def without_lengths(dtype: DataType) -> DataType:
    """CHAR and VARCHAR are strings once inside an expression."""
    match dtype:
        case CharType() | VarcharType():
            return STRING
        case ArrayType():
            return ArrayType(without_lengths(dtype.elementType), dtype.containsNull)
        case MapType():
            return MapType(without_lengths(dtype.keyType), without_lengths(dtype.valueType), dtype.valueContainsNull)
        case StructType():
            fields = [StructField(f.name, without_lengths(f.dataType), f.nullable, f.metadata) for f in dtype.fields]
            return StructType(fields)
    return dtype


def _is_named(child: Typed) -> bool:
    return child.field_name is not None and not isinstance(child.expression, Literal)


def _cast(expression: Expression, dtype: DataType, mode: EvalMode, child: Typed) -> Expression:
    if isinstance(expression, Alias):
        expression = expression.child
    if isinstance(expression, Literal) and isinstance(expression.dtype, NullType):
        return Literal(None, dtype)
    nullable = mode is EvalMode.TRY or child.nullable or cast_gives_null(child.dtype, dtype)
    return Cast(expression, dtype, nullable, mode)


def _refused(child: Typed, dtype: DataType, sql: str, expression: UnresolvedCast, strict: bool) -> Exception:
    source, origin = child.dtype, expression.origin
    shown = {"srcType": shown_type(source), "targetType": shown_type(dtype)}
    if strict and can_cast(source, dtype, False):
        functions = _functions_instead(source, dtype)
        if functions:
            return mismatch("CAST_WITH_FUNC_SUGGESTION", sql, origin, functionNames=functions, **shown)
        return mismatch("CAST_WITH_CONF_SUGGESTION", sql, origin, config=ANSI_CONF, configVal="'false'", **shown)
    return mismatch("CAST_WITHOUT_SUGGESTION", sql, origin, **shown)


def _functions_instead(source: DataType, target: DataType) -> str:
    if isinstance(source, NumericType) and isinstance(target, TimestampType):
        return "`TIMESTAMP_SECONDS`/`TIMESTAMP_MILLIS`/`TIMESTAMP_MICROS`"
    if isinstance(source, TimestampType) and isinstance(target, NumericType):
        return "`UNIX_SECONDS`/`UNIX_MILLIS`/`UNIX_MICROS`"
    if isinstance(source, DateType) and isinstance(target, NumericType):
        return "`UNIX_DATE`"
    return ""


__all__ = ["Attribute", "resolve_cast", "without_lengths"]
