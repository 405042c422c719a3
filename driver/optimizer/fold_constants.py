"""Constant parts of conditions computed once, by the same function bodies that executors run."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import FALSE, TRUE, is_deterministic
from voltray.executors.compiler import compile_expression
from voltray.executors.functions.catalogue import lookup
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.expressions import Call, Cast, Expression, Literal, dtype_of, map_children
from voltray.proto.types import (
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

# Functions of the query's own moment: their value belongs to the run, not to the plan.
_OF_THE_RUN = frozenset(
    ("current_timestamp", "now", "current_date", "curdate", "localtimestamp", "current_time", "unix_timestamp")
)
_PLAIN: tuple[type[DataType], ...] = (
    BooleanType, ByteType, ShortType, IntegerType, LongType, FloatType, DoubleType, StringType, DecimalType,
)  # fmt: skip
_TEMPORAL: tuple[type[DataType], ...] = (DateType, TimestampType, TimestampNTZType)


def fold_constants(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Fold the conditions of filters and joins; columns are left to the executors, who compute a constant once."""
    context = EvaluationContext(
        time_zone=getattr(environment, "time_zone", "UTC"), ansi=getattr(environment, "ansi", True)
    )

    def fold(expression: Expression) -> Expression:
        return fold_expression(expression, context)

    return transform_up(plan, lambda node: _folded(node, fold))


def _folded(node: LogicalPlan, fold: Callable[[Expression], Expression]) -> LogicalPlan:
    match node:
        case logical.Filter():
            condition = fold(node.condition)
            if condition == TRUE:
                return node.child
            return node if condition is node.condition else replace(node, condition=condition)
        case logical.Join() if node.condition is not None:
            joined = fold(node.condition)
            return node if joined is node.condition else replace(node, condition=joined)
    return node


def fold_expression(expression: Expression, context: EvaluationContext) -> Expression:
    """An expression with its constant parts replaced by literals; what fails to compute is left to fail in its row."""
    if isinstance(expression, Literal) or (isinstance(expression, Call) and expression.name in _OF_THE_RUN):
        return expression
    folded = map_children(expression, lambda child: fold_expression(child, context))
    if isinstance(folded, Call):
        simpler = _simplified(folded)
        if simpler is not folded:
            return simpler
    if not isinstance(folded, Call | Cast) or not _is_constant(folded):
        return folded
    return _computed(folded, context)


def _simplified(call: Call) -> Expression:
    """TRUE and FALSE beside other operands, where Spark would not look at those other operands either."""
    if call.name == "and":
        left, right = call.args
        if left == FALSE or (right == FALSE and is_deterministic(left)):
            return FALSE
        return right if left == TRUE else left if right == TRUE else call
    if call.name == "or":
        left, right = call.args
        if left == TRUE or (right == TRUE and is_deterministic(left)):
            return TRUE
        return right if left == FALSE else left if right == FALSE else call
    return call


def _is_constant(expression: Call | Cast) -> bool:
    arguments = expression.args if isinstance(expression, Call) else (expression.child,)
    if not isinstance(expression.dtype, (*_PLAIN, *_TEMPORAL)):
        return False
    if not all(isinstance(a, Literal) for a in arguments):
        return False
    if isinstance(expression, Cast):
        return True
    function = lookup(expression.name)
    return function is not None and function.deterministic and function.foldable


def _computed(expression: Call | Cast, context: EvaluationContext) -> Expression:
    try:
        value = pl.select(compile_expression(expression, context).alias("value")).get_column("value")
        return Literal(internal_value(value, expression.dtype), dtype_of(expression))
    except BaseException:  # noqa: BLE001 - the executor raises it again, where a row reaches it
        return expression


def internal_value(series: pl.Series, dtype: DataType) -> Any:
    """The only value of a column, as an internal value."""
    if isinstance(dtype, _TEMPORAL):
        series = series.to_physical()
    value = series.item()
    if isinstance(value, datetime.date | datetime.datetime):
        raise TypeError("a date is held as days, a timestamp as microseconds")
    return value
