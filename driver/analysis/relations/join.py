"""Joins: by condition, by names (USING, natural), lateral."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.functions import apply_function, contains_aggregate, find_function
from voltray.driver.analysis.projection import exposed_for
from voltray.driver.analysis.python_conditions import check_python_condition
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.analysis.scope import PlanIndex, Resolved, Scope, merged_plans
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.identifiers import quote
from voltray.proto.expressions import Alias, Attribute, Call, Expression, new_id, to_attribute, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import BOOLEAN, BooleanType, NullType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

_HINTS = {
    "BROADCAST": "broadcast", "BROADCASTJOIN": "broadcast", "MAPJOIN": "broadcast", "MERGE": "merge",
    "SHUFFLE_MERGE": "merge", "MERGEJOIN": "merge", "SHUFFLE_HASH": "shuffle_hash",
    "SHUFFLE_REPLICATE_NL": "replicate",
}  # fmt: skip
_ARROW_TABLE = 302


def resolve_join(relation: r.Join, analysis: Analysis) -> Resolved:
    """Any join but as-of."""
    left = analysis.relation(relation.left)
    right = _right_side(relation, left, analysis)
    names = _natural_names(left, right, analysis) if relation.natural else relation.using
    hint = _hint(relation)
    if names:
        return _using_join(relation, left, right, names, hint, analysis)
    kind = relation.kind
    if relation.natural and kind == "inner" and not names:
        kind = "cross"
    return _conditional_join(relation, kind, left, right, hint, analysis)


def _hint(relation: r.Join) -> str:
    for side, name in ((relation.left, "left"), (relation.right, "right")):
        while isinstance(side, r.SubqueryAlias):
            side = side.child
        if isinstance(side, r.Hint) and side.name.upper() in _HINTS:
            return f"{_HINTS[side.name.upper()]}_{name}"
    return ""


def _right_side(relation: r.Join, left: Resolved, analysis: Analysis) -> Resolved:
    if not relation.lateral:
        return analysis.relation(relation.right)
    parameters = [o for o in analysis.outer if o.parameters]
    inner = replace(analysis, outer=(analysis.over(left.scope), *parameters))
    right = inner.relation(relation.right)
    made = (n for n in logical.walk(right.plan) if isinstance(n, logical.TableFunctionInPython))
    if any(n.call.eval_type == _ARROW_TABLE for n in made):
        raise analysis_error("LATERAL_JOIN_WITH_ARROW_UDTF_UNSUPPORTED", relation.origin)
    return right


def _fitting(attributes: tuple[Attribute, ...], nullable: bool) -> tuple[Attribute, ...]:
    return tuple([replace(a, nullable=True) for a in attributes]) if nullable else attributes


def joined_scope(kind: str, left: Scope, right: Scope) -> Scope:
    """What is visible above a join."""
    plans = merged_plans(left, right)
    if kind in ("left_semi", "left_anti"):
        return Scope(left.attributes, left.hidden, left.qualified_only, plans)
    a = _fitting(left.attributes, kind in ("right", "full"))
    b = _fitting(right.attributes, kind in ("left", "full"))
    hidden = _fitting(left.hidden, kind in ("right", "full")) + _fitting(right.hidden, kind in ("left", "full"))
    return Scope(a + b, hidden, left.qualified_only | right.qualified_only, plans)


def _conditional_join(
    relation: r.Join, kind: str, left: Resolved, right: Resolved, hint: str, analysis: Analysis
) -> Resolved:
    both = _both_sides(left.scope, right.scope)
    condition: Expression | None = None
    if relation.condition is not None:
        resolver = ExpressionResolver(analysis, both)
        typed = resolver.resolve(relation.condition)
        condition = join_condition(typed, analysis, relation.origin)
        _refuse_chance(typed, relation.origin)
        check_python_condition(
            condition, typed.text, kind, left.scope.attributes, right.scope.attributes, relation.origin
        )
    left_plan, right_plan = left.plan, right.plan
    if condition is not None:
        left_plan, right_plan = _with_hidden(left, right, condition)
    scope = joined_scope(kind, left.scope, right.scope)
    if condition is None and kind == "inner":
        kind = "cross" if not relation.lateral else kind
    join = logical.Join(left_plan, right_plan, kind, condition, hint, lateral=relation.lateral)
    if left_plan is not left.plan or right_plan is not right.plan:
        return Resolved(logical.Project(join, scope.attributes), scope)
    return Resolved(join, scope)


def _both_sides(left: Scope, right: Scope) -> Scope:
    """Both inputs' columns, for a condition; plan ids of either side."""
    plans = _joined_plans(left, right)
    return Scope(
        left.attributes + right.attributes,
        left.hidden + right.hidden,
        left.qualified_only | right.qualified_only,
        plans,
    )


def _joined_plans(left: Scope, right: Scope) -> PlanIndex:
    """Both sides' DataFrames for the condition; the sides keep their own indexes for what comes above."""
    return merged_plans(replace(left, plans=left.plans.copy()), replace(right, plans=right.plans.copy()))


def _with_hidden(
    left: Resolved, right: Resolved, condition: Expression
) -> tuple[logical.LogicalPlan, logical.LogicalPlan]:
    from voltray.proto.expressions import references

    missing = references(condition) - left.scope.ids - right.scope.ids
    if not missing:
        return left.plan, right.plan
    hidden_left = [a for a in left.scope.hidden if a.expr_id in missing]
    hidden_right = [a for a in right.scope.hidden if a.expr_id in missing]
    left_plan, _ = exposed_for(left.plan, left.scope.attributes, hidden_left)
    right_plan, _ = exposed_for(right.plan, right.scope.attributes, hidden_right)
    return left_plan, right_plan


def join_condition(typed: Typed, analysis: Analysis, origin: QueryContext | None) -> Expression:
    """A join's condition, which must be Boolean and hold no aggregate."""
    expression = typed.expression
    if contains_aggregate(expression):
        raise analysis_error(
            "UNSUPPORTED_EXPR_FOR_OPERATOR", origin, invalidExprSqls=f'"{typed.text}"'
        )
    if isinstance(typed.dtype, BooleanType):
        return expression
    if isinstance(typed.dtype, NullType):
        return cast_to(expression, BOOLEAN, analysis.environment.ansi)
    raise analysis_error(
        "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE", origin, joinCondition=f'"{typed.text}"',
        conditionType=shown_type(typed.dtype),
    )  # fmt: skip


def _refuse_chance(typed: Typed, origin: QueryContext | None) -> None:
    """A join's condition gives the same answer each time it is asked."""
    for part in walk(typed.expression):
        entry = find_function(part.name) if isinstance(part, Call) else None
        if entry is not None and not entry.deterministic:
            raise analysis_error("INVALID_NON_DETERMINISTIC_EXPRESSIONS", origin, sqlExprs=f'"{typed.text}"')


# ---- by names ------------------------------------------------------------------------------------------
def _natural_names(left: Resolved, right: Resolved, analysis: Analysis) -> tuple[str, ...]:
    sensitive = analysis.environment.case_sensitive
    others = {a.name if sensitive else a.name.lower() for a in right.scope.attributes}
    return tuple([a.name for a in left.scope.attributes if (a.name if sensitive else a.name.lower()) in others])


def _key(name: str, side: Resolved, which: str, analysis: Analysis, origin: QueryContext | None) -> Attribute:
    found = [
        a
        for a in side.scope.attributes
        if a.name == name or (not analysis.environment.case_sensitive and a.name.lower() == name.lower())
    ]
    unique = list({a.expr_id: a for a in found}.values())
    if not unique:
        shown = ", ".join(sorted(quote(a.name) for a in side.scope.attributes))
        raise analysis_error(
            "UNRESOLVED_USING_COLUMN_FOR_JOIN", origin, colName=quote(name), side=which, suggestion=shown
        )
    if len(unique) > 1:
        from voltray.driver.plan.identifiers import quoted

        names = sorted(quoted((*a.qualifier, a.name)) for a in unique)
        raise analysis_error(
            "AMBIGUOUS_REFERENCE", origin, name=quote(name), referenceNames="[" + ", ".join(names) + "]"
        )
    return unique[0]


def _using_join(
    relation: r.Join, left: Resolved, right: Resolved, names: tuple[str, ...], hint: str, analysis: Analysis
) -> Resolved:
    pairs = [
        (_key(n, left, "left", analysis, relation.origin), _key(n, right, "right", analysis, relation.origin))
        for n in names
    ]
    kind = "inner" if relation.kind == "cross" else relation.kind
    resolver = ExpressionResolver(analysis, Scope(left.scope.attributes + right.scope.attributes))
    condition = _equal_pairs(pairs, resolver)
    join = logical.Join(left.plan, right.plan, kind, condition, hint)
    scope = joined_scope(kind, left.scope, right.scope)
    return _using_output(join, scope, pairs, kind, left, right, resolver)


def _equal_pairs(pairs: list[tuple[Attribute, Attribute]], resolver: ExpressionResolver) -> Expression:
    condition: Expression | None = None
    for a, b in pairs:
        equal = apply_function("==", (Typed(a, a.name), Typed(b, b.name)), resolver).expression
        if condition is None:
            condition = equal
        else:
            condition = apply_function("and", (Typed(condition, ""), Typed(equal, "")), resolver).expression
    assert condition is not None
    return condition


def _using_output(
    join: logical.Join,
    scope: Scope,
    pairs: list[tuple[Attribute, Attribute]],
    kind: str,
    left: Resolved,
    right: Resolved,
    resolver: ExpressionResolver,
) -> Resolved:
    by_id = {a.expr_id: a for a in scope.attributes}
    left_keys = [by_id[a.expr_id] for a, _ in pairs]
    right_keys = [by_id[b.expr_id] for _, b in pairs if b.expr_id in by_id]
    keys = {a.expr_id for a in (*left_keys, *right_keys)}
    rest = tuple([a for a in scope.attributes if a.expr_id not in keys])
    if kind == "right":
        items: tuple[Alias | Attribute, ...] = (*right_keys, *rest)
        hidden: tuple[Attribute, ...] = tuple(left_keys)
    elif kind == "full":
        merged = [_coalesced(a, b, resolver) for a, b in zip(left_keys, right_keys, strict=True)]
        items, hidden = (*merged, *rest), (*left_keys, *right_keys)
    else:
        items, hidden = (*left_keys, *rest), tuple(right_keys)
    plan = logical.Project(join, items)
    output = tuple([to_attribute(i) for i in items])
    qualified_only = scope.qualified_only | frozenset([a.expr_id for a in hidden])
    return Resolved(plan, Scope(output, scope.hidden + hidden, qualified_only, scope.plans))


def _coalesced(left: Attribute, right: Attribute, resolver: ExpressionResolver) -> Alias:
    typed = apply_function("coalesce", (Typed(left, left.name), Typed(right, right.name)), resolver)
    return Alias(typed.expression, left.name, new_id())
