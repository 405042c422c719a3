"""Rows in order."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.columns import sorted_by
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import Sort


def compile_sort(operator: Sort, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """A stable sort with Spark's order of nulls; NaN is the greatest number in both worlds."""
    return sorted_by(children[0], operator.orders, task.evaluation)
