"""Subplans that compute the same are one subplan, so that Polars computes it once for a task.

A common table expression that a query names twice is the usual case. Only what costs more than to read it again
is shared: joins and aggregates, over nodes whose rows do not depend on the order in which they come.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from voltray.driver.plan import logical
from voltray.driver.plan.canonical import plan_digests
from voltray.driver.plan.logical import LogicalPlan, children_of, expressions_of, walk, with_children
from voltray.driver.plan.predicates import is_deterministic
from voltray.proto.expressions import Alias

_COSTLY = (logical.Join, logical.Aggregate)
_REPEATABLE = frozenset({
    logical.Aggregate, logical.CachedData, logical.FileScan, logical.Filter, logical.Join, logical.LocalData,
    logical.OneRow, logical.Project, logical.Range, logical.SetOperation, logical.Union, logical.Expand,
})  # fmt: skip


def share_common_subplans(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Replace each later subplan of the same kind by the first one under the later one's names."""
    repeated = _repeated(plan)
    return _shared(plan, *repeated) if repeated else plan


def _repeated(plan: LogicalPlan) -> tuple[dict[int, str], frozenset[str]] | None:
    """Digests by node, and those of costly subplans that stand in the plan more than once."""
    costly = [node for node in walk(plan) if isinstance(node, _COSTLY)]
    if len(costly) < 2:
        return None
    # Digests read all local data: shapes tell first whether anything can be alike at all.
    shapes = _shapes(plan)
    of_shape = Counter(shapes[id(node)] for node in costly)
    alike = [node for node in costly if of_shape[shapes[id(node)]] > 1]
    if not alike:
        return None
    digests: dict[int, str] = {}
    for node in alike:
        if id(node) not in digests:
            digests |= plan_digests(node)
    counts = Counter(digests[id(node)] for node in alike)
    repeated = frozenset(digests[id(n)] for n in alike if counts[digests[id(n)]] > 1 and _is_deterministic(n))
    return (digests, repeated) if repeated else None


def _shapes(plan: LogicalPlan) -> dict[int, int]:
    shapes: dict[int, int] = {}
    for node in reversed(list(walk(plan))):
        below = tuple([shapes[id(child)] for child in children_of(node)])
        shapes[id(node)] = hash((type(node), len(node.output), below))
    return shapes


def _is_deterministic(plan: LogicalPlan) -> bool:
    return all(type(node) in _REPEATABLE and all(map(is_deterministic, expressions_of(node))) for node in walk(plan))


def _shared(plan: LogicalPlan, digests: dict[int, str], repeated: frozenset[str]) -> LogicalPlan:
    first: dict[str, LogicalPlan] = {}
    done: dict[int, LogicalPlan] = {}
    stack: list[tuple[LogicalPlan, bool]] = [(plan, False)]
    while stack:
        node, ready = stack.pop()
        children = children_of(node)
        if not ready and children:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children))
            continue
        built = with_children(node, tuple([done[id(c)] for c in children])) if children else node
        digest = digests.get(id(node))
        if digest in repeated:
            assert digest is not None
            known = first.setdefault(digest, built)
            built = built if known is built else _under_names(known, node)
        done[id(node)] = built
    return done[id(plan)]


def _under_names(known: LogicalPlan, node: LogicalPlan) -> LogicalPlan:
    if known.output == node.output:
        return known
    pairs = zip(known.output, node.output, strict=True)
    return logical.Project(known, tuple([Alias(mine, wanted.name, wanted.expr_id) for mine, wanted in pairs]))
