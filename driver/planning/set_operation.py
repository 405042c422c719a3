"""intersect and except: equal rows of both sides meet in one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import together
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_set_operation(planner: Planner, node: logical.SetOperation) -> Fragment:
    """Both sides by all their columns."""
    left, right = planner.plan(node.left), planner.plan(node.right)
    left, right = together(planner, (left, right), (left.output, right.output))
    tasks = [
        operators.SetOperation(a, b, node.kind, node.is_all, left.output, right.output)
        for a, b in zip(left.tasks, right.tasks, strict=True)
    ]
    return Fragment(tuple(tasks), node.output, left.bytes)
