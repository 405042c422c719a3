"""Windows: rows of one partition key in one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import by_hash, gather
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.expressions import Attribute, WindowCall

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_window(planner: Planner, node: logical.Window) -> Fragment:
    """Spread by the partition keys that all items share."""
    child = planner.plan(node.child)
    keys = _partition_keys(node)
    spread = by_hash(planner, child, keys) if keys else gather(planner, child)
    return spread.map(lambda task: operators.Window(task, node.items), node.output)


def _partition_keys(node: logical.Window) -> tuple[Attribute, ...]:
    shared: tuple[Attribute, ...] | None = None
    for item in node.items:
        call = item.child
        keys = call.partition_by if isinstance(call, WindowCall) else ()
        attributes = tuple([k for k in keys if isinstance(k, Attribute)])
        if shared is None:
            shared = attributes
        else:
            ids = {a.expr_id for a in attributes}
            shared = tuple([k for k in shared if k.expr_id in ids])
    return shared or ()
