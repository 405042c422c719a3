"""Pipe operators: select lists that may not aggregate, assignments, aggregations with their groups first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import aggregate_select, has_aggregate
from voltray.driver.analysis.errors import analysis_error, unresolved_column
from voltray.driver.analysis.lateral_aliases import GroupAliases
from voltray.driver.analysis.relations.project import projected
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.analysis.scope import Resolved, Scope
from voltray.driver.analysis.select_list import Generated, Item, select_items
from voltray.driver.plan import pipes as p
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedStar
from voltray.proto.expressions import AggregateCall, Alias, Attribute, Expression, Literal, new_id, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import IntegerType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_pipe_input(relation: p.PipeInput, analysis: Analysis) -> Resolved:
    """The columns before a ``|>``, without what they were selected from."""
    child = analysis.relation(relation.child)
    scope = child.scope
    return Resolved(child.plan, Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans))


def resolve_pipe_select(relation: p.PipeSelect, analysis: Analysis) -> Resolved:
    """``|> SELECT`` and ``|> EXTEND``."""
    child = analysis.relation(relation.child)
    if relation.clause == "EXTEND":
        _refuse_stars(relation.items[1:])
    items, lateral = select_items(relation.items, analysis.over(child.scope))
    written = relation.items if len(relation.items) == len(items) else (None,) * len(items)
    for item, source in zip(items, written, strict=True):
        _refuse_aggregate(item, relation.clause, _origin_of(source))
    return _without_inner(projected(child, items, lateral))


def resolve_pipe_set(relation: p.PipeSet, analysis: Analysis) -> Resolved:
    """``|> SET name = value``."""
    child = analysis.relation(relation.child)
    _refuse_stars((relation.value,))
    target = _column(relation.name, child, analysis, relation.origin)
    value = UnresolvedAlias(relation.value, (target.name,))
    items, _ = select_items((value,), analysis.over(child.scope), lateral=False)
    _refuse_aggregate(items[0], "SET", _origin_of(relation.value))
    output = tuple([items[0] if a.expr_id == target.expr_id else a for a in child.scope.attributes])
    return _without_inner(projected(child, output))


def resolve_pipe_drop(relation: p.PipeDrop, analysis: Analysis) -> Resolved:
    """``|> DROP names``."""
    child = analysis.relation(relation.child)
    dropped = [_column(n, child, analysis, relation.origin).expr_id for n in relation.names]
    if len(set(dropped)) < len(dropped):
        raise analysis_error("EXCEPT_OVERLAPPING_COLUMNS", relation.origin, columns=", ".join(relation.names))
    kept = tuple([a for a in child.scope.attributes if a.expr_id not in dropped])
    return _without_inner(projected(child, kept))


def _column(name: str, child: Resolved, analysis: Analysis, origin: QueryContext | None) -> Attribute:
    from voltray.driver.analysis.expressions.attribute import in_scope

    found = in_scope((name,), child.scope, analysis.over(child.scope), origin)
    if found is None or not isinstance(found.expression, Attribute):
        raise unresolved_column((name,), child.scope.attributes, origin)
    return found.expression


# ---- AGGREGATE ------------------------------------------------------------------------------------------
def resolve_pipe_aggregate(relation: p.PipeAggregate, analysis: Analysis) -> Resolved:
    """``|> AGGREGATE items GROUP BY groups``."""
    child = analysis.relation(relation.child)
    resolver = analysis.over(child.scope)
    _refuse_stars(relation.items)
    _refuse_stars(relation.groups, "Aggregate")
    named: list[Alias] = []
    groups: list[Typed] = []
    for group in relation.groups:
        typed = _group(group, child, named, resolver)
        groups.append(typed)
        alias = typed.named()
        if isinstance(group, UnresolvedAlias) and isinstance(alias, Alias):
            named.append(alias)
    items, lateral = select_items(relation.items, resolver)
    for item, source in zip(items, relation.items, strict=True):
        if not _aggregates(item):
            shown = item.text if isinstance(item, Generated) else item.name
            raise analysis_error(
                "PIPE_OPERATOR_AGGREGATE_EXPRESSION_CONTAINS_NO_AGGREGATE_FUNCTION", _origin_of(source), expr=shown
            )
    output = (*[_group_item(g) for g in groups], *items)
    plain = [replace(g, expression=_bare(g.expression)) for g in groups]
    return _without_inner(aggregate_select(child, plain, output, lateral, analysis, relation.origin))


def _group(group: Expression, child: Resolved, named: list[Alias], resolver: ExpressionResolver) -> Typed:
    if isinstance(group, Literal) and isinstance(group.dtype, IntegerType) and not isinstance(group.value, bool):
        columns = child.scope.attributes
        position = int(group.value or 0)
        if not 1 <= position <= len(columns):
            raise analysis_error("GROUP_BY_POS_OUT_OF_RANGE", None, index=position, size=len(columns))
        column = columns[position - 1]
        return Typed(column, column.name, column.name)
    return replace(resolver, lateral=GroupAliases(named)).resolve(group)


def _group_item(group: Typed) -> Item:
    item = group.named()
    return replace(item, expr_id=new_id()) if isinstance(item, Alias) else item


def _bare(expression: Expression) -> Expression:
    return expression.child if isinstance(expression, Alias) else expression


def _aggregates(item: Item) -> bool:
    root = item.generator if isinstance(item, Generated) else item
    return has_aggregate(item) and any(isinstance(n, AggregateCall) for n in walk(root))


# ---- checks ---------------------------------------------------------------------------------------------
def _without_inner(resolved: Resolved) -> Resolved:
    scope = resolved.scope
    return Resolved(resolved.plan, Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans))


def _refuse_aggregate(item: Item, clause: str, origin: QueryContext | None) -> None:
    if not has_aggregate(item):
        return
    root = item.generator if isinstance(item, Generated) else item
    shown = next((n for n in walk(root) if isinstance(n, AggregateCall)), None)
    name = shown.name if shown is not None else ""
    arguments = ", ".join([a.name for a in shown.args if isinstance(a, Attribute)]) if shown is not None else ""
    raise analysis_error(
        "PIPE_OPERATOR_CONTAINS_AGGREGATE_FUNCTION", origin, expr=f"{name}({arguments})", clause=clause
    )


def _refuse_stars(expressions: tuple[Expression, ...], where: str = "expression `pipeexpression`") -> None:
    for expression in expressions:
        if isinstance(expression, UnresolvedStar):
            raise analysis_error("INVALID_USAGE_OF_STAR_OR_REGEX", expression.origin, elem="'*'", prettyName=where)


def _origin_of(expression: Expression | None) -> QueryContext | None:
    if isinstance(expression, UnresolvedAlias):
        return _origin_of(expression.child)
    found = getattr(expression, "origin", None)
    return found if isinstance(found, QueryContext) else None
