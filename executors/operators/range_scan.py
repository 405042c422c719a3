"""Consecutive integers."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import RangeScan

_LIMIT = 1 << 63


def compile_range_scan(operator: RangeScan, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Integers from start (included) to end (excluded)."""
    name = operator.attribute.column
    count = max(0, -((operator.start - operator.end) // operator.step))
    if -_LIMIT < operator.end < _LIMIT:
        values = pl.int_range(operator.start, operator.end, operator.step, dtype=pl.Int64)
    else:  # the end itself is no bigint, its values are
        values = pl.int_range(0, count, dtype=pl.Int64) * operator.step + operator.start
    return pl.select(values.alias(name), eager=False)
