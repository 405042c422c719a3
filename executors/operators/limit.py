"""The first or the last rows."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import Limit


def compile_limit(operator: Limit, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """At most ``limit`` rows after ``offset``, or the last ``limit`` ones."""
    frame = children[0]
    if operator.tail and operator.limit is not None:
        return frame.tail(operator.limit)
    return frame.slice(operator.offset, operator.limit)
