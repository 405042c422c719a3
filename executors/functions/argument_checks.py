"""Checks of arguments that types alone do not say, for entries' ``resolve`` hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import internal_values
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.types import (
    ArrayType,
    CalendarIntervalType,
    DataType,
    LongType,
    MapType,
    StructType,
    VariantType,
    type_name,
)

Hook = Callable[[Any], Expression]


def constant_value(expression: Expression) -> Any:
    """The value of a constant argument."""
    if isinstance(expression, Literal):
        return expression.value
    from voltray.executors.compiler import compile_expression  # it imports every family, this one too

    value = pl.select(compile_expression(expression, EvaluationContext())).to_series()
    return internal_values(value, dtype_of(expression))[0]


def is_orderable(dtype: DataType) -> bool:
    """Whether values of a type can be compared."""
    match dtype:
        case MapType() | CalendarIntervalType() | VariantType():
            return False
        case ArrayType():
            return is_orderable(dtype.elementType)
        case StructType():
            return all(is_orderable(f.dataType) for f in dtype.fields)
    return True


def orderable(position: int = 0) -> Hook:
    """The argument must be of a type with an order."""

    def resolve(resolution: Any) -> Expression:
        dtype = dtype_of(resolution.args[position])
        if not is_orderable(dtype):
            raise resolution.mismatch(
                "INVALID_ORDERING_TYPE", functionName=f"`{resolution.name}`", dataType=type_name(dtype)
            )
        result: Expression = resolution.finish()
        return result

    return resolve


def in_range(name: str, position: int, low: float, high: float, shown: str) -> Callable[[Any, Any], None]:
    """A check that a constant argument (or each element of one) lies within bounds."""

    def check(resolution: Any, call: Any) -> None:
        if len(call.args) <= position:
            return
        argument = call.args[position]
        value = constant_value(argument)
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not low <= one <= high:
                raise resolution.mismatch(
                    "VALUE_OUT_OF_RANGE", exprName=name, valueRange=shown, currentValue=_shown(one, argument)
                )

    return check


def checked(*checks: Callable[[Any, Any], None]) -> Hook:
    """An ordinary call whose constants pass checks."""

    def resolve(resolution: Any) -> Expression:
        call: Expression = resolution.finish()
        for check in checks:
            check(resolution, call)
        return call

    return resolve


def _shown(value: Any, argument: Expression) -> str:
    if isinstance(value, float):
        return f"{value}D"
    return f"{value}L" if isinstance(dtype_of(argument), LongType) else str(value)
