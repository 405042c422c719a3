"""A partition of an exchange or a cache, handed in by the task runner."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.columns import keep
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import PartitionRead


def compile_partition_read(
    operator: PartitionRead, children: tuple[pl.LazyFrame, ...], task: TaskContext
) -> pl.LazyFrame:
    """The input frame of that key, its columns already under their ids."""
    return keep(task.inputs[operator.key], operator.attributes)
