"""Aggregate functions over columns of the query around: HAVING's subqueries may use that query's own aggregates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.attribute import outer_column
from voltray.driver.analysis.functions import find_function
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedFunction
from voltray.executors.functions.registry import FunctionKind
from voltray.proto.expressions import AggregateCall, Attribute, Expression, OuterReference, children_of
from voltray.proto.failures import QueryContext

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

_CATEGORY = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY"


def outer_aggregate(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed | None:
    """An aggregate of the grouped query around this one, where all its columns are that query's."""
    outer = resolver.analysis.outer[0] if resolver.analysis.outer else None
    if outer is None or outer.aggregated is None:
        return None
    entry = find_function(expression.name[-1].lower())
    if entry is None or entry.kind is not FunctionKind.AGGREGATE:
        return None
    columns = list(_columns(expression.args))
    case_sensitive = resolver.environment.case_sensitive
    if not columns or any(resolver.scope.find(c.parts, case_sensitive)[0] for c in columns):
        return None
    if not all(outer.aggregated.find(c.parts, case_sensitive)[0] for c in columns):
        return None
    return outer_column(outer.resolve(expression))


def _columns(node: object) -> Iterator[UnresolvedAttribute]:
    if isinstance(node, UnresolvedAttribute):
        yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from _columns(part)
    elif isinstance(node, Expression) and is_dataclass(node):
        for f in fields(node):
            yield from _columns(getattr(node, f.name))


def check_outer_references(typed: Typed, origin: QueryContext | None) -> None:
    """An aggregate of a subquery reads the subquery's own columns."""
    call = typed.expression
    if not isinstance(call, AggregateCall):
        return
    is_outer, is_local = False, False
    stack = list(children_of(call))
    while stack:
        node = stack.pop()
        if isinstance(node, OuterReference):
            is_outer = True
            continue
        is_local = is_local or isinstance(node, Attribute)
        stack.extend(children_of(node))
    if is_outer and is_local:
        condition = f"{_CATEGORY}.AGGREGATE_FUNCTION_MIXED_OUTER_LOCAL_REFERENCES"
        raise analysis_error(condition, origin, function=typed.text)
    if is_outer:
        raise analysis_error(f"{_CATEGORY}.CORRELATED_REFERENCE", origin, sqlExprs=f'"{typed.text}"')
