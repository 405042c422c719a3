"""Filters move towards the leaves; in inner joins they become join conditions, and order the joins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from voltray.driver.optimizer.join_order import join_inputs, joined_in_order
from voltray.driver.optimizer.traversal import has_python, output_ids
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjunction, conjuncts, is_deterministic, substitute
from voltray.proto.expressions import Alias, Attribute, Expression, WindowCall, references, walk

# Substituted into a condition below a projection only while that stays small.
_LARGEST_VALUE = 24
# A condition that has grown beyond this on its way stays: long chains of projections would square the work.
_LARGEST_CONDITION = 60


@dataclass(frozen=True, slots=True)
class Part:
    """One conjunct of a filter on its way down, with the columns that it reads."""

    condition: Expression
    reads: frozenset[int]


Parts = tuple[Part, ...]


def push_down_filters(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Move every filter as deep as it goes."""
    return _pushed(plan, ())


def parts_of(condition: Expression | None) -> Parts:
    """The conjuncts of a condition."""
    return tuple([Part(c, references(c)) for c in conjuncts(condition)])


def filtered(plan: LogicalPlan, parts: Iterable[Part]) -> LogicalPlan:
    """The plan under a filter of these parts."""
    condition = conjunction([p.condition for p in parts])
    return plan if condition is None else logical.Filter(plan, condition)


def _pushed(node: LogicalPlan, parts: Parts) -> LogicalPlan:
    """The node with all parts applied to its rows, as deep as may be."""
    rule = _RULES.get(type(node))
    if rule is not None:
        return rule(node, parts)
    children = tuple([_pushed(c, ()) for c in logical.children_of(node)])
    return filtered(logical.with_children(node, children) if children else node, parts)


def _split(parts: Parts, test: Callable[[Part], bool]) -> tuple[Parts, Parts]:
    kept: list[Part] = []
    rest: list[Part] = []
    for part in parts:
        (kept if test(part) else rest).append(part)
    return tuple(kept), tuple(rest)


def _filter(node: logical.Filter, parts: Parts) -> LogicalPlan:
    below: LogicalPlan = node
    levels = [parts]
    while isinstance(below, logical.Filter):
        own = parts_of(below.condition)
        if not all(is_deterministic(p.condition) for p in own):
            break
        levels.append(own)
        below = below.child
    merged = tuple([part for level in reversed(levels) for part in level])
    if isinstance(below, logical.Filter):
        # What is above a random condition must see the same rows as before.
        return filtered(replace(below, child=_pushed(below.child, ())), merged)
    return _pushed(below, merged)


def _project(node: logical.Project, parts: Parts) -> LogicalPlan:
    if not parts:
        return replace(node, child=_pushed(node.child, ()))
    values = {i.expr_id: i.child for i in node.items if isinstance(i, Alias)}
    simple: dict[int, bool] = {}
    down, stay = [], []
    for part in parts:
        computed = part.reads.intersection(values)
        if not computed:
            down.append(part)
        elif _is_small(part.condition) and all(_is_simple(i, values, simple) for i in computed):
            moved = substitute(part.condition, values)
            down.append(Part(moved, references(moved)))
        else:
            stay.append(part)
    if stay and any(not is_deterministic(i) for i in node.items if isinstance(i, Alias)):
        down, stay = [], list(parts)
    return filtered(replace(node, child=_pushed(node.child, tuple(down))), stay)


def _is_small(condition: Expression) -> bool:
    return sum(1 for _ in islice(walk(condition), _LARGEST_CONDITION + 1)) <= _LARGEST_CONDITION


def _is_simple(expr_id: int, values: dict[int, Expression], known: dict[int, bool]) -> bool:
    if expr_id not in known:
        value = values[expr_id]
        size = 0
        for _ in walk(value):
            size += 1
            if size > _LARGEST_VALUE:
                break
        known[expr_id] = size <= _LARGEST_VALUE and is_deterministic(value) and not has_python(value)
    return known[expr_id]


def _join(node: logical.Join, parts: Parts) -> LogicalPlan:
    if node.kind in ("inner", "cross") and not node.lateral:
        return _inner_join(node, parts)
    left_ids, right_ids = output_ids(node.left), output_ids(node.right)
    conditions = parts_of(node.condition)
    to_left: Parts = ()
    to_right: Parts = ()
    rest = parts
    if node.kind in ("left", "left_semi", "left_anti", "existence", "left_single"):
        to_left, rest = _split(parts, lambda p: p.reads <= left_ids)
        if not node.null_aware and not node.lateral:
            to_right, conditions = _split(conditions, lambda p: bool(p.reads) and p.reads <= right_ids)
        if node.kind == "left_semi":
            more, conditions = _split(conditions, lambda p: bool(p.reads) and p.reads <= left_ids)
            to_left += more
    elif node.kind == "right":
        to_right, rest = _split(parts, lambda p: p.reads <= right_ids)
        to_left, conditions = _split(conditions, lambda p: bool(p.reads) and p.reads <= left_ids)
    joined = replace(
        node,
        left=_pushed(node.left, to_left),
        right=_pushed(node.right, to_right),
        condition=conjunction([c.condition for c in conditions]),
    )
    return filtered(joined, rest)


def _inner_join(node: logical.Join, parts: Parts) -> LogicalPlan:
    inputs, conditions = join_inputs(node)
    own = tuple([part for c in conditions for part in parts_of(c)])
    everything = own + parts
    ids = [output_ids(plan) for plan in inputs]
    pushed: list[LogicalPlan] = []
    for plan, columns in zip(inputs, ids, strict=True):
        mine, everything = _split(everything, _reads_only(columns))
        pushed.append(_pushed(plan, mine))
    if len(inputs) == 2:
        condition = conjunction([p.condition for p in everything])
        kind = "inner" if condition is not None else node.kind
        return replace(node, left=pushed[0], right=pushed[1], condition=condition, kind=kind)
    joined = joined_in_order(pushed, [(p.condition, p.reads) for p in everything])
    return joined if joined.output == node.output else logical.Project(joined, node.output)


def _reads_only(columns: frozenset[int]) -> Callable[[Part], bool]:
    return lambda part: bool(part.reads) and part.reads <= columns


def _aggregate(node: logical.Aggregate, parts: Parts) -> LogicalPlan:
    groups = frozenset([g.expr_id for g in node.groups])
    down, rest = _split(parts, lambda p: bool(p.reads) and p.reads <= groups)
    return filtered(replace(node, child=_pushed(node.child, down)), rest)


def _window(node: logical.Window, parts: Parts) -> LogicalPlan:
    shared: frozenset[int] | None = None
    for item in node.items:
        call = item.child
        keys = call.partition_by if isinstance(call, WindowCall) else ()
        ids = frozenset([k.expr_id for k in keys if isinstance(k, Attribute)])
        shared = ids if shared is None else shared & ids
    down, rest = _split(parts, lambda p: bool(p.reads) and p.reads <= (shared or frozenset()))
    return filtered(replace(node, child=_pushed(node.child, down)), rest)


def _union(node: logical.Union, parts: Parts) -> LogicalPlan:
    children = []
    for child in node.children:
        values = {a.expr_id: c for a, c in zip(node.attributes, child.output, strict=True)}
        mine = [substitute(p.condition, values) for p in parts]
        children.append(_pushed(child, tuple([Part(c, references(c)) for c in mine])))
    return replace(node, children=tuple(children))


def _same_rows(node: logical.SameOutput, parts: Parts) -> LogicalPlan:
    """Nodes that only order or place rows."""
    return replace(node, child=_pushed(node.child, parts))


def _deduplicate(node: logical.Deduplicate, parts: Parts) -> LogicalPlan:
    keys = frozenset([k.expr_id for k in node.keys])
    down, rest = _split(parts, lambda p: p.reads <= keys)
    return filtered(replace(node, child=_pushed(node.child, down)), rest)


def _generate(node: logical.Generate, parts: Parts) -> LogicalPlan:
    ids = output_ids(node.child)
    down, rest = _split(parts, lambda p: p.reads <= ids)
    return filtered(replace(node, child=_pushed(node.child, down)), rest)


def _set_operation(node: logical.SetOperation, parts: Parts) -> LogicalPlan:
    values = {a.expr_id: b for a, b in zip(node.left.output, node.right.output, strict=True)}
    theirs = [substitute(p.condition, values) for p in parts]
    right = tuple([Part(c, references(c)) for c in theirs])
    return replace(node, left=_pushed(node.left, parts), right=_pushed(node.right, right))


def _file_scan(node: logical.FileScan, parts: Parts) -> LogicalPlan:
    usable = [p.condition for p in parts if p.reads and not has_python(p.condition)]
    if not usable or node.limit is not None:
        return filtered(node, parts)
    predicate = conjunction([*conjuncts(node.predicate), *usable])
    return filtered(replace(node, predicate=predicate), parts)


_RULES: dict[type[LogicalPlan], Callable[..., LogicalPlan]] = {
    logical.Filter: _filter,
    logical.Project: _project,
    logical.Join: _join,
    logical.Aggregate: _aggregate,
    logical.Window: _window,
    logical.Union: _union,
    logical.Sort: _same_rows,
    logical.Repartition: _same_rows,
    logical.Deduplicate: _deduplicate,
    logical.Generate: _generate,
    logical.SetOperation: _set_operation,
    logical.FileScan: _file_scan,
}
