"""A result drawn as text, in one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import gather
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_show_string(planner: Planner, node: logical.ShowString) -> Fragment:
    """All rows in one task, which draws them."""
    child = gather(planner, planner.plan(node.child))
    output = node.child.output
    names = tuple([a.name for a in output])
    return child.map(
        lambda task: operators.ShowString(
            task, node.style, node.num_rows, node.truncate, names, node.attributes, output
        ),
        node.output,
    )
