"""Aggregates over rows that pass by."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.aggregate import gathered, prepare
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import CollectMetrics


def compile_collect_metrics(
    operator: CollectMetrics, children: tuple[pl.LazyFrame, ...], task: TaskContext
) -> pl.LazyFrame:
    """The same rows; each batch leaves a row of partial buffers in the task's metrics, for a FINAL aggregate."""
    prepared = [prepare(alias, task.evaluation) for alias in operator.metrics]
    columns = [c for p in prepared for c in p.columns]
    rows = task.metrics.setdefault(operator.name, [])

    def observe(batch: pl.DataFrame) -> pl.DataFrame:
        frame = batch.lazy().with_columns(columns) if columns else batch.lazy()
        rows.append(gathered(frame, [], prepared, merging=False).collect())  # no part of the query's own frame
        return batch

    return children[0].map_batches(observe, streamable=True)
