"""Values of constant expressions that analysis itself must know: limits, typed literals, pivot values."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.driver.analysis.environment import Environment
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.expressions import Alias, Expression, Literal, dtype_of


def constant_value(expression: Expression, environment: Environment) -> Any:
    """The internal value of a constant, computed by the function bodies that executors run."""
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Alias):
        return constant_value(expression.child, environment)
    from voltray.executors.compiler import compile_expression

    context = EvaluationContext(time_zone=environment.time_zone, ansi=environment.ansi)
    column = pl.select(compile_expression(expression, context).alias("value")).get_column("value")
    return series_values(column, expression)[0]


def series_values(column: pl.Series, expression: Expression) -> list[Any]:
    """The cells of an expression's column as internal values."""
    from voltray.executors.literals import internal_values

    return internal_values(column, dtype_of(expression))
