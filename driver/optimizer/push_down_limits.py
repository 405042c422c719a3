"""Limits move below projections and into unions and scans, to where rows are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import is_deterministic
from voltray.driver.plan.recursion import Recursion


def push_down_limits(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Move every limit as deep as it goes."""
    return transform_up(plan, _pushed)


def _pushed(node: LogicalPlan) -> LogicalPlan:
    if not isinstance(node, logical.Limit) or node.tail or node.limit is None:
        return node
    return _down(node)


def _down(node: logical.Limit) -> LogicalPlan:
    assert node.limit is not None
    last = node.limit + node.offset
    child = node.child
    match child:
        case logical.Project() if all(is_deterministic(i) for i in child.items):
            return replace(child, child=_down(replace(node, child=child.child)))
        case logical.Limit() if not child.tail and not child.offset and not node.offset and child.limit is not None:
            return replace(child, limit=min(child.limit, node.limit))
        case logical.Limit() if not child.tail and child.limit is None:
            return _down(logical.Limit(child.child, node.limit, node.offset + child.offset))
        case logical.Union():
            limited = tuple([_limited(c, last) for c in child.children])
            return replace(node, child=replace(child, children=limited))
        case logical.FileScan() if child.predicate is None:
            return replace(node, child=replace(child, limit=min(last, child.limit or last)))
        case Recursion():
            return replace(node, child=replace(child, limit=last if child.limit is None else min(last, child.limit)))
    return node


def _limited(plan: LogicalPlan, count: int) -> LogicalPlan:
    if isinstance(plan, logical.Limit) and plan.limit is not None and not plan.tail and plan.limit <= count:
        return plan
    return _down(logical.Limit(plan, count))
