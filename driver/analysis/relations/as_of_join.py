"""As-of joins: each left row with the nearest right row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.relations.columns import call
from voltray.driver.analysis.scope import Resolved, Scope, merged_plans
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.proto.expressions import Expression

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

DIRECTIONS = ("backward", "forward", "nearest")
KINDS = {"inner": "inner", "left": "left", "leftouter": "left", "left_outer": "left"}


def resolve_as_of_join(relation: r.AsOfJoin, analysis: Analysis) -> Resolved:
    """pandas-on-Spark's as-of join, on an ordering column of each side and an optional condition."""
    left, right = analysis.relation(relation.left), analysis.relation(relation.right)
    direction = relation.direction.lower()
    if direction not in DIRECTIONS:
        shown = ", ".join([f'"{d}"' for d in DIRECTIONS])
        raise analysis_error("AS_OF_JOIN.UNSUPPORTED_DIRECTION", direction=relation.direction, supported=shown)
    kind = KINDS.get(relation.kind.lower())
    if kind is None:
        raise analysis_error("UNSUPPORTED_JOIN_TYPE", typ=relation.kind, supported='"inner", "left", "leftouter"')
    plans = merged_plans(left.scope, right.scope)
    both = Scope((*left.scope.attributes, *right.scope.attributes), plans=plans)
    resolver = analysis.over(both)
    condition = resolver.resolve(_condition(relation, left, right)).expression if _has_condition(relation) else None
    tolerance = resolver.resolve(relation.tolerance).expression if relation.tolerance is not None else None
    plan = logical.AsOfJoin(
        left.plan,
        right.plan,
        analysis.over(left.scope).resolve(relation.left_as_of).expression,
        analysis.over(right.scope).resolve(relation.right_as_of).expression,
        condition,
        kind,
        tolerance,
        relation.allow_exact_matches,
        direction,
    )
    return Resolved(plan, Scope(plan.output, plans=plans))


def _has_condition(relation: r.AsOfJoin) -> bool:
    return relation.condition is not None or bool(relation.using)


def _condition(relation: r.AsOfJoin, left: Resolved, right: Resolved) -> Expression:
    if relation.condition is not None:
        return relation.condition
    result: Expression | None = None
    for name in relation.using:
        pair = [next(a for a in side.scope.attributes if a.name.lower() == name.lower()) for side in (left, right)]
        equal = call("==", *pair)
        result = equal if result is None else call("and", result, equal)
    assert result is not None
    return result
