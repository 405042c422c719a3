"""Inner joins of several plans, put into an order in which each plan meets one that it has a condition with."""

from __future__ import annotations

from collections.abc import Sequence

from voltray.driver.optimizer.traversal import output_ids
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjunction
from voltray.driver.plan.row_estimates import estimated_rows
from voltray.proto.expressions import Call, Expression

Condition = tuple[Expression, frozenset[int]]
# Spark's own bound (joinReorder.dp.threshold) for orders by estimates.
_MOST_ESTIMATED = 12


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
    """A left-deep tree: always the next input that an equality ties to those before it.

    It is the next in the order given, or, where ANALYZE TABLE counted the rows of all inputs, the one that leaves the
    fewest rows.
    """
    waiting, open_conditions = list(inputs), list(conditions)
    is_known = len(waiting) <= _MOST_ESTIMATED and all(map(_has_statistics, waiting))
    plan = waiting.pop(_start(waiting, open_conditions) if is_known else 0)
    columns = output_ids(plan)
    while waiting:
        tied = _tied(waiting, columns, open_conditions)
        if is_known:
            rows = {i: _rows_joined(plan, waiting[i], open_conditions) for i in tied or range(len(waiting))}
            place = min(rows, key=rows.__getitem__)
        else:
            place = tied[0] if tied else 0
        right = waiting.pop(place)
        columns |= output_ids(right)
        plan = _joined(plan, right, open_conditions)
        open_conditions = [(c, reads) for c, reads in open_conditions if not reads <= columns]
    return plan


def _joined(left: LogicalPlan, right: LogicalPlan, conditions: Sequence[Condition]) -> logical.Join:
    columns = output_ids(left) | output_ids(right)
    condition = conjunction([c for c, reads in conditions if reads <= columns])
    return logical.Join(left, right, "cross" if condition is None else "inner", condition)


def _tied(waiting: Sequence[LogicalPlan], columns: frozenset[int], conditions: Sequence[Condition]) -> list[int]:
    """Which plans an equality ties to columns."""
    found = []
    for place, plan in enumerate(waiting):
        mine = output_ids(plan)
        for condition, reads in conditions:
            is_equality = isinstance(condition, Call) and condition.name in ("==", "<=>")
            if is_equality and reads & mine and reads & columns and reads <= mine | columns:
                found.append(place)
                break
    return found


def _has_statistics(plan: LogicalPlan) -> bool:
    """Whether the rows of all files that a plan reads were counted."""
    scans = [node for node in logical.walk(plan) if isinstance(node, logical.FileScan)]
    return bool(scans) and all(any(name == "rows" for name, _ in scan.statistics) for scan in scans)


def _start(waiting: Sequence[LogicalPlan], conditions: Sequence[Condition]) -> int:
    """The first of the two plans that leave the fewest rows together."""
    rows: dict[int, float] = {}
    for place, plan in enumerate(waiting[:-1]):
        for other in _tied(waiting[place + 1 :], output_ids(plan), conditions):
            joined = _rows_joined(plan, waiting[place + 1 + other], conditions)
            rows[place] = min(joined, rows.get(place, joined))
    return min(rows, key=rows.__getitem__, default=0)


def _rows_joined(left: LogicalPlan, right: LogicalPlan, conditions: Sequence[Condition]) -> float:
    return estimated_rows(_joined(left, right, conditions)).kept
