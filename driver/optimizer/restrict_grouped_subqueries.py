"""An aggregate that is joined by its groups reads only rows of groups which the other side can have.

``part`` filtered to few rows, joined with ``avg(l_quantity)`` of all of ``lineitem`` by part: a semi join with those
parts below the aggregate leaves the groups that are asked for. This is what decorrelated subqueries look like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjuncts, is_deterministic
from voltray.driver.plan.row_estimates import estimated_rows
from voltray.proto.expressions import Alias, Attribute, Call, Expression, new_id, to_attribute
from voltray.proto.types import BOOLEAN

# The other side's keys must be few beside the rows below the aggregate, and few of their own table.
_LARGEST_SHARE_OF_ROWS = 0.2
_LARGEST_SHARE_OF_KEYS = 0.2
_KINDS = ("inner", "left", "left_single")


def restrict_grouped_subqueries(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Put semi joins below the aggregates that a join restricts."""
    return transform_up(plan, _restricted)


def _restricted(node: LogicalPlan) -> LogicalPlan:
    if not isinstance(node, logical.Join) or node.kind not in _KINDS or node.lateral:
        return node
    for left, right in _equalities(node.condition):
        for key, group in ((left, right), (right, left)):
            # The search for keys walks all of the left side: only where there is something to restrict.
            if not (_has(node.right, group) and _is_aggregate(node.right)):
                continue
            source = _few_keys(node.left, key)
            right_side = None if source is None else _with_semi_join(node.right, group, *source)
            if right_side is not None:
                return replace(node, right=right_side)
    return node


def _equalities(condition: Expression | None) -> Iterator[tuple[Attribute, Attribute]]:
    for part in conjuncts(condition):
        if isinstance(part, Call) and part.name == "==":
            left, right = part.args
            if isinstance(left, Attribute) and isinstance(right, Attribute):
                yield left, right


def _has(plan: LogicalPlan, attribute: Attribute) -> bool:
    return any(a.expr_id == attribute.expr_id for a in plan.output)


def _is_aggregate(plan: LogicalPlan) -> bool:
    while isinstance(plan, logical.Project | logical.Filter):
        plan = plan.child
    return isinstance(plan, logical.Aggregate)


def _few_keys(plan: LogicalPlan, key: Attribute) -> tuple[LogicalPlan, Attribute] | None:
    """A small plan without joins that has every value of ``key`` that rows of ``plan`` have, and its attribute."""
    if not _has(plan, key):
        return None
    match plan:
        case logical.Join() if plan.kind in ("inner", "left_semi") and not plan.lateral:
            return _few_keys_of_join(plan, key)
        case logical.Join() if plan.kind in ("left", "left_anti", "left_single", "existence", "cross"):
            found = _few_keys(plan.left, key)
            return found if found is not None or plan.kind != "cross" else _few_keys(plan.right, key)
        case logical.Project():
            value = next(i for i in plan.items if i.expr_id == key.expr_id)
            if isinstance(value, Alias) and isinstance(value.child, Attribute):
                return _few_keys(plan.child, value.child)
            if isinstance(value, Attribute):
                return _few_keys(plan.child, value)
            return None
        case logical.Filter() if not isinstance(plan.child, logical.Leaf):
            return _few_keys(plan.child, key)
        case logical.Filter() | logical.FileScan():
            if isinstance(plan, logical.Filter) and not is_deterministic(plan.condition):
                return None
            return (plan, key) if estimated_rows(plan).share <= _LARGEST_SHARE_OF_KEYS else None
    return None


def _few_keys_of_join(plan: logical.Join, key: Attribute) -> tuple[LogicalPlan, Attribute] | None:
    """In the side that has the key, or in the other one through an equality."""
    equal = [key]
    for left, right in _equalities(plan.condition):
        if left.expr_id == key.expr_id:
            equal.append(right)
        elif right.expr_id == key.expr_id:
            equal.append(left)
    for attribute in equal:
        for side in (plan.left, plan.right):
            if (found := _few_keys(side, attribute)) is not None:
                return found
    return None


def _with_semi_join(plan: LogicalPlan, group: Attribute, keys: LogicalPlan, key: Attribute) -> LogicalPlan | None:
    match plan:
        case logical.Project():
            value = next((i for i in plan.items if i.expr_id == group.expr_id), None)
            if isinstance(value, Alias):
                value = value.child if isinstance(value.child, Attribute) else None
            child = None if value is None else _with_semi_join(plan.child, value, keys, key)
        case logical.Filter() if is_deterministic(plan.condition):
            child = _with_semi_join(plan.child, group, keys, key)
        case logical.Aggregate() if any(g.expr_id == group.expr_id for g in plan.groups):
            if estimated_rows(keys).kept > _LARGEST_SHARE_OF_ROWS * estimated_rows(plan.child).kept:
                return None
            if group.dtype != key.dtype:
                return None
            copy = Alias(key, key.name, new_id())
            condition = Call("==", (group, to_attribute(copy)), BOOLEAN, group.nullable or key.nullable)
            child = logical.Join(plan.child, logical.Project(keys, (copy,)), "left_semi", condition)
        case _:
            return None
    return None if child is None else replace(plan, child=child)
