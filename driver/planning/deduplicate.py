"""One row for each value of some columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import by_hash, gather
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_deduplicate(planner: Planner, node: logical.Deduplicate) -> Fragment:
    """Each task drops its own duplicates before rows are spread by the keys, and then those that met."""
    child = planner.plan(node.child)
    first = child.map(lambda task: operators.Deduplicate(task, node.keys), node.output)
    if child.is_clustered_by(node.keys):
        return first
    spread = by_hash(planner, first, node.keys) if node.keys else gather(planner, first)
    return spread.map(lambda task: operators.Deduplicate(task, node.keys), node.output)
