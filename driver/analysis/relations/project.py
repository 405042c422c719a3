"""Select: columns, computed ones, aggregates without grouping, windows, generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import aggregate_select, has_aggregate
from voltray.driver.analysis.projection import project
from voltray.driver.analysis.scope import Resolved, Scope, leaf_scope, scope_over
from voltray.driver.analysis.select_list import Generated, select_items
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_project(relation: r.Project, analysis: Analysis) -> Resolved:
    """A select list over an input (or over one empty row)."""
    child = leaf_scope(logical.OneRow()) if relation.child is None else analysis.relation(relation.child)
    items, lateral = select_items(relation.items, analysis.over(child.scope))
    if any(has_aggregate(i) for i in items):
        return aggregate_select(child, (), items, lateral, analysis, relation.origin)
    return projected(child, items, lateral)


def projected(child: Resolved, items: tuple[object, ...], lateral: bool = False) -> Resolved:
    """Items over an input, whose columns stay in reach of a sort or filter above."""
    plan, output = project(child.plan, child.scope.attributes, items, lateral)  # type: ignore[arg-type]
    generated = any(isinstance(i, Generated) for i in items)
    inner = child.scope if not generated else _with_generated(child.scope, items)
    return Resolved(plan, scope_over(output, child.scope, inner=inner))


def _with_generated(scope: Scope, items: tuple[object, ...]) -> Scope:
    made = [a for i in items if isinstance(i, Generated) for a in i.attributes]
    return Scope(scope.attributes + tuple(made), scope.hidden, scope.qualified_only, scope.plans)
