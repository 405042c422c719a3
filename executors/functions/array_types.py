"""How array and map functions type and coerce their arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import Accept, Body
from voltray.proto.coercion import is_orderable, tightest_common_type, wider_decimal
from voltray.proto.expressions import Expression, dtype_of, nullable_of
from voltray.proto.types import (
    ArrayType,
    DataType,
    DecimalType,
    MapType,
    NullType,
    StructType,
    carrier,
    type_name,
)  # fmt: skip

ARRAY = Accept((ArrayType,), (), '"ARRAY"')
MAP = Accept((MapType,), (), '"MAP"')
ARRAY_OR_MAP = Accept((ArrayType, MapType), (), '("ARRAY" or "MAP")')


def element_type(args: tuple[Expression, ...], position: int = 0) -> DataType:
    """The element type of an array argument."""
    dtype = dtype_of(args[position])
    return dtype.elementType if isinstance(dtype, ArrayType) else NullType()


def contains_null(expression: Expression) -> bool:
    """Whether an array argument may hold NULLs."""
    dtype = dtype_of(expression)
    return dtype.containsNull if isinstance(dtype, ArrayType) else True


def same_as(position: int = 0) -> Callable[[tuple[Expression, ...]], DataType]:
    """The type of an argument."""
    return lambda args: dtype_of(args[position])


def null_if_void(body: Body) -> Body:
    """A body that is not run where an argument is an untyped NULL: the result is NULL."""

    @wraps(body)
    def guarded(evaluation: Evaluation, *columns: pl.Expr) -> pl.Expr:
        if any(isinstance(dtype_of(a), NullType) for a in evaluation.call.args):
            return pl.lit(None, dtype=carrier(evaluation.call.dtype))
        return body(evaluation, *columns)

    return guarded


def common_without_strings(left: DataType, right: DataType, ansi: bool) -> DataType | None:
    """The wider of two types, strings taking no part; decimals may widen, inside arrays and structs too."""
    if isinstance(left, DecimalType) and isinstance(right, DecimalType):
        return wider_decimal(left, right)
    return tightest_common_type(left, right, ansi)


def array_and_value(void_value: bool = True) -> Callable[[Any], Expression]:
    """Resolution of (array, value): the elements and the value widen to one type."""

    def resolve(resolution: Any) -> Expression:
        array, value, *rest = resolution.args
        kind, given = dtype_of(array), dtype_of(value)
        if isinstance(given, NullType) and not void_value:
            raise resolution.mismatch("NULL_TYPE", functionName=f"`{resolution.name}`")
        if not isinstance(kind, ArrayType):
            raise resolution.unexpected(0, '"ARRAY"')
        common = common_without_strings(kind.elementType, given, resolution.ansi)
        if common is None:
            raise resolution.mismatch(
                "ARRAY_FUNCTION_DIFF_TYPES", functionName=f"`{resolution.name}`", dataType='"ARRAY"',
                leftType=type_name(kind), rightType=type_name(given),
            )  # fmt: skip
        widened = resolution.cast(array, ArrayType(common, kind.containsNull))
        return resolution.call((widened, resolution.cast(value, common), *rest))  # type: ignore[no-any-return]

    return resolve


def two_arrays(resolution: Any) -> Expression:
    """Resolution of (array, array): both widen to one type."""
    left, right = [dtype_of(a) for a in resolution.args]
    arrays = isinstance(left, ArrayType), isinstance(right, ArrayType)
    common = None
    if all(arrays):
        common = common_without_strings(left.elementType, right.elementType, resolution.ansi)  # type: ignore[attr-defined]
    if common is None:
        raise resolution.mismatch(
            "BINARY_ARRAY_DIFF_TYPES", functionName=f"`{resolution.name}`", arrayType='"ARRAY"',
            leftType=type_name(left), rightType=type_name(right),
        )  # fmt: skip
    args = tuple([resolution.cast(a, ArrayType(common, contains_null(a))) for a in resolution.args])
    return resolution.call(args)  # type: ignore[no-any-return]


def ordered_array(resolution: Any) -> Expression:
    """Resolution of functions that compare an array's elements."""
    kind = dtype_of(resolution.args[0])
    if isinstance(kind, NullType):
        return resolution.call()  # type: ignore[no-any-return]
    if not isinstance(kind, ArrayType):
        raise resolution.unexpected(0, '"ARRAY"')
    if not is_orderable(kind.elementType):
        shown = kind.elementType if resolution.name != "sort_array" else kind
        name = f"`{resolution.name}`"
        raise resolution.mismatch("INVALID_ORDERING_TYPE", functionName=name, dataType=type_name(shown))
    return resolution.finish()  # type: ignore[no-any-return]


def any_nullable(args: tuple[Expression, ...]) -> bool:
    """An argument may be NULL."""
    return any(nullable_of(a) for a in args)


def has_maps(dtype: DataType) -> bool:
    """Whether a type is or holds a map (which cannot be compared)."""
    match dtype:
        case MapType():
            return True
        case ArrayType():
            return has_maps(dtype.elementType)
        case StructType():
            return any(has_maps(f.dataType) for f in dtype.fields)
    return False
