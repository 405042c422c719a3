"""Repartitioning: real where partitions show (files written, partition ids), free where nobody sees them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import number_of_partitions, run_exchange
from voltray.driver.planning.fragment import Fragment
from voltray.driver.planning.settings import SHUFFLE_PARTITIONS, count_conf
from voltray.driver.planning.sort import spread_by_range
from voltray.proto import operators
from voltray.proto.expressions import Alias, Attribute, Expression, SortOrder, dtype_of, new_id
from voltray.proto.stages import Exchange

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_repartition(planner: Planner, node: logical.Repartition) -> Fragment:
    """The exchange that the kind asks for."""
    child = planner.plan(node.child)
    if not planner.keep_partitions and planner.is_single_stage:
        return child
    if node.kind == "coalesce":
        return _coalesced(planner, child, node.num_partitions or 1)
    count = node.num_partitions or _default_count(planner, child)
    if node.kind == "range":
        return spread_by_range(planner, child, _orders(node.expressions), count)
    return _spread(planner, child, node, count)


def _default_count(planner: Planner, child: Fragment) -> int:
    if planner.keep_partitions:
        return count_conf(planner.context, SHUFFLE_PARTITIONS, 200)
    return number_of_partitions(planner, child.bytes)


def _orders(expressions: tuple[Expression, ...]) -> tuple[SortOrder, ...]:
    return tuple([e if isinstance(e, SortOrder) else SortOrder(e) for e in expressions])


def _spread(planner: Planner, child: Fragment, node: logical.Repartition, count: int) -> Fragment:
    kind = node.kind if node.expressions else "round_robin"
    added = tuple([Alias(e, "key", new_id()) for e in node.expressions if not isinstance(e, Attribute)])
    replaced = iter(added)
    keys = tuple([e if isinstance(e, Attribute) else _as_key(next(replaced)) for e in node.expressions])
    if added:
        items: tuple[Alias | Attribute, ...] = (*child.output, *added)
        child = child.map(lambda task: operators.Project(task, items), (*child.output, *map(_as_key, added)))
    result = run_exchange(planner, child, Exchange(kind, count, keys))
    tasks = tuple([result.read(node.output, i, i) for i in range(count)])
    clustered = tuple([k.expr_id for k in keys]) if kind == "hash" and not added else None
    return Fragment(tasks, node.output, result.total_bytes, clustered)


def _as_key(alias: Alias) -> Attribute:
    return Attribute(alias.expr_id, alias.name, dtype_of(alias))


def _coalesced(planner: Planner, child: Fragment, count: int) -> Fragment:
    """Fewer tasks without an exchange by key: neighbours' outputs are read together."""
    tasks = len(child.tasks)
    if count >= tasks:
        return child
    result = run_exchange(planner, child, Exchange("keep", 1))
    edges = [i * tasks // count for i in range(count + 1)]
    spans = itertools.pairwise(edges)
    reads = tuple([result.read_maps(child.output, a, b - 1) for a, b in spans])
    return Fragment(reads, child.output, result.total_bytes)
