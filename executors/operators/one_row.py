"""One row without columns."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.task import ONE_ROW_COLUMN, TaskContext
from voltray.proto.operators import OneRow


def compile_one_row(operator: OneRow, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """A single null cell."""
    return pl.LazyFrame({ONE_ROW_COLUMN: [None]})
