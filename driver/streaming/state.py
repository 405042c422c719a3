"""Operators that remember: each micro-batch makes new state of the old one and of what is new.

State is an Arrow table for each operator: an aggregation's buffers, the keys that a deduplication has met, the
rows of either side of a join, the number of rows that a limit has let through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from voltray.driver.plan.logical import (
    Aggregate,
    CollectMetrics,
    Deduplicate,
    Filter,
    Join,
    Limit,
    LogicalPlan,
    Project,
)  # fmt: skip
from voltray.driver.plan.predicates import call_null_safe_equals, conjunction
from voltray.driver.plan.streaming import AggregateBuffers, DeduplicateWithinWatermark
from voltray.driver.planning.aggregate import buffer_attributes, can_split
from voltray.driver.streaming.event_time import EventTimes, has_session_window
from voltray.driver.streaming.sessions import run_session_aggregate
from voltray.driver.streaming.tables import joined, local
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    Literal,
    new_id,
    references,
)  # fmt: skip
from voltray.proto.operators import AggregateMode
from voltray.proto.types import BOOLEAN, LONG, TIMESTAMP

if TYPE_CHECKING:
    from voltray.driver.streaming.environment import StreamingSession

Tables = tuple[pa.Table, ...]
LATE = "voltray.late."


@dataclass(slots=True)
class OperatorState:
    """One operator's tables, and figures for the progress."""

    name: str
    tables: Tables = ()
    rows_updated: int = 0
    rows_removed: int = 0
    rows_dropped: int = 0

    @property
    def rows_total(self) -> int:
        """Rows that are kept."""
        return sum(t.num_rows for t in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes that are kept."""
        return sum(t.nbytes for t in self.tables)


@dataclass(slots=True)
class StateContext:
    """What stateful operators need of the batch that they run in."""

    session: StreamingSession
    mode: str
    times: EventTimes
    watermark_ms: int
    late_ms: int
    delay_ms: int
    states: list[OperatorState]
    collect: Callable[[LogicalPlan], pa.Table]
    used: int = field(default=0)

    def next_state(self, name: str) -> OperatorState:
        """The state of the operator that comes next in the plan's order."""
        if self.used == len(self.states):
            self.states.append(OperatorState(name))
        self.used += 1
        state = self.states[self.used - 1]
        state.name = name
        state.rows_updated = state.rows_removed = state.rows_dropped = 0
        return state

    def rows(self, plan: LogicalPlan) -> pa.Table:
        """A plan's rows."""
        return self.collect(self.session.optimize(plan))

    def without_late(self, plan: LogicalPlan, columns: tuple[Attribute, ...]) -> LogicalPlan:
        """The plan without rows that come after the watermark has passed them."""
        column = self.times.among(columns)
        if column is None or self.mode == "complete":
            return plan
        old = AggregateCall("count_if", (self.times.is_old(column, self.late_ms),), LONG, False)
        seen = CollectMetrics(plan, f"{LATE}{self.used}", (Alias(old, "rows", new_id()),))
        return Filter(seen, self.times.is_current(column, self.late_ms))


# ---- aggregation -----------------------------------------------------------------------------------------
def run_aggregate(node: Aggregate, context: StateContext) -> LogicalPlan:
    """An aggregation over all rows so far: by the output mode all groups, those changed, or those that are done."""
    state = context.next_state("stateStoreSave")
    if isinstance(node.child, Project) and has_session_window(node.child):
        return run_session_aggregate(node, node.child, context, state)
    clean = context.without_late(node.child, node.groups)
    planned = context.session.optimize(replace(node, child=clean))
    if not isinstance(planned, Aggregate) or not all(can_split(a) for a in planned.aggregates):
        return _aggregate_of_rows(node, clean, context, state)
    buffers = (*planned.groups, *[b for a in planned.aggregates for b in buffer_attributes(a)])
    parts = context.collect(
        AggregateBuffers(planned.child, planned.groups, planned.aggregates, AggregateMode.PARTIAL, buffers)
    )
    kept = joined(state.tables[0] if state.tables else None, parts)
    merged = context.collect(_buffers(planned, buffers, kept, AggregateMode.MERGE, buffers))
    values = context.collect(_buffers(planned, buffers, merged, AggregateMode.FINAL, node.output))
    state.rows_updated = parts.num_rows
    changed = parts.select(list(range(len(planned.groups))))
    time = context.times.among(planned.groups)
    if time is not None and context.mode != "complete":
        current = Filter(local(buffers, merged), context.times.is_current(time, context.watermark_ms))
        left = context.collect(current)
        state.rows_removed = merged.num_rows - left.num_rows
        state.tables = (left,)
    else:
        state.tables = (merged,)
    return _emitted(node, values, changed, time, context)


def _buffers(
    node: Aggregate, buffers: tuple[Attribute, ...], table: pa.Table, mode: AggregateMode, output: Any
) -> AggregateBuffers:
    return AggregateBuffers(local(buffers, table), node.groups, node.aggregates, mode, output)


def _emitted(
    node: Aggregate, values: pa.Table, changed: pa.Table | None, time: Attribute | None, context: StateContext
) -> LogicalPlan:
    """The groups that the output mode shows."""
    result: LogicalPlan = local(node.output, values)
    if context.mode == "append" and time is not None:
        return Filter(result, context.times.is_old(time, context.watermark_ms))
    if context.mode == "update" and node.groups and changed is not None:
        return _matching(result, node.groups, changed, "left_semi")
    return result


def _matching(plan: LogicalPlan, keys: tuple[Attribute, ...], table: pa.Table, kind: str) -> LogicalPlan:
    """The rows whose keys are (left_semi) or are not (left_anti) in a table."""
    own = tuple([replace(k, expr_id=new_id()) for k in keys])
    equal = conjunction([call_null_safe_equals(a, b) for a, b in zip(keys, own, strict=True)])
    return Join(plan, local(own, table), kind, equal)


def _aggregate_of_rows(node: Aggregate, clean: LogicalPlan, context: StateContext, state: OperatorState) -> LogicalPlan:
    """An aggregation that does not run in parts: the rows themselves are kept."""
    needed = frozenset([g.expr_id for g in node.groups]).union(*[references(a) for a in node.aggregates])
    columns = tuple([a for a in clean.output if a.expr_id in needed]) or clean.output[:1]
    new = context.rows(Project(clean, columns))
    rows = joined(state.tables[0] if state.tables else None, new)
    values = context.rows(replace(node, child=local(columns, rows)))
    state.rows_updated = new.num_rows
    state.tables = (rows,)
    time = context.times.among(node.groups)
    if time is not None and context.mode != "complete":
        left = context.collect(Filter(local(columns, rows), context.times.is_current(time, context.watermark_ms)))
        state.rows_removed = rows.num_rows - left.num_rows
        state.tables = (left,)
    changed = None
    if context.mode == "update" and node.groups:
        changed = context.rows(Deduplicate(Project(local(columns, new), node.groups), node.groups))
    return _emitted(node, values, changed, time, context)


# ---- deduplication ---------------------------------------------------------------------------------------
def run_deduplicate(node: Deduplicate, context: StateContext) -> LogicalPlan:
    """The rows whose keys were not met before."""
    state = context.next_state("dedupe")
    time = context.times.among(node.keys)
    clean = context.without_late(node.child, node.keys)
    fresh: LogicalPlan = Deduplicate(clean, node.keys)
    if state.tables:
        fresh = _matching(fresh, node.keys, state.tables[0], "left_anti")
    rows = context.rows(fresh)
    keys = context.rows(Project(local(node.output, rows), node.keys))
    kept = joined(state.tables[0] if state.tables else None, keys)
    state.rows_updated = keys.num_rows
    if time is not None:
        left = context.collect(Filter(local(node.keys, kept), context.times.is_current(time, context.watermark_ms)))
        state.rows_removed = kept.num_rows - left.num_rows
        kept = left
    state.tables = (kept,)
    return local(node.output, rows)


def run_deduplicate_within(node: DeduplicateWithinWatermark, context: StateContext) -> LogicalPlan:
    """The rows whose keys were not met before as long as the watermark's delay lasts."""
    state = context.next_state("dedupeWithinWatermark")
    time = context.times.among(node.output)
    assert time is not None
    clean = context.without_late(node.child, (time,))
    fresh: LogicalPlan = Deduplicate(clean, node.keys)
    if state.tables:
        met = state.tables[0].select(list(range(len(node.keys))))
        fresh = _matching(fresh, node.keys, met, "left_anti")
    rows = context.rows(fresh)
    expires = Attribute(new_id(), "expires", TIMESTAMP)
    delay = Literal(context.delay_ms * 1000, LONG)
    micros = Call("unix_micros", (time,), LONG, True)
    until = Call("timestamp_micros", (Call("+", (micros, delay), LONG, True),), TIMESTAMP, True)
    items = (*[Alias(k, k.name, new_id()) for k in node.keys], Alias(until, "expires", expires.expr_id))
    keys = context.rows(Project(local(node.output, rows), items))
    kept = joined(state.tables[0] if state.tables else None, keys)
    columns = (*[Attribute(i.expr_id, i.name, k.dtype) for i, k in zip(items[:-1], node.keys, strict=True)], expires)
    left = context.collect(Filter(local(columns, kept), _after(expires, context.watermark_ms)))
    state.rows_updated, state.rows_removed = keys.num_rows, kept.num_rows - left.num_rows
    state.tables = (left,)
    return local(node.output, rows)


def _after(column: Attribute, watermark_ms: int) -> Expression:
    return Call(">", (column, Literal(watermark_ms * 1000, TIMESTAMP)), BOOLEAN, True)


# ---- limit and join --------------------------------------------------------------------------------------
def run_limit(node: Limit, context: StateContext) -> LogicalPlan:
    """The first rows of the whole stream."""
    state = context.next_state("globalLimit")
    before = state.tables[0].column(0)[0].as_py() if state.tables else 0
    left = max(0, (node.limit or 0) - before)
    rows = context.rows(replace(node, limit=left))
    state.tables = (pa.table({"rows": pa.array([before + rows.num_rows], pa.int64())}),)
    state.rows_updated = 1
    return local(node.output, rows)


def run_join(node: Join, context: StateContext) -> LogicalPlan:
    """Pairs of which one row at least is new."""
    state = context.next_state("symmetricHashJoin")
    new_left, new_right = context.rows(node.left), context.rows(node.right)
    left, right = state.tables if state.tables else (None, None)
    all_right = joined(right, new_right)
    pairs = _pairs(node, new_left, all_right, context)
    if left is not None:
        pairs = joined(pairs, _pairs(node, left, new_right, context))
    state.tables = (joined(left, new_left), all_right)
    state.rows_updated = new_left.num_rows + new_right.num_rows
    return local(node.output, pairs)


def _pairs(node: Join, left: pa.Table, right: pa.Table, context: StateContext) -> pa.Table:
    return context.rows(replace(node, left=local(node.left.output, left), right=local(node.right.output, right)))
