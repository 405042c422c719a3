"""Projections right above one another become one; those that change nothing go."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import is_deterministic, substitute
from voltray.proto.expressions import Alias, Attribute, Call, Expression, Literal, walk

# Beyond this, a merged expression costs more to handle than the projection that it saves.
_LARGEST = 200
_LEFT_ALONE = frozenset(("explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "stack"))


def collapse_projects(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Merge neighbouring projections, bottom up."""
    sizes: dict[int, int] = {}
    return transform_up(plan, lambda node: _collapsed(node, sizes))


def _collapsed(node: LogicalPlan, sizes: dict[int, int]) -> LogicalPlan:
    if not isinstance(node, logical.Project):
        return node
    if isinstance(node.child, logical.Project):
        merged = _merged(node, node.child)
        if merged is not None:
            return _unless_idle(merged)
    return _unless_idle(node)


def _unless_idle(node: logical.Project) -> LogicalPlan:
    output = node.child.output
    if len(output) != len(node.items) or not output:
        return node
    same = all(
        isinstance(i, Attribute) and i.expr_id == a.expr_id and i.name == a.name and i.nullable == a.nullable
        and i.metadata == a.metadata
        for i, a in zip(node.items, output, strict=True)
    )  # fmt: skip
    return node.child if same else node


def _merged(upper: logical.Project, lower: logical.Project) -> logical.Project | None:
    computed = {i.expr_id: i.child for i in lower.items if isinstance(i, Alias)}
    if not computed:
        return logical.Project(lower.child, upper.items)
    uses: Counter[int] = Counter()
    nested: set[int] = set()
    for item in upper.items:
        if isinstance(item, Attribute):
            uses[item.expr_id] += 1
        else:
            inside = [n.expr_id for n in walk(item) if isinstance(n, Attribute)]
            uses.update(inside)
            nested.update(inside)
    for expr_id, value in computed.items():
        # What is only passed on once moves as it is; what goes into other expressions makes them larger.
        if (uses[expr_id] > 1 or expr_id in nested) and not _may_move(value, uses[expr_id]):
            return None
    names = {i.expr_id: i for i in lower.items if isinstance(i, Alias)}
    return logical.Project(lower.child, tuple([_moved(i, computed, names) for i in upper.items]))


def _may_move(value: Expression, uses: int) -> bool:
    if isinstance(value, Attribute | Literal):
        return True
    if uses > 1 or not is_deterministic(value):
        return False
    parts = list(itertools.islice(walk(value), _LARGEST + 1))
    if len(parts) > _LARGEST:
        return False
    return not any(isinstance(n, Call) and n.name in _LEFT_ALONE for n in parts)


def _moved(item: Alias | Attribute, computed: dict[int, Expression], names: dict[int, Alias]) -> Alias | Attribute:
    if isinstance(item, Alias):
        return replace(item, child=substitute(item.child, computed))
    if item.expr_id in computed:
        return Alias(computed[item.expr_id], item.name, item.expr_id, item.metadata or names[item.expr_id].metadata)
    return item
