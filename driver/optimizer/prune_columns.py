"""Columns that nobody above reads are not read, computed or carried."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan, expressions_of
from voltray.driver.plan.recursion import ComputedOnce
from voltray.proto.expressions import Attribute, references

Ids = frozenset[int]


def prune_columns(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Keep the plan's own output, and of everything below what that needs."""
    return _pruned(plan, _ids(plan.output))


def _ids(attributes: Iterable[Attribute]) -> Ids:
    return frozenset([a.expr_id for a in attributes])


def _reads(node: LogicalPlan) -> Ids:
    return frozenset().union(*[references(e) for e in expressions_of(node)])


def _pruned(node: LogicalPlan, needed: Ids) -> LogicalPlan:
    """The node with at least the needed columns, in their order."""
    rule = _RULES.get(type(node))
    if rule is not None:
        return rule(node, needed)
    if isinstance(node, logical.SameOutput):
        return replace(node, child=_pruned(node.child, needed | _reads(node)))
    children = tuple([_pruned(c, _ids(c.output)) for c in logical.children_of(node)])
    return logical.with_children(node, children) if children else node


def _only(node: LogicalPlan, needed: Ids) -> LogicalPlan:
    """The node's needed columns alone."""
    output = node.output
    kept = tuple([a for a in output if a.expr_id in needed])
    return node if len(kept) == len(output) else logical.Project(node, kept)


def _project(node: logical.Project, needed: Ids) -> LogicalPlan:
    items = tuple([i for i in node.items if i.expr_id in needed])
    reads: Ids = frozenset().union(*[references(i) for i in items])
    child = _pruned(node.child, reads)
    if len(items) == len(node.items):
        return node if child is node.child else replace(node, child=child)
    return logical.Project(child, items)


def _filter(node: logical.Filter, needed: Ids) -> LogicalPlan:
    reads = references(node.condition)
    child = _pruned(node.child, needed | reads)
    return _only(replace(node, child=child), needed)


def _file_scan(node: logical.FileScan, needed: Ids) -> LogicalPlan:
    reads = needed | (references(node.predicate) if node.predicate is not None else frozenset())
    kept = tuple([a for a in node.attributes if a.expr_id in reads])
    return node if len(kept) == len(node.attributes) else replace(node, attributes=kept)


def _cached(node: logical.CachedData, needed: Ids) -> LogicalPlan:
    ids = node.column_ids or tuple([a.expr_id for a in node.attributes])
    kept = [(a, i) for a, i in zip(node.attributes, ids, strict=True) if a.expr_id in needed]
    if len(kept) == len(node.attributes) or not kept:
        return node
    return replace(node, attributes=tuple([a for a, _ in kept]), column_ids=tuple([i for _, i in kept]))


def _local_data(node: logical.LocalData, needed: Ids) -> LogicalPlan:
    return _only(node, needed)


def _join(node: logical.Join, needed: Ids) -> LogicalPlan:
    reads = needed | (references(node.condition) if node.condition is not None else frozenset())
    left = _only(_pruned(node.left, reads & _ids(node.left.output)), reads)
    right = _only(_pruned(node.right, reads & _ids(node.right.output)), reads)
    return _only(replace(node, left=left, right=right), needed)


def _as_of_join(node: logical.AsOfJoin, needed: Ids) -> LogicalPlan:
    reads = needed | _reads(node)
    left = _pruned(node.left, reads & _ids(node.left.output))
    right = _pruned(node.right, reads & _ids(node.right.output))
    return replace(node, left=left, right=right)


def _union(node: logical.Union, needed: Ids) -> LogicalPlan:
    places = [i for i, a in enumerate(node.attributes) if a.expr_id in needed]
    if len(places) == len(node.attributes) or not places:
        children = tuple([_pruned(c, _ids(c.output)) for c in node.children])
        return replace(node, children=children)
    children = tuple([_columns_at(c, places) for c in node.children])
    return logical.Union(children, tuple([node.attributes[i] for i in places]))


def _columns_at(plan: LogicalPlan, places: list[int]) -> LogicalPlan:
    """The columns at some places, exactly those."""
    output = plan.output
    kept = tuple([output[i] for i in places])
    child = _pruned(plan, _ids(kept))
    if [a.expr_id for a in child.output] == [a.expr_id for a in kept]:
        return child
    return logical.Project(child, kept)


def _aggregate(node: logical.Aggregate, needed: Ids) -> LogicalPlan:
    aggregates = tuple([a for a in node.aggregates if a.expr_id in needed])
    if not aggregates and not node.groups:
        aggregates = node.aggregates[:1]
    reads: Ids = _ids(node.groups).union(*[references(a) for a in aggregates])
    child = _only(_pruned(node.child, reads), reads)
    return replace(node, child=child, aggregates=aggregates)


def _expand(node: logical.Expand, needed: Ids) -> LogicalPlan:
    places = [i for i, a in enumerate(node.attributes) if a.expr_id in needed]
    if not places:
        places = list(range(len(node.attributes)))
    projections = tuple([tuple([p[i] for i in places]) for p in node.projections])
    reads: Ids = frozenset().union(*[references(e) for p in projections for e in p])
    attributes = tuple([node.attributes[i] for i in places])
    return replace(node, child=_pruned(node.child, reads), projections=projections, attributes=attributes)


def _window(node: logical.Window, needed: Ids) -> LogicalPlan:
    items = tuple([i for i in node.items if i.expr_id in needed])
    if not items:
        return _pruned(node.child, needed)
    reads: Ids = frozenset().union(*[references(i) for i in items])
    child = _pruned(node.child, (needed | reads) & _ids(node.child.output))
    return replace(node, child=child, items=items)


def _generate(node: logical.Generate, needed: Ids) -> LogicalPlan:
    reads = (needed | references(node.generator)) & _ids(node.child.output)
    child = _only(_pruned(node.child, reads), reads)
    return _only(replace(node, child=child), needed | _ids(node.attributes))


def _table_function(node: logical.TableFunctionInPython, needed: Ids) -> LogicalPlan:
    own: Ids = frozenset().union(*[references(e) for e in (node.call, *node.keys, *node.orders)])
    reads = (needed | own) & _ids(node.child.output)
    child = _only(_pruned(node.child, reads), reads)
    return _only(replace(node, child=child), needed | _ids(node.attributes))


def _deduplicate(node: logical.Deduplicate, needed: Ids) -> LogicalPlan:
    return replace(node, child=_pruned(node.child, needed | _ids(node.keys)))


def _set_operation(node: logical.SetOperation, needed: Ids) -> LogicalPlan:
    return replace(node, left=_exactly(node.left), right=_exactly(node.right))


def _exactly(plan: LogicalPlan) -> LogicalPlan:
    return _pruned(plan, _ids(plan.output))


def _collect_metrics(node: logical.CollectMetrics, needed: Ids) -> LogicalPlan:
    reads: Ids = needed.union(*[references(m) for m in node.metrics])
    return replace(node, child=_pruned(node.child, reads))


def _computed_once(node: ComputedOnce, needed: Ids) -> LogicalPlan:
    return replace(node, child=_exactly(node.child))


def _show_string(node: logical.ShowString, needed: Ids) -> LogicalPlan:
    return replace(node, child=_exactly(node.child))


_RULES: dict[type[LogicalPlan], Callable[..., LogicalPlan]] = {
    logical.Project: _project,
    logical.Filter: _filter,
    logical.FileScan: _file_scan,
    logical.CachedData: _cached,
    logical.LocalData: _local_data,
    logical.Join: _join,
    logical.AsOfJoin: _as_of_join,
    logical.Union: _union,
    logical.Aggregate: _aggregate,
    logical.Expand: _expand,
    logical.Window: _window,
    logical.Generate: _generate,
    logical.TableFunctionInPython: _table_function,
    logical.Deduplicate: _deduplicate,
    logical.SetOperation: _set_operation,
    logical.CollectMetrics: _collect_metrics,
    logical.ShowString: _show_string,
    ComputedOnce: _computed_once,
}
