"""The first rows in order."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.columns import sorted_by
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import TopK


def compile_top_k(operator: TopK, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Sort and head: Polars keeps only the best rows while it reads."""
    return sorted_by(children[0], operator.orders, task.evaluation).head(operator.count)
