"""Observed metrics: the parts that tasks reported, put together."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.planning.aggregate import buffer_attributes
from voltray.driver.scheduler.query import ObservedMetrics
from voltray.driver.scheduler.query_stages import QueryStages
from voltray.proto import operators
from voltray.proto.expressions import to_attribute
from voltray.proto.operators import AggregateMode
from voltray.proto.stages import Exchange, Stage
from voltray.proto.tasks import TaskReport


def observed_metrics(stages: QueryStages, plan: LogicalPlan, reports: list[TaskReport]) -> tuple[ObservedMetrics, ...]:
    """The values of every CollectMetrics node of a plan."""
    nodes = [n for n in logical.walk(plan) if isinstance(n, logical.CollectMetrics)]
    return tuple([_observed(stages, node, reports) for node in nodes])


def _observed(stages: QueryStages, node: logical.CollectMetrics, reports: list[TaskReport]) -> ObservedMetrics:
    tables = [table for report in reports for name, table in report.metrics if name == node.name]
    row = _final_row(stages, node, tables)
    return ObservedMetrics(node.name, node.metrics, row)


def _final_row(stages: QueryStages, node: logical.CollectMetrics, tables: list[pa.Table]) -> tuple[Any, ...]:
    buffers = tuple([b for alias in node.metrics for b in buffer_attributes(alias)])
    if tables:
        parts: operators.Operator = operators.LocalScan(
            buffers, pa.concat_tables(tables).select([b.column for b in buffers])
        )
        task = operators.Aggregate(parts, (), node.metrics, AggregateMode.FINAL)
    else:
        empty = operators.Filter(operators.OneRow(), logical_false())
        task = operators.Aggregate(empty, (), node.metrics, AggregateMode.WHOLE)
    output = tuple([to_attribute(alias) for alias in node.metrics])
    stage = Stage(stages.new_stage_id(), (task,), Exchange("keep", 1), output)
    stored = stages.run_stored(stage, str(stage.stage_id), streaming=False)
    stages.progress.pop(stage.stage_id, None)
    import ray

    frame = pl.DataFrame(ray.get(stored.outcomes[0].pieces[0]).table)
    return tuple([internal_value(frame[a.column]) for a in output])


def internal_value(series: pl.Series) -> Any:
    """The only value of a column, as an internal value."""
    if series.dtype == pl.Date or series.dtype == pl.Datetime or series.dtype == pl.Duration or series.dtype == pl.Time:
        series = series.to_physical()
    return series[0]


def logical_false() -> Any:
    """A condition that never holds."""
    from voltray.driver.plan.predicates import FALSE

    return FALSE
