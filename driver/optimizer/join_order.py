"""Inner joins of several plans, put into an order in which each plan meets one that it has a condition with."""

from __future__ import annotations

from collections.abc import Sequence

from voltray.driver.optimizer.traversal import output_ids
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjunction
from voltray.proto.expressions import Call, Expression

Condition = tuple[Expression, frozenset[int]]


def join_inputs(node: logical.Join) -> tuple[list[LogicalPlan], list[Expression]]:
    """The plans that a tree of inner and cross joins joins, from left to right, and its conditions."""
    inputs: list[LogicalPlan] = []
    conditions: list[Expression] = []
    stack: list[LogicalPlan] = [node.right, node.left]
    if node.condition is not None:
        conditions.append(node.condition)
    while stack:
        plan = stack.pop()
        if _is_plain(plan) and not node.hint:
            assert isinstance(plan, logical.Join)
            stack.extend((plan.right, plan.left))
            if plan.condition is not None:
                conditions.append(plan.condition)
        else:
            inputs.append(plan)
    return inputs, conditions


def _is_plain(plan: LogicalPlan) -> bool:
    return isinstance(plan, logical.Join) and plan.kind in ("inner", "cross") and not plan.lateral and not plan.hint


def joined_in_order(inputs: Sequence[LogicalPlan], conditions: Sequence[Condition]) -> LogicalPlan:
    """A left-deep tree: always the next input, in the order given, that an equality ties to those before it."""
    plan, waiting, open_conditions = inputs[0], list(inputs[1:]), list(conditions)
    columns = output_ids(plan)
    while waiting:
        place = _next(waiting, columns, open_conditions)
        right = waiting.pop(place)
        columns |= output_ids(right)
        ready = [c for c, reads in open_conditions if reads <= columns]
        open_conditions = [(c, reads) for c, reads in open_conditions if not reads <= columns]
        condition = conjunction(ready)
        plan = logical.Join(plan, right, "cross" if condition is None else "inner", condition)
    return plan


def _next(waiting: Sequence[LogicalPlan], columns: frozenset[int], conditions: Sequence[Condition]) -> int:
    for place, plan in enumerate(waiting):
        mine = output_ids(plan)
        for condition, reads in conditions:
            is_equality = isinstance(condition, Call) and condition.name in ("==", "<=>")
            if is_equality and reads & mine and reads & columns and reads <= mine | columns:
                return place
    return 0
