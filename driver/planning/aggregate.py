"""Aggregation: whole where rows of a group are together, else in parts or after spreading rows by group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.distinct_aggregate import by_distinct_arguments, distinct_arguments, without_duplicates
from voltray.driver.planning.exchange import by_hash, gather
from voltray.driver.planning.fragment import Fragment
from voltray.driver.planning.python import is_python_aggregate, plan_aggregate_in_python
from voltray.executors.functions.catalogue import lookup
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, column_name, to_attribute
from voltray.proto.operators import AggregateMode
from voltray.proto.tasks import BufferAttribute

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_aggregate(planner: Planner, node: logical.Aggregate) -> Fragment:
    """One aggregation, or a partial and a final one, or one after an exchange of the rows."""
    if is_python_aggregate(node):
        return plan_aggregate_in_python(planner, node)
    child = planner.plan(node.child)
    if child.is_single or (node.groups and child.is_clustered_by(node.groups)):
        return _aggregated(child, node, AggregateMode.WHOLE)
    parts = by_distinct_arguments(node) if planner.spills and not node.groups else ()
    if len(parts) > 1:
        return _beside_each_other(planner, child, node, parts)
    return _plan_spread(planner, child, node)


def _plan_spread(planner: Planner, child: Fragment, node: logical.Aggregate) -> Fragment:
    arguments = distinct_arguments(node)
    if arguments:
        child, node = without_duplicates(planner, child, node, arguments)
        if node.groups:
            return _aggregated(child, node, AggregateMode.WHOLE)
    if all(can_split(alias) for alias in node.aggregates):
        return _in_parts(planner, child, node)
    spread = by_hash(planner, child, node.groups) if node.groups else gather(planner, child)
    return _aggregated(spread, node, AggregateMode.WHOLE)


def _beside_each_other(
    planner: Planner, child: Fragment, node: logical.Aggregate, parts: tuple[tuple[Alias, ...], ...]
) -> Fragment:
    """Each part by itself, for its rows are spread by its own arguments; then the single rows together."""
    joined: Fragment | None = None
    for part in parts:
        output = tuple([to_attribute(alias) for alias in part])
        row = _plan_spread(planner, child, replace(node, aggregates=part))
        if joined is None:
            joined = replace(row, output=output)
            continue
        pair = operators.NestedLoopJoin(joined.tasks[0], row.tasks[0], "cross", joined.output, output)
        joined = Fragment((pair,), (*joined.output, *output), row.bytes)
    assert joined is not None
    return joined.map(lambda task: operators.Project(task, node.output), node.output)


def can_split(alias: Alias) -> bool:
    """Whether an aggregate can be computed from buffers of parts of its rows."""
    call = alias.child
    if not isinstance(call, AggregateCall) or call.distinct or call.order_by:
        return False
    function = lookup(call.name)
    return function is not None and function.split is not None


def _aggregated(child: Fragment, node: logical.Aggregate, mode: AggregateMode) -> Fragment:
    return child.map(lambda task: operators.Aggregate(task, node.groups, node.aggregates, mode), node.output)


def _in_parts(planner: Planner, child: Fragment, node: logical.Aggregate) -> Fragment:
    buffers = tuple([b for alias in node.aggregates for b in buffer_attributes(alias)])
    output = (*node.groups, *buffers)
    partial = child.map(
        lambda task: operators.Aggregate(task, node.groups, node.aggregates, AggregateMode.PARTIAL), output
    )
    spread = by_hash(planner, partial, node.groups) if node.groups else gather(planner, partial)
    return _aggregated(spread, node, AggregateMode.FINAL)


def buffer_attributes(alias: Alias) -> tuple[Attribute, ...]:
    """The buffer columns that a partial aggregation puts out for one aggregate."""
    call = alias.child
    assert isinstance(call, AggregateCall)
    function = lookup(call.name)
    assert function is not None and function.split is not None
    prefix = column_name(alias.expr_id)
    return tuple(
        [BufferAttribute(alias.expr_id, f"{prefix}.{name}", dtype) for name, dtype in function.split.buffers(call)]
    )
