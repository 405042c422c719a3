"""One part of a streaming aggregation, whose buffers are kept between micro-batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan.streaming import AggregateBuffers
from voltray.driver.planning.exchange import by_hash, gather
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.operators import AggregateMode

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_aggregate_buffers(planner: Planner, node: AggregateBuffers) -> Fragment:
    """Rows become buffers where they are; buffers meet by group before they are merged."""
    child = planner.plan(node.child)
    if node.mode is not AggregateMode.PARTIAL:
        child = by_hash(planner, child, node.groups) if node.groups else gather(planner, child)
    return child.map(lambda task: operators.Aggregate(task, node.groups, node.aggregates, node.mode), node.output)
