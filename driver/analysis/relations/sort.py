"""Sort: by output columns, by columns that the select list left out, by position, by all columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import exposed_over, grouping_call, resolve_over_aggregate
from voltray.driver.analysis.environment import Environment
from voltray.driver.analysis.environment_flags import flag
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.sort_order import sort_key
from voltray.driver.analysis.functions import contains_aggregate
from voltray.driver.analysis.mentions import refuse_generators
from voltray.driver.analysis.over_select import OverSelect
from voltray.driver.analysis.projection import exposed_for, has_window, outer_references, with_windows
from voltray.driver.analysis.relations.filter import trimmed
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.analysis.scope import Resolved, Scope, same_scope
from voltray.driver.analysis.sql_functions import refuse_sql_functions
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedSortOrder
from voltray.proto.expressions import (
    Alias,
    Attribute,
    ExistsSubquery,
    Expression,
    InSubquery,
    Literal,
    ScalarSubquery,
    SortOrder,
    new_id,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.failures import QueryContext, SparkError
from voltray.proto.types import IntegerType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_sort(relation: r.Sort, analysis: Analysis) -> Resolved:
    """Rows in order, of the whole or within partitions."""
    refuse_sql_functions("Sort", relation.orders, analysis.environment)
    for order in relation.orders:
        refuse_generators(order, "Sort", analysis)
    child = analysis.relation(relation.child)
    written = _unfolded(relation, child, analysis)
    if child.scope.aggregate is not None and child.scope.aggregate.is_direct:
        return _over_aggregate(relation, child, written, analysis)
    over = OverSelect(child.scope)

    def replaced(node: Expression, inner: ExpressionResolver) -> Typed | None:
        call = grouping_call(node, child, analysis)
        return call if call is not None else over.replaced(node, inner)

    resolver = analysis.over(child.scope, missing=child.scope.inner is not None, replaced=replaced)
    orders: list[SortOrder] = []
    found = [None if _is_position(order, analysis.environment) else resolver.resolve(order) for order in written]
    positions_first = flag(analysis.environment, "spark.sql.prioritizeOrdinalResolutionInSort.enabled")
    columns = child.scope.attributes if positions_first else _with_missing(child.scope, found)
    for order, key in zip(written, found, strict=True):
        typed = key if key is not None else _position(order, columns, relation)
        assert isinstance(typed.expression, SortOrder)
        if contains_aggregate(typed.expression) and not has_window(typed.expression):
            inner = typed.text.removesuffix(" ASC NULLS FIRST").removesuffix(" DESC NULLS LAST")
            raise analysis_error(
                "UNSUPPORTED_EXPR_FOR_OPERATOR", relation.origin, invalidExprSqls=f'"{inner}"'
            )
        orders.append(typed.expression)
    _refuse_subqueries(orders, relation.origin)
    return _sorted(child.plan, child, orders, relation.is_global)


_CATEGORY = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY"


def _refuse_subqueries(orders: list[SortOrder], origin: QueryContext | None) -> None:
    """Of subqueries, ORDER BY takes only those that give one value for all rows."""
    for part in [p for o in orders for p in walk(o)]:
        if isinstance(part, (ExistsSubquery, InSubquery)):
            raise analysis_error(f"{_CATEGORY}.UNSUPPORTED_IN_EXISTS_SUBQUERY", origin, treeNode="Sort")
        if isinstance(part, ScalarSubquery) and outer_references(part.plan):
            raise analysis_error(f"{_CATEGORY}.UNSUPPORTED_CORRELATED_SCALAR_SUBQUERY", origin, treeNode="Sort")


def _sorted(plan: logical.LogicalPlan, child: Resolved, orders: list[SortOrder], is_global: bool) -> Resolved:
    wanted = child.scope.attributes
    plan, available = exposed_for(plan, wanted, orders)
    if any(has_window(o) for o in orders):
        named = [Alias(o.child, "_s", new_id()) for o in orders]
        plan, rewritten = with_windows(plan, available, named)
        plan = logical.Project(plan, available + tuple(rewritten))
        keys = [to_attribute(n) for n in rewritten]
        orders = [SortOrder(k, o.ascending, o.nulls_first) for k, o in zip(keys, orders, strict=True)]
        available = available + tuple(keys)
    ordered = logical.Sort(plan, tuple(orders), is_global)
    return same_scope(child, trimmed(ordered, available, wanted))


def _unfolded(relation: r.Sort, child: Resolved, analysis: Analysis) -> tuple[UnresolvedSortOrder, ...]:
    """ORDER BY ALL becomes an order by every output column."""
    if len(relation.orders) != 1:
        return relation.orders
    (order,) = relation.orders
    name = order.child
    if not (isinstance(name, UnresolvedAttribute) and name.plan_id is None and len(name.parts) == 1):
        return relation.orders
    if name.parts[0].lower() != "all" or child.scope.find(name.parts, analysis.environment.case_sensitive)[0]:
        return relation.orders
    return tuple(
        [UnresolvedSortOrder(a, order.ascending, order.nulls_first, order.origin) for a in child.scope.attributes]
    )


def _is_position(order: UnresolvedSortOrder, environment: Environment) -> bool:
    """ORDER BY 2."""
    literal: Expression = order.child
    is_number = isinstance(literal, Literal) and isinstance(literal.dtype, IntegerType)
    return is_number and flag(environment, "spark.sql.orderByOrdinal")


def _with_missing(scope: Scope, keys: list[Typed | None]) -> tuple[Attribute, ...]:
    """The output, and behind it what keys read of the input: what positions count where they come last."""
    missing: dict[int, Attribute] = {}
    for key in keys:
        for node in walk(key.expression) if key is not None else ():
            if isinstance(node, Attribute) and node.expr_id not in scope.ids:
                missing.setdefault(node.expr_id, node)
    return scope.attributes + tuple(missing.values())


def _position(order: UnresolvedSortOrder, columns: tuple[Attribute, ...], relation: r.Sort) -> Typed:
    """The column at a position."""
    literal = order.child
    assert isinstance(literal, Literal)
    if not 1 <= int(literal.value or 0) <= len(columns):
        raise analysis_error(
            "ORDER_BY_POS_OUT_OF_RANGE", relation.origin, index=literal.value, size=len(columns)
        )
    column = columns[literal.value - 1]
    return sort_key(Typed(column, column.name, column.name), order.ascending, order.nulls_first, order.origin)


def _over_aggregate(
    relation: r.Sort, child: Resolved, written: tuple[UnresolvedSortOrder, ...], analysis: Analysis
) -> Resolved:
    """Keys above an aggregation may name its groups and make new aggregates."""
    current = child
    orders: list[SortOrder] = []
    for order in written:
        if _is_position(order, analysis.environment):
            typed, plan = _position(order, child.scope.attributes, relation), current.plan
        else:
            typed, plan = resolve_over_aggregate(order, current, analysis)
        current = Resolved(plan, current.scope)
        assert isinstance(typed.expression, SortOrder)
        orders.append(typed.expression)
    _refuse_subqueries(orders, relation.origin)
    plan, available = exposed_over(current.plan, current, orders)
    result = _sorted_over(plan, available, current, orders, relation.is_global)
    scope = current.scope
    kept = Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans, None, scope.aggregate)
    return Resolved(result, kept)


def _sorted_over(
    plan: logical.LogicalPlan,
    available: tuple[Attribute, ...],
    child: Resolved,
    orders: list[SortOrder],
    is_global: bool,
) -> logical.LogicalPlan:
    if any(has_window(o) for o in orders):
        named = [Alias(o.child, "_s", new_id()) for o in orders]
        plan, rewritten = with_windows(plan, available, named)
        plan = logical.Project(plan, (*available, *rewritten))
        orders = [
            SortOrder(to_attribute(k), o.ascending, o.nulls_first) for k, o in zip(rewritten, orders, strict=True)
        ]
        return logical.Project(logical.Sort(plan, tuple(orders), is_global), child.scope.attributes)
    return trimmed(logical.Sort(plan, tuple(orders), is_global), available, child.scope.attributes)


__all__ = ["SparkError", "resolve_sort"]
