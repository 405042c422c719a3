"""Union: the tasks of all children, their columns under the union's ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.expressions import Attribute

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_union(planner: Planner, node: logical.Union) -> Fragment:
    """One task where all children are single and small, else every child's tasks."""
    children = [planner.plan(child) for child in node.children]
    outputs = tuple([_as_child(child.output, node.attributes) for child in children])
    size = sum(child.bytes for child in children)
    if planner.is_single_stage and all(child.is_single for child in children):
        task = operators.Union(tuple([c.tasks[0] for c in children]), outputs, node.attributes)
        return Fragment((task,), node.output, size)
    tasks = [
        operators.Union((task,), (output,), node.attributes)
        for child, output in zip(children, outputs, strict=True)
        for task in child.tasks
    ]
    return Fragment(tuple(tasks), node.output, size)


def _as_child(output: tuple[Attribute, ...], attributes: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple([replace(a, nullable=b.nullable or a.nullable) for a, b in zip(output, attributes, strict=True)])
