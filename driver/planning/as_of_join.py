"""As-of joins: every left row must see all right rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import gather, run_exchange
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.stages import Exchange

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_as_of_join(planner: Planner, node: logical.AsOfJoin) -> Fragment:
    """The right side whole, to each of the left side's tasks."""
    left, right = planner.plan(node.left), planner.plan(node.right)
    if left.is_single:
        build = gather(planner, right).tasks[0]
    else:
        result = run_exchange(planner, right, Exchange("broadcast", 1))
        build = result.read_all(right.output)
    return left.map(
        lambda task: operators.AsOfJoin(
            task,
            build,
            node.left_as_of,
            node.right_as_of,
            node.condition,
            node.kind,
            node.tolerance,
            node.allow_exact_matches,
            node.direction,
            left.output,
            right.output,
        ),
        node.output,
    )
