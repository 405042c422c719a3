"""Semi joins with few keys move below the inner joins that need not see the rows which they drop.

Follows Spark's PushDownLeftSemiAntiJoin, for semi joins, by estimated sizes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voltray.driver.optimizer.traversal import output_ids, transform_up
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import is_deterministic, substitute
from voltray.driver.plan.row_estimates import estimated_rows
from voltray.proto.expressions import Alias, Attribute, Expression, references

# A semi join moves down where it has at most this share of the rows that it is to thin out.
_LARGEST_SHARE = 0.5
_KEEPS_LEFT_ROWS = ("inner", "cross", "left_semi", "left_anti", "left")


def push_down_semi_joins(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Move every semi join as deep as it pays."""
    return transform_up(plan, _moved)


def _moved(node: LogicalPlan) -> LogicalPlan:
    if not isinstance(node, logical.Join) or node.kind != "left_semi" or node.lateral or node.condition is None:
        return node
    if not is_deterministic(node.condition):
        return node
    below = pushed_semi_join(node.left, node, node.condition)
    return node if below is None else below


def pushed_semi_join(plan: LogicalPlan, semi: logical.Join, condition: Expression) -> LogicalPlan | None:
    """The plan with a semi join below its inner joins; None where it had better stay above."""
    mine = references(condition) - output_ids(semi.right)
    match plan:
        case logical.Join() if not plan.lateral and not plan.hint:
            return _into_join(plan, semi, condition, mine)
        case logical.Project():
            values = {i.expr_id: i.child for i in plan.items if isinstance(i, Alias) and i.expr_id in mine}
            if not all(isinstance(v, Attribute) for v in values.values()):
                return None
            child = pushed_semi_join(plan.child, semi, substitute(condition, values))
        case logical.Filter() if is_deterministic(plan.condition):
            child = pushed_semi_join(plan.child, semi, condition)
        case _:
            return None
    return None if child is None else replace(plan, child=child)


def _into_join(
    plan: logical.Join, semi: logical.Join, condition: Expression, mine: frozenset[int]
) -> LogicalPlan | None:
    sides = {"left": plan.left, "right": plan.right} if plan.kind in ("inner", "cross") else {"left": plan.left}
    if plan.kind not in _KEEPS_LEFT_ROWS:
        return None
    for name, side in sides.items():
        if mine <= output_ids(side):
            deeper = pushed_semi_join(side, semi, condition)
            if deeper is None and estimated_rows(semi.right).kept > _LARGEST_SHARE * estimated_rows(side).kept:
                return None
            placed = deeper if deeper is not None else replace(semi, left=side, condition=condition)
            return replace(plan, **{name: placed})  # type: ignore[arg-type]
    return None
