"""Distinct aggregates in parts: each task drops its own duplicates before rows are spread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import by_hash
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, Expression, Literal, new_id, to_attribute

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def distinct_arguments(node: logical.Aggregate) -> tuple[Expression, ...] | None:
    """The arguments that all aggregates are distinct in, or None where they are not all so."""
    shared: tuple[Expression, ...] | None = None
    for alias in node.aggregates:
        call = alias.child
        if not isinstance(call, AggregateCall) or not call.distinct or call.filter is not None or call.order_by:
            return None
        if shared is not None and call.args != shared:
            return None
        shared = call.args
    return shared


def by_distinct_arguments(node: logical.Aggregate) -> tuple[tuple[Alias, ...], ...]:
    """The aggregates in groups that are distinct in the same arguments; the plain ones are a group too."""
    groups: dict[tuple[Expression, ...], list[Alias]] = {}
    for alias in node.aggregates:
        call = alias.child
        is_distinct = isinstance(call, AggregateCall) and call.distinct
        groups.setdefault(call.args if is_distinct and isinstance(call, AggregateCall) else (), []).append(alias)
    return tuple([tuple(group) for group in groups.values()])


def without_duplicates(
    planner: Planner, child: Fragment, node: logical.Aggregate, arguments: tuple[Expression, ...]
) -> tuple[Fragment, logical.Aggregate]:
    """The rows with each combination of groups and arguments once, and the aggregation that is right for those."""
    computed = [Alias(a, "argument", new_id()) for a in arguments if not isinstance(a, Attribute | Literal)]
    columns = iter(computed)
    args = tuple([a if isinstance(a, Attribute | Literal) else to_attribute(next(columns)) for a in arguments])
    keys = tuple({a.expr_id: a for a in (*node.groups, *args) if isinstance(a, Attribute)}.values())
    items: tuple[Alias | Attribute, ...] = (
        *node.groups,
        *[a for a in arguments if isinstance(a, Attribute)],
        *computed,
    )
    narrow = child.map(lambda task: operators.Project(task, items), keys)
    first = narrow.map(lambda task: operators.Deduplicate(task, keys), keys)
    spread = by_hash(planner, first, node.groups or keys) if keys else first
    once = spread.map(lambda task: operators.Deduplicate(task, keys), keys)
    return once, replace(node, aggregates=tuple([_plain(a, args) for a in node.aggregates]))


def _plain(alias: Alias, args: tuple[Expression, ...]) -> Alias:
    call = alias.child
    assert isinstance(call, AggregateCall)
    return replace(alias, child=replace(call, args=args, distinct=False))
