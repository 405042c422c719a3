"""What a task gives to the operators that it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext

ONE_ROW_COLUMN = "#"
"""The null column that stands for rows without columns: Polars keeps no height without one."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The session's part of a task, its partition, its inputs, and where observed metrics are put."""

    evaluation: EvaluationContext = field(default_factory=EvaluationContext)
    partition_id: int = 0
    inputs: Mapping[str, pl.LazyFrame] = field(default_factory=dict)
    """Frames of the PartitionReads, by key."""
    metrics: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    """Observed metrics by name: rows of partial buffers, appended while the task runs; see ``collect_metrics``."""
    ordered: bool = True
    """Whether the order of rows can be seen from above; joins below a sum need not keep it."""
    gate: Callable[[pl.LazyFrame], pl.LazyFrame] | None = None
    """Laid over each leaf where given (cancelling, counting)."""
    began: float = field(default_factory=time.time)
