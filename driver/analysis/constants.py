"""Values of constant expressions that analysis itself must know (limits, ordinals, options)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from voltray.driver.analysis.environment import Environment
from voltray.driver.plan.logical import OneRow, Project
from voltray.proto.expressions import Alias, Call, Cast, Expression, Literal, new_id
from voltray.proto.types import IntegralType


def constant_value(expression: Expression, environment: Environment) -> Any:
    """The internal value of a constant; anything but plain constants is run as a query of one row."""
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Alias):
        return constant_value(expression.child, environment)
    if isinstance(expression, Call) and expression.name == "negative" and isinstance(expression.args[0], Literal):
        value = expression.args[0].value
        return None if value is None else -value
    if isinstance(expression, Cast) and isinstance(expression.child, Literal):
        value = expression.child.value
        if isinstance(value, int) and not isinstance(value, bool) and isinstance(expression.dtype, IntegralType):
            return value
    plan = Project(OneRow(), (Alias(expression, "value", new_id()),))
    return internal_values(environment.collect(plan).column(0))[0]


def internal_values(column: pa.ChunkedArray) -> list[Any]:
    """Cells of a carrier column as internal values."""
    dtype = column.type
    if pa.types.is_date(dtype):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(dtype) or pa.types.is_duration(dtype) or pa.types.is_time64(dtype):
        column = column.cast(pa.int64())
    return [_cell(v) for v in column.to_pylist()]


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(_cell(v) for v in value.values())
    return value
