"""One micro-batch as an ordinary plan: streams bounded, state put in, figures counted on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from voltray.driver.plan.logical import (
    Aggregate,
    CollectMetrics,
    Deduplicate,
    Join,
    Limit,
    LogicalPlan,
    children_of,
    with_children,
)  # fmt: skip
from voltray.driver.plan.streaming import DeduplicateWithinWatermark, StreamScan, Watermark, is_streaming
from voltray.driver.streaming.event_time import EventTimes
from voltray.driver.streaming.state import (
    OperatorState,
    StateContext,
    run_aggregate,
    run_deduplicate,
    run_deduplicate_within,
    run_join,
    run_limit,
)
from voltray.driver.streaming.support import streaming_aggregates
from voltray.proto.expressions import AggregateCall, Alias, Call, Literal, new_id
from voltray.proto.types import DOUBLE, INTEGER, LONG, TimestampType

if TYPE_CHECKING:
    from voltray.driver.scheduler.query import ObservedMetrics
    from voltray.driver.streaming.environment import StreamingSession

# Metrics of our own have names that no user's can have.
OWN = "voltray."
SOURCE, SINK, WATERMARK = f"{OWN}source.", f"{OWN}sink", f"{OWN}watermark."

_STATEFUL: dict[type[LogicalPlan], Callable[[Any, StateContext], LogicalPlan]] = {
    Aggregate: run_aggregate,
    Deduplicate: run_deduplicate,
    DeduplicateWithinWatermark: run_deduplicate_within,
    Limit: run_limit,
    Join: run_join,
}


@dataclass(slots=True)
class BatchRun:
    """Runs the queries of one batch, as work of its streaming query, and keeps what they observe."""

    session: StreamingSession
    operation_id: str
    batch_id: int
    observed: dict[str, dict[str, Any]] = field(default_factory=dict)
    types: dict[str, tuple[Alias, ...]] = field(default_factory=dict)

    def observe(self, metrics: tuple[ObservedMetrics, ...]) -> None:
        """Keep metrics; of a plan that runs twice, those of its first run."""
        for one in metrics:
            values = {m.name: v for m, v in zip(one.metrics, one.values, strict=True)}
            self.observed.setdefault(one.name, values)
            self.types.setdefault(one.name, one.metrics)

    def collect(self, optimized: LogicalPlan) -> pa.Table:
        """The rows of an optimized plan."""
        return self.session.scheduler.collect(
            optimized,
            self.session.evaluation_context(),
            operation_id=self.operation_id,
            on_observed=self.observe,
        )

    def count(self, name: str) -> int:
        """Rows that passed a place, or -1 where nothing was counted."""
        found = self.observed.get(name)
        return -1 if found is None else int(found["rows"])


@dataclass(frozen=True, slots=True)
class BatchPlanner:
    """What turns the streaming plan into a batch's."""

    plan: LogicalPlan
    mode: str
    watermarks: tuple[Watermark, ...]
    scans: tuple[StreamScan, ...]

    def bounded(
        self,
        run: BatchRun,
        inputs: dict[int, LogicalPlan],
        states: list[OperatorState],
        watermark_ms: int,
        late_ms: int,
    ) -> LogicalPlan:
        """The plan of one batch over the bounded inputs; stateful operators have run when this returns."""
        delay = max((w.delay_ms for w in self.watermarks), default=0)
        context = StateContext(
            run.session, self.mode, EventTimes({}), watermark_ms, late_ms, delay, states, run.collect
        )
        return self._node(self.plan, inputs, context)

    def _node(self, node: LogicalPlan, inputs: dict[int, LogicalPlan], context: StateContext) -> LogicalPlan:
        if isinstance(node, StreamScan):
            return inputs[id(node)]
        if not is_streaming(node):
            return node
        children = tuple([self._node(c, inputs, context) for c in children_of(node)])
        if isinstance(node, Watermark):
            return watched(node, children[0], self.watermarks.index(node))
        rebuilt = with_children(node, children)
        run = _STATEFUL.get(type(node))
        context.times = EventTimes.of(node)
        return run(rebuilt, context) if run is not None and self._remembers(node) else rebuilt

    def _remembers(self, node: LogicalPlan) -> bool:
        children = children_of(node)
        if not all(is_streaming(c) for c in children):
            return False
        # Above an aggregation that shows all its groups each time, there is nothing to remember.
        return self.mode != "complete" or not any(streaming_aggregates(c) for c in children)


def counted(plan: LogicalPlan, name: str) -> LogicalPlan:
    """The plan with its rows counted as they pass."""
    rows = AggregateCall("count", (Literal(1, INTEGER),), LONG, False)
    return CollectMetrics(plan, name, (Alias(rows, "rows", new_id()),))


def without_counts(plan: LogicalPlan) -> LogicalPlan:
    """A batch's plan as users know it: without what counts its rows."""
    if isinstance(plan, CollectMetrics) and plan.name.startswith(OWN):
        return without_counts(plan.child)
    children = children_of(plan)
    return with_children(plan, tuple([without_counts(c) for c in children])) if children else plan


def watched(node: Watermark, child: LogicalPlan, index: int) -> LogicalPlan:
    """The plan with the bounds of its event time noted as rows pass."""
    column = node.column
    metrics = [Alias(AggregateCall(name, (column,), column.dtype), name, new_id()) for name in ("max", "min")]
    if isinstance(column.dtype, TimestampType):
        micros = Call("unix_micros", (column,), LONG, True)
        metrics.append(Alias(AggregateCall("avg", (micros,), DOUBLE), "avg", new_id()))
    return CollectMetrics(child, f"{WATERMARK}{index}", tuple(metrics))
