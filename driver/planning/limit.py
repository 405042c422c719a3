"""Limits: what each task may keep, then one task that takes the rows asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import gather
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

TOP_K_ROWS = 1_000_000


def plan_limit(planner: Planner, node: logical.Limit) -> Fragment:
    """A limit over a global sort takes each task's first rows alone."""
    last = None if node.limit is None else node.limit + node.offset
    sort = node.child
    if isinstance(sort, logical.Sort) and sort.is_global and not node.tail and last is not None and last <= TOP_K_ROWS:
        return _top_k(planner, node, sort, last)
    child = planner.plan(node.child)
    if not child.is_single:
        if last is not None:
            child = child.map(lambda task: operators.Limit(task, last, 0, node.tail), node.output)
        child = gather(planner, child)
    return child.map(lambda task: operators.Limit(task, node.limit, node.offset, node.tail), node.output)


def _top_k(planner: Planner, node: logical.Limit, sort: logical.Sort, last: int) -> Fragment:
    child = planner.plan(sort.child)
    first = child.map(lambda task: operators.TopK(task, sort.orders, last), node.output)
    if not child.is_single:
        first = gather(planner, first).map(lambda task: operators.TopK(task, sort.orders, last), node.output)
    if not node.offset:
        return first
    return first.map(lambda task: operators.Limit(task, node.limit, node.offset), node.output)
