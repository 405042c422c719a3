"""Arguments that must be known at analysis: schemas, options, constant texts."""

from __future__ import annotations

from typing import Any

from voltray.proto.expressions import Call, Cast, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    ArrayType,
    DataType,
    MapType,
    StringType,
    StructField,
    StructType,
    UserDefinedType,
)  # fmt: skip

Pairs = tuple[tuple[str, str], ...]


def bad_record(record: str, cause: str = "WITHOUT_SUGGESTION") -> SparkError:
    """MALFORMED_RECORD_IN_PARSING under FAILFAST."""
    return spark_error(
        f"MALFORMED_RECORD_IN_PARSING.{cause}", ErrorKind.SPARK, badRecord=record, failFastMode="FAILFAST"
    )


def _constant(expression: Expression) -> Literal | None:
    while isinstance(expression, Cast) and isinstance(expression.child, Literal | Cast):
        expression = expression.child
    return expression if isinstance(expression, Literal) else None


def options_of(resolution: Any, position: int) -> Pairs:
    """The options argument, a map of constant strings."""
    if position >= len(resolution.args):
        return ()
    argument = resolution.args[position]
    found = pairs_of(argument)
    if found is None:
        kind = dtype_of(argument)
        if isinstance(kind, MapType):
            raise resolution.error("INVALID_OPTIONS.NON_STRING_TYPE", mapType=f'"{kind.simpleString().upper()}"')
        raise resolution.error("INVALID_OPTIONS.NON_MAP_FUNCTION")
    return found


def pairs_of(argument: Expression) -> Pairs | None:
    """A map of constant strings as pairs, None for anything else."""
    if isinstance(argument, Cast):
        return pairs_of(argument.child)
    if isinstance(argument, Literal) and isinstance(argument.dtype, MapType):
        held = argument.value.items() if isinstance(argument.value, dict) else argument.value or ()
        return tuple([(str(k), str(v)) for k, v in held])
    if not (isinstance(argument, Call) and argument.name == "map"):
        return None
    texts = [_constant(a) for a in argument.args]
    if any(t is None or not isinstance(t.dtype, StringType) for t in texts):
        return None
    values = [t.value for t in texts if t is not None]
    return tuple(zip(values[::2], values[1::2], strict=True))


def given_schema(resolution: Any, position: int, options: Pairs) -> DataType:
    """A schema argument: DDL or JSON text, or a call that gives one."""
    argument = _constant(resolution.args[position])
    if argument is None or not isinstance(argument.dtype, StringType) or argument.value is None:
        shown = f'"{resolution.names[position]}"'
        raise resolution.error("INVALID_SCHEMA.NON_STRING_LITERAL", inputSchema=shown)
    parsed: DataType = resolution.settings.parse_schema(argument.value)
    return parsed


def constant_text(resolution: Any, position: int, name: str) -> str:
    """A constant, not NULL, string argument."""
    argument = _constant(resolution.args[position])
    if argument is None:
        raise resolution.mismatch(
            "NON_FOLDABLE_INPUT", inputName=f"`{name}`", inputType='"STRING"',
            inputExpr=f'"{resolution.names[position]}"',
        )  # fmt: skip
    if argument.value is None:
        raise resolution.mismatch("UNEXPECTED_NULL", exprName=name)
    if not isinstance(argument.dtype, StringType):
        raise resolution.unexpected(position, '"STRING"')
    return str(argument.value)


def nullable_type(dtype: DataType) -> DataType:
    """The type with every part nullable, as what is read from text is."""
    match dtype:
        case StructType():
            return StructType([StructField(f.name, nullable_type(f.dataType), True, f.metadata) for f in dtype.fields])
        case ArrayType():
            return ArrayType(nullable_type(dtype.elementType), True)
        case MapType():
            return MapType(nullable_type(dtype.keyType), nullable_type(dtype.valueType), True)
        case UserDefinedType():
            return dtype
    return dtype


__all__ = [
    "ErrorKind",
    "Pairs",
    "bad_record",
    "constant_text",
    "given_schema",
    "nullable_type",
    "options_of",
    "pairs_of",
]
