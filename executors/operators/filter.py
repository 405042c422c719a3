"""Rows for which a condition is true."""

from __future__ import annotations

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import Filter


def compile_filter(operator: Filter, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Rows with a true condition; NULL is not true."""
    return children[0].filter(compile_expression(operator.condition, task.evaluation, _guard(operator, task)))


def _guard(operator: Filter, task: TaskContext) -> pl.Expr | None:
    """Polars joins neighbouring filters into one and evaluates all for every row: errors belong to rows that
    passed the filter below."""
    below = operator.child
    if not isinstance(below, Filter):
        return None
    outer = _guard(below, task)
    condition = compile_expression(below.condition, task.evaluation, outer).fill_null(False)
    return condition if outer is None else outer & condition
