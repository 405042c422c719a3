"""Columns by name: lambda variables, ``df["x"]`` by plan id, the input's columns, lateral aliases, outer queries."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, unresolved_column
from voltray.driver.analysis.expressions.extract import extract_field
from voltray.driver.analysis.names import called
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import NameParts, Origin, Scope
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedFunction, UnresolvedLambdaVariable
from voltray.driver.plan.identifiers import quoted
from voltray.proto.expressions import (
    Attribute,
    Expression,
    LambdaVariable,
    OuterReference,
    references,
    transform_up,
    walk,
)
from voltray.proto.failures import QueryContext
from voltray.proto.types import (
    ByteType,
    DecimalType,
    DoubleType,
    FloatType,
    LongType,
    NullType,
    ShortType,
    sql_type,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

LITERAL_FUNCTIONS = frozenset(
    {"current_catalog", "current_database", "current_date", "current_schema", "current_time", "current_timestamp",
     "current_user", "localtimestamp", "session_user", "user"}
)  # fmt: skip


def resolve_attribute(expression: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed:
    """A column by its (dotted) name."""
    typed = find_attribute(expression, resolver)
    if typed is None:
        raise unresolved_column(expression.parts, _candidates(resolver.scope), expression.origin)
    return typed


def _candidates(scope: Scope) -> tuple[Attribute, ...]:
    return scope.attributes


def find_attribute(expression: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
    """A column by its name, or None where nothing is called so."""
    parts, origin = expression.parts, expression.origin
    if resolver.lambdas:
        typed = _lambda_variable(parts, resolver, origin)
        if typed is not None:
            return typed
    if expression.plan_id is not None:
        return _of_data_frame(expression, resolver)
    typed = in_scope(parts, resolver.scope, resolver, origin)
    if typed is not None:
        return typed
    if len(parts) == 1 and parts[0].lower() == "grouping__id":
        identifier = resolver.resolve(UnresolvedFunction(("grouping_id",), (), origin=origin))
        return Typed(identifier.expression, parts[0], parts[0])
    if len(parts) == 1 and parts[0].lower() in LITERAL_FUNCTIONS:
        typed = resolver.resolve(UnresolvedFunction((parts[0].lower(),), (), origin=origin))
        return Typed(typed.expression, called(parts[0].lower(), ()))
    if resolver.lateral is not None:
        typed = resolver.lateral.find(parts, resolver, origin)
        if typed is not None:
            return typed
    if resolver.missing:
        typed = _in_inner_scopes(parts, resolver, origin)
        if typed is not None:
            return typed
    return _in_outer_queries(parts, resolver, origin) or _variable(parts, resolver, origin)


def in_scope(parts: NameParts, scope: Scope, resolver: ExpressionResolver, origin: QueryContext | None) -> Typed | None:
    """A name among the columns of one scope."""
    found, nested = scope.find(parts, resolver.environment.case_sensitive)
    if not found:
        return None
    if len(found) > 1:
        names = sorted(quoted((*a.qualifier, a.name)) for a in found)
        raise analysis_error(
            "AMBIGUOUS_REFERENCE", origin, name=quoted(parts), referenceNames="[" + ", ".join(names) + "]"
        )
    return _with_fields(found[0], nested, resolver, origin)


def _with_fields(
    attribute: Attribute | LambdaVariable, nested: NameParts, resolver: ExpressionResolver, origin: QueryContext | None
) -> Typed:
    shown = attribute.name if isinstance(attribute, Attribute) else "namedlambdavariable()"
    typed = Typed(attribute, shown, attribute.name)
    for part in nested:
        typed = extract_field(typed, part, resolver, origin)
    if nested:
        return Typed(typed.expression, typed.name, nested[-1], typed.metadata)
    return typed


def _lambda_variable(parts: NameParts, resolver: ExpressionResolver, origin: QueryContext | None) -> Typed | None:
    name = parts[0] if resolver.environment.case_sensitive else parts[0].lower()
    variable = resolver.lambdas.get(name)
    return None if variable is None else _with_fields(variable, parts[1:], resolver, origin)


def resolve_lambda_variable(expression: UnresolvedLambdaVariable, resolver: ExpressionResolver) -> Typed:
    """A variable that a lambda function of the DataFrame API binds."""
    typed = _lambda_variable(expression.parts, resolver, None)
    if typed is None:
        raise unresolved_column(expression.parts, _candidates(resolver.scope), None)
    return typed


def _of_data_frame(expression: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
    """``df["x"]``: the column of that DataFrame, if it is still among the input's columns."""
    assert expression.plan_id is not None
    plans = resolver.scope.plans
    entries = plans.entries.get(expression.plan_id)
    if entries is None:
        return _of_outer_data_frame(expression, resolver)
    found: list[tuple[Origin, Typed]] = []
    for origin in entries:
        typed = _in_data_frame(expression, origin.scope, resolver)
        if typed is not None and all(references(typed.expression) <= gate for gate in origin.gates):
            found.append((origin, typed))
    if len(found) > 1:
        direct = [f for f in found if f[0].height == plans.height]
        if len(direct) != 1:
            raise analysis_error(
                "AMBIGUOUS_COLUMN_REFERENCE", expression.origin, name=f'"{".".join(expression.parts)}"'
            )
        found = direct
    if not found or not _is_reachable(found[0][1], expression, resolver):
        raise unresolved_column(expression.parts, _candidates(resolver.scope), expression.origin)
    return _current(found[0][1], resolver)


def _is_reachable(typed: Typed, expression: UnresolvedAttribute, resolver: ExpressionResolver) -> bool:
    reachable = resolver.scope.ids
    if expression.is_metadata:
        reachable = reachable | {a.expr_id for a in resolver.scope.hidden}
    return references(typed.expression) <= reachable or (resolver.missing and _below(typed, resolver))


def _current(typed: Typed, resolver: ExpressionResolver) -> Typed:
    """The column as the input has it now: an outer join may have made it nullable."""
    if not isinstance(typed.expression, Attribute):
        return typed
    for attribute in resolver.scope.by_id.get(typed.expression.expr_id, ()):
        return Typed(attribute, typed.name, typed.field_name, typed.metadata)
    return typed


def _in_data_frame(expression: UnresolvedAttribute, scope: Scope, resolver: ExpressionResolver) -> Typed | None:
    if expression.is_metadata:
        found = [a for a in scope.hidden if a.name.lower() == expression.parts[0].lower()]
        return _with_fields(found[0], expression.parts[1:], resolver, expression.origin) if found else None
    return in_scope(expression.parts, scope, resolver, expression.origin)


def _below(typed: Typed, resolver: ExpressionResolver) -> bool:
    wanted = references(typed.expression)
    scope = resolver.scope.inner
    while scope is not None:
        if wanted <= scope.ids:
            return True
        scope = scope.inner
    return False


def _of_outer_data_frame(expression: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
    for outer in resolver.analysis.outer:
        if expression.plan_id in outer.scope.plans.entries:
            typed = _of_data_frame(expression, outer)
            return None if typed is None else outer_column(typed)
    if expression.plan_id is not None:
        raise analysis_error(
            "CANNOT_RESOLVE_DATAFRAME_COLUMN", expression.origin, name=f'"{".".join(expression.parts)}"'
        )
    return None


def _in_inner_scopes(parts: NameParts, resolver: ExpressionResolver, origin: QueryContext | None) -> Typed | None:
    scope = resolver.scope.inner
    while scope is not None:
        typed = in_scope(parts, scope, resolver, origin)
        if typed is not None:
            return typed
        scope = scope.inner
    return None


def _in_outer_queries(
    parts: NameParts, resolver: ExpressionResolver, origin: QueryContext | None
) -> Typed | None:
    for outer in resolver.analysis.outer:
        scope: Scope | None = outer.scope
        while scope is not None:
            typed = in_scope(parts, scope, outer, origin)
            if typed is not None:
                return outer_column(typed)
            scope = scope.inner if outer.missing else None
        if outer.aggregated is not None and outer.aggregated.find(parts, outer.environment.case_sensitive)[0]:
            raise analysis_error(
                "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_MISSING_FROM_INPUT", origin, operator="!Filter",
                missingAttributes=f'"{parts[-1]}"', input=", ".join(f'"{a.name}"' for a in outer.scope.attributes),
            )  # fmt: skip
    return None


def outer_column(typed: Typed) -> Typed:
    """A column of a query around this one, with the fields taken from it."""
    names: list[str] = []

    def wrap(node: Expression) -> Expression:
        if not isinstance(node, Attribute):
            return node
        names.append(".".join((*node.qualifier, node.name)))
        return OuterReference(node)

    expression = transform_up(typed.expression, wrap)
    root = next((n.name for n in walk(typed.expression) if isinstance(n, Attribute)), "")
    shown = typed.text
    if names and shown.startswith(root):
        shown = f"outer({names[0]})" + shown[len(root) :]
    return Typed(expression, shown, typed.field_name, typed.metadata)


def _variable(parts: NameParts, resolver: ExpressionResolver, origin: QueryContext | None) -> Typed | None:
    variables = resolver.environment.variables
    name, fields = parts[0].lower(), parts[1:]
    if len(parts) > 1 and parts[-2:-1] and [p.lower() for p in parts[:2]] == ["system", "session"] and len(parts) > 2:
        name, fields = parts[2].lower(), parts[3:]
    elif len(parts) > 1 and parts[0].lower() == "session":
        name, fields = parts[1].lower(), parts[2:]
    elif len(parts) > 1 and (labelled := f"{parts[0]}.{parts[1]}".lower()) in variables:  # of a script's block
        name, fields = labelled, parts[2:]
    literal = variables.get(name) if variables else None
    if literal is None:
        return None
    path = getattr(resolver.environment, "variable_path", _session_path)(name)
    typed = Typed(literal, f"variablereference({path}={literal_text(literal, resolver)})", name.rpartition(".")[2])
    for part in fields:
        typed = extract_field(typed, part, resolver, origin)
    return Typed(typed.expression, typed.name, fields[-1]) if fields else typed


def _session_path(name: str) -> str:
    return f"system.session.{name}"


_SUFFIXES = ((DoubleType, "D"), (LongType, "L"), (ByteType, "Y"), (ShortType, "S"), (DecimalType, "BD"))


def literal_text(literal: object, resolver: ExpressionResolver) -> str:
    """A session variable's value as its generated name shows it."""
    from voltray.driver.analysis.names import literal_sql
    from voltray.proto.expressions import Literal

    assert isinstance(literal, Literal)
    if literal.value is None and not isinstance(literal.dtype, NullType):
        return f"CAST(NULL AS {sql_type(literal.dtype)})"
    text = literal_sql(literal.value, literal.dtype, resolver.environment.time_zone)
    if isinstance(literal.value, float) and not isfinite(literal.value):
        return f"CAST('{text}' AS {sql_type(literal.dtype)})"
    if isinstance(literal.dtype, FloatType):
        return f"CAST({text} AS FLOAT)"
    return text + next((suffix for kind, suffix in _SUFFIXES if isinstance(literal.dtype, kind)), "")
