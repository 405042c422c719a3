"""Subqueries inside expressions, correlated ones with OuterReferences to the queries around them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type, unsupported
from voltray.driver.analysis.names import called, listed, rope, text_of
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan import logical
from voltray.driver.plan.expressions import UnresolvedSubquery
from voltray.proto.coercion import wider_type
from voltray.proto.expressions import (
    Alias,
    Attribute,
    Call,
    ExistsSubquery,
    Expression,
    InSubquery,
    OuterReference,
    ScalarSubquery,
    dtype_of,
    new_id,
    walk,
)  # fmt: skip
from voltray.proto.types import StructType, same_type

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def resolve_subquery(expression: UnresolvedSubquery, resolver: ExpressionResolver) -> Typed:
    """A scalar, EXISTS or IN subquery."""
    if expression.kind == "table_argument":
        raise unsupported("a table argument outside a table function", expression.origin)
    resolved = subquery_plan(expression, resolver)
    if expression.kind == "exists":
        return Typed(ExistsSubquery(resolved.plan), called("exists", _outer_names(resolved.plan)))
    if expression.kind == "in":
        return _in_subquery(expression, resolved, resolver)
    columns = resolved.scope.attributes
    if len(columns) != 1:
        raise analysis_error(
            "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
            expression.origin,
            number=len(columns),
        )
    shown = called("scalarsubquery", _outer_names(resolved.plan))
    return Typed(ScalarSubquery(resolved.plan, columns[0].dtype, True), shown)


def _outer_names(plan: logical.LogicalPlan) -> list[str]:
    """Columns of the query around it that a subquery uses, as its generated name lists them."""
    names: list[str] = []
    for node in logical.walk(plan):
        for expression in logical.expressions_of(node):
            names.extend(part.attribute.name for part in walk(expression) if isinstance(part, OuterReference))
    return names


def subquery_plan(expression: UnresolvedSubquery, resolver: ExpressionResolver) -> Resolved:
    """The plan of a subquery, within the query around it."""
    analysis = resolver.analysis
    relation = expression.plan
    if relation is None:
        assert expression.plan_id is not None
        relation = analysis.references.get(expression.plan_id)
        if relation is None:
            raise analysis_error("INTERNAL_ERROR", expression.origin, message=f"no relation {expression.plan_id}")
    # As in Spark, a subquery sees the query right around it and none further out.
    fixed = analysis.kept(analysis.definitions)
    inner = replace(analysis, outer=(replace(resolver, lateral=None),), fixed_names=fixed, windows={})
    return inner.relation(relation)


def _in_subquery(expression: UnresolvedSubquery, resolved: Resolved, resolver: ExpressionResolver) -> Typed:
    typed = [resolver.resolve(v) for v in expression.values]
    if len(typed) == 1 and len(resolved.scope.attributes) > 1 and isinstance(typed[0].dtype, StructType):
        typed = _fields(typed[0])
    shown = typed[0].name if len(typed) == 1 else rope("named_struct(", listed(_pairs(typed)), ")")
    name = rope("(", shown, " IN (", called("listquery", _outer_names(resolved.plan)), "))")
    columns = resolved.scope.attributes
    if len(typed) != len(columns):
        raise mismatch(
            "IN_SUBQUERY_LENGTH_MISMATCH", text_of(name), expression.origin, leftLength=len(typed),
            rightLength=len(columns), leftColumns=", ".join(f'"{t.text}"' for t in typed),
            rightColumns=", ".join(f'"{c.name}"' for c in columns),
        )  # fmt: skip
    ansi = resolver.environment.ansi
    values: list[Expression] = []
    items: list[Alias | Attribute] = []
    for value, column in zip(typed, columns, strict=True):
        common = wider_type(value.dtype, column.dtype, ansi)
        if common is None:
            sides = (value.text, value.dtype), (column.name, column.dtype)
            raise mismatch(
                "IN_SUBQUERY_DATA_TYPE_MISMATCH", text_of(name), expression.origin,
                mismatchedColumns='"' + ", ".join([f"{n}:{d.simpleString()}" for n, d in sides]) + '"',
                leftType=", ".join(shown_type(t.dtype) for t in typed),
                rightType=", ".join(shown_type(c.dtype) for c in columns),
            )  # fmt: skip
        values.append(cast_to(value.expression, common, ansi))
        cast = cast_to(column, common, ansi)
        items.append(column if cast is column else Alias(cast, column.name, new_id()))
    plan = resolved.plan
    if any(isinstance(i, Alias) for i in items):
        plan = logical.Project(plan, tuple(items))
    nullable = any(t.nullable for t in typed) or any(i.nullable for i in items)
    return Typed(InSubquery(tuple(values), plan, nullable=nullable), name)


def _fields(struct: Typed) -> list[Typed]:
    """The parts of ``(a, b) IN (SELECT ...)``."""
    expression = struct.expression
    if isinstance(expression, Call) and expression.name == "named_struct":
        return [Typed(a, "") for a in expression.args]
    return [struct]


def _pairs(typed: list[Typed]) -> list[str]:
    parts: list[str] = []
    for t in typed:
        parts.extend([t.field_name or t.text, t.text])
    return parts


__all__ = ["dtype_of", "resolve_subquery", "same_type"]
