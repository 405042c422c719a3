"""Rows for which a condition is true."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.raising import may_raise
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Call, Expression
from voltray.proto.operators import Filter, Operator, Project


def compile_filter(operator: Filter, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Rows with a true condition; NULL is not true.

    Polars joins neighbouring filters into one and evaluates all of it for every row; but an error belongs to
    rows that passed the conditions before. So a condition that may raise is held back from those before it.
    """
    frame = children[0]
    follows = _stands_on_filter(operator.child)
    for condition in _conjuncts(operator.condition):
        if follows and may_raise(condition):
            frame = frame.map_batches(_same, projection_pushdown=True, streamable=True)
        frame = frame.filter(compile_expression(condition, task.evaluation))
        follows = True
    return frame


def _stands_on_filter(below: Operator) -> bool:
    while isinstance(below, Project):
        below = below.child
    return isinstance(below, Filter)


def _conjuncts(condition: Expression) -> Iterator[Expression]:
    """The parts of a conjunction, from left to right."""
    pending = [condition]
    while pending:
        part = pending.pop()
        if isinstance(part, Call) and part.name == "and":
            pending.extend(reversed(part.args))
        else:
            yield part


def _same(frame: pl.DataFrame) -> pl.DataFrame:
    return frame
