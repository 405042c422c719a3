"""Calls of functions defined in SQL: the body is resolved over its parameters, and arguments put in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.analysis.casts import eval_mode
from voltray.driver.analysis.errors import analysis_error, unsupported
from voltray.driver.analysis.fresh_ids import with_fresh_ids
from voltray.driver.analysis.function_environment import FunctionEnvironment
from voltray.driver.analysis.names import called
from voltray.driver.analysis.resolver import Analysis, Typed
from voltray.driver.analysis.scope import Resolved, Scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import (
    NamedArgument,
    UnresolvedAlias,
    UnresolvedCast,
    UnresolvedFunction,
    UnresolvedStar,
    UnresolvedSubquery,
)  # fmt: skip
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.routines import SqlFunction
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Cast,
    ExistsSubquery,
    Expression,
    InSubquery,
    OuterReference,
    ScalarSubquery,
    WindowCall,
    map_children,
    new_id,
    to_attribute,
)  # fmt: skip
from voltray.proto.failures import QueryContext, SparkError
from voltray.proto.types import DataType, StructType, same_type

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

_SUBQUERIES = (ScalarSubquery, ExistsSubquery, InSubquery)


# ---- calls ----------------------------------------------------------------------------------------------
def call_sql_function(function: SqlFunction, call: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A scalar function's body with the arguments in it."""
    _refuse_clauses(function, call)
    if function.is_table:
        raise analysis_error("NOT_A_SCALAR_FUNCTION", call.origin, functionName=quoted(function.name))
    environment = FunctionEnvironment.entered(function, resolver.environment)
    written = arguments_by_position(function, call.args, resolver, call.origin)
    typed = [a if isinstance(a, Typed) else resolver.resolve(a) for a in written]
    parameters = parameter_attributes(function)
    values = _values(function, typed, parameters, environment, resolver.analysis)
    analysis = inside(environment, resolver.analysis)
    body = scalar_body(function, parameters, analysis)
    assert function.returns is not None
    result = with_arguments(cast_typed(body, function.returns, analysis), values)
    if isinstance(result, Attribute):  # the call has a name of its own all the same
        result = Cast(result, result.dtype, result.nullable, eval_mode(environment.ansi))
    return Typed(result, called(function.shown_name, [t.name for t in typed]))


def call_sql_table_function(function: SqlFunction, relation: r.TableFunction, analysis: Analysis) -> Resolved:
    """A table function's query with the arguments in it."""
    if not function.is_table:
        condition = "UNRESOLVABLE_TABLE_VALUED_FUNCTION" if function.is_temporary else "NOT_A_TABLE_FUNCTION"
        key = "name" if function.is_temporary else "functionName"
        raise analysis_error(condition, relation.origin, **{key: quoted(function.name)})
    environment = FunctionEnvironment.entered(function, analysis.environment)
    resolver = analysis.over(Scope(()))
    written = arguments_by_position(function, relation.args, resolver, relation.origin)
    typed = [a if isinstance(a, Typed) else resolver.resolve(a) for a in written]
    parameters = parameter_attributes(function)
    values = _values(function, typed, parameters, environment, analysis)
    within = inside(environment, analysis)
    body = table_body(function, parameters, within)
    assert isinstance(function.returns, StructType)
    items = []
    for column, field in zip(body.scope.attributes, function.returns.fields, strict=True):
        value = cast_typed(Typed(column, column.name, column.name), field.dataType, within)
        items.append(Alias(value, field.name, new_id()))
    plan = logical.Project(plan_with_arguments(body.plan, values), tuple(items))
    attributes = tuple([replace(to_attribute(i), qualifier=(function.name[-1],)) for i in items])
    return Resolved(plan, Scope(attributes))


def _refuse_clauses(function: SqlFunction, call: UnresolvedFunction) -> None:
    clauses = (
        (call.distinct, "DISTINCT"),
        (call.filter is not None, "FILTER CLAUSE"),
        (call.ignore_nulls is not None, "IGNORE NULLS"),
        (bool(call.order_by), "WITHIN GROUP (ORDER BY ...)"),
    )
    for present, syntax in clauses:
        if present:
            raise analysis_error(
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX", call.origin,
                prettyName=quoted(function.name), syntax=syntax,
            )  # fmt: skip


def _values(
    function: SqlFunction,
    typed: Sequence[Typed],
    parameters: Sequence[Attribute],
    environment: FunctionEnvironment,
    analysis: Analysis,
) -> Mapping[int, Expression]:
    """What stands for each parameter, by its id."""
    values = {p.expr_id: cast_typed(t, p.dtype, analysis) for p, t in zip(parameters, typed, strict=False)}
    for parameter, attribute in list(zip(function.parameters, parameters, strict=True))[len(typed) :]:
        default = default_value(parameter.default or "NULL", inside(environment, analysis))
        values[attribute.expr_id] = cast_typed(default, attribute.dtype, analysis)
    return values


# ---- arguments --------------------------------------------------------------------------------------------
def arguments_by_position(
    function: SqlFunction, args: Sequence[Expression], resolver: ExpressionResolver, origin: QueryContext | None
) -> list[Any]:
    """The arguments in their parameters' order; with names, defaults (resolved) fill the gaps."""
    unfolded: list[Expression] = []
    for argument in args:
        if isinstance(argument, UnresolvedStar):
            from voltray.driver.analysis.expressions.star import star_attributes

            unfolded.extend(star_attributes(argument, resolver))
        else:
            unfolded.append(argument)
    required = len([p for p in function.parameters if p.default is None])
    if any(isinstance(a, NamedArgument) for a in unfolded):
        return _by_name(function, unfolded, resolver, origin)
    if not required <= len(unfolded) <= len(function.parameters):
        raise _wrong_count(function, len(unfolded), origin)
    return list(unfolded)


def _wrong_count(function: SqlFunction, count: int, origin: QueryContext | None) -> SparkError:
    return analysis_error(
        "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", origin, functionName=quoted(function.name),
        expectedNum=len(function.parameters), actualNum=count, docroot="https://spark.apache.org/docs/latest",
    )  # fmt: skip


def _by_name(
    function: SqlFunction, args: list[Expression], resolver: ExpressionResolver, origin: QueryContext | None
) -> list[Any]:
    routine = quoted(function.name)
    names = [p.name.lower() for p in function.parameters]
    slots: list[Any] = [None] * len(names)
    positional = [a for a in args if not isinstance(a, NamedArgument)]
    first_named = next(i for i, a in enumerate(args) if isinstance(a, NamedArgument))
    if any(not isinstance(a, NamedArgument) for a in args[first_named:]):
        named = next(a for a in args if isinstance(a, NamedArgument))
        raise analysis_error("UNEXPECTED_POSITIONAL_ARGUMENT", origin, routineName=routine,
                             parameterName=f"`{named.name}`")  # fmt: skip
    if len(args) > len(names):
        raise _wrong_count(function, len(args), origin)
    slots[: len(positional)] = positional
    for argument in args[first_named:]:
        assert isinstance(argument, NamedArgument)
        if argument.name.lower() not in names:
            raise analysis_error("UNRECOGNIZED_PARAMETER_NAME", origin, routineName=routine,
                                 argumentName=f"`{argument.name}`",
                                 proposal=" ".join(f"`{p.name}`" for p in function.parameters))  # fmt: skip
        index = names.index(argument.name.lower())
        if slots[index] is not None:
            kind = "BOTH_POSITIONAL_AND_NAMED" if index < first_named else "DOUBLE_NAMED_ARGUMENT_REFERENCE"
            raise analysis_error(f"DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.{kind}", origin, routineName=routine,
                                 parameterName=f"`{function.parameters[index].name}`")  # fmt: skip
        slots[index] = argument.value
    return [s if s is not None else _default_of(function, i, resolver, origin) for i, s in enumerate(slots)]


def _default_of(function: SqlFunction, index: int, resolver: ExpressionResolver, origin: QueryContext | None) -> Typed:
    parameter = function.parameters[index]
    if parameter.default is None:
        raise analysis_error("REQUIRED_PARAMETER_NOT_FOUND", origin, routineName=quoted(function.name),
                             parameterName=f"`{parameter.name}`", index=index)  # fmt: skip
    environment = FunctionEnvironment.entered(function, resolver.environment)
    return default_value(parameter.default, inside(environment, resolver.analysis))


def default_value(text: str, analysis: Analysis) -> Typed:
    """A parameter's default."""
    return analysis.over(Scope(())).resolve(analysis.environment.parse_expression(text))


# ---- bodies -----------------------------------------------------------------------------------------------
def parameter_attributes(function: SqlFunction) -> tuple[Attribute, ...]:
    """Columns that the parameters are inside the body."""
    qualifier = (function.name[-1],)
    return tuple([Attribute(new_id(), p.name, p.dtype, True, qualifier) for p in function.parameters])


def inside(environment: FunctionEnvironment, analysis: Analysis) -> Analysis:
    """An analysis of a function's body: nothing of the calling query is seen."""
    return Analysis(environment, analysis.relation_handlers, analysis.expression_handlers)


def scalar_body(function: SqlFunction, parameters: tuple[Attribute, ...], analysis: Analysis) -> Typed:
    """A scalar function's body over its parameters."""
    return analysis.over(Scope(parameters), parameters=True).resolve(body_expression(function, analysis))


def body_expression(function: SqlFunction, analysis: Analysis) -> Expression:
    """A scalar function's body; a query of one row and one column is the expression that it selects."""
    if not function.is_query:
        return analysis.environment.parse_expression(function.body)
    query = analysis.environment.parse_query(function.body)
    if isinstance(query, r.Project) and isinstance(query.child, r.OneRow) and len(query.items) == 1:
        item = query.items[0]
        item = item.child if isinstance(item, UnresolvedAlias) else item
        if not isinstance(item, UnresolvedStar):
            return item
    return UnresolvedSubquery("scalar", query)


def table_body(function: SqlFunction, parameters: tuple[Attribute, ...], analysis: Analysis) -> Resolved:
    """A table function's query, which sees its parameters as columns of a query around it."""
    around = replace(analysis, outer=(analysis.over(Scope(parameters), parameters=True),))
    return around.relation(analysis.environment.parse_query(function.body))


def cast_typed(typed: Typed, dtype: DataType, analysis: Analysis) -> Expression:
    """A resolved expression as another type, or Spark's error that it cannot be."""
    expression = typed.expression.child if isinstance(typed.expression, Alias) else typed.expression
    if same_type(typed.dtype, dtype):
        return expression
    named = Alias(expression, typed.text, new_id())
    try:
        resolved = analysis.over(Scope(())).resolve(UnresolvedCast(named, dtype)).expression
    except SparkError as problem:
        failure = problem.failure
        if not failure.condition.startswith("DATATYPE_MISMATCH"):
            raise
        shown = {**failure.parameters, "sqlExpr": f'"{typed.text}"'}
        raise analysis_error(failure.condition, extra=shown) from None
    return resolved.child if isinstance(resolved, Alias) else resolved


# ---- substitution -----------------------------------------------------------------------------------------
def with_arguments(expression: Expression, values: Mapping[int, Expression]) -> Expression:
    """The expression with arguments in place of parameters, in its subqueries too."""
    if not values:
        return expression
    match expression:
        case Attribute():
            found = values.get(expression.expr_id)
            return expression if found is None else _again(found)
        case OuterReference():
            found = values.get(expression.attribute.expr_id)
            return expression if found is None else _from_outside(_again(found))
    changed = map_children(expression, lambda child: with_arguments(child, values))
    if isinstance(changed, _SUBQUERIES):
        return replace(changed, plan=plan_with_arguments(changed.plan, values))
    return changed


def plan_with_arguments(plan: logical.LogicalPlan, values: Mapping[int, Expression]) -> logical.LogicalPlan:
    """A plan whose references to parameters have become arguments."""

    def changed(value: Any) -> Any:
        if isinstance(value, logical.LogicalPlan):
            return plan_with_arguments(value, values)
        if isinstance(value, Expression):
            return with_arguments(value, values)
        if isinstance(value, tuple) and value and isinstance(value[0], (Expression, logical.LogicalPlan, tuple)):
            return tuple([changed(v) for v in value])
        return value

    changes = {}
    for item in fields(plan):
        value = getattr(plan, item.name)
        made = changed(value)
        if made is not value and made != value:
            changes[item.name] = made
    return replace(plan, **changes) if changes and values else plan


def _again(value: Expression) -> Expression:
    """An argument once more: its subqueries under ids of their own."""
    changed = map_children(value, _again)
    return replace(changed, plan=with_fresh_ids(changed.plan)) if isinstance(changed, _SUBQUERIES) else changed


def _from_outside(value: Expression) -> Expression:
    """An argument as a subquery of the body sees it."""
    if isinstance(value, OuterReference):
        return value
    if isinstance(value, Attribute):
        return OuterReference(value)
    if isinstance(value, (AggregateCall, WindowCall)):
        raise unsupported("an aggregate or window function as the argument of a SQL function that reads a query")
    return map_children(value, _from_outside)


# ---- places -----------------------------------------------------------------------------------------------
def refuse_sql_functions(node_name: str, expressions: Sequence[Any], environment: Any) -> None:
    """UNSUPPORTED_SQL_UDF_USAGE: operators in whose expressions Spark does not take functions defined in SQL."""
    for expression in expressions:
        for node in _nodes(expression):
            if isinstance(node, UnresolvedFunction) and not node.is_operator:
                function = find_sql_function(node.name, environment)
                if function is not None:
                    raise analysis_error("UNSUPPORTED_SQL_UDF_USAGE", node.origin, nodeName=node_name,
                                         functionName=quoted(function.name))  # fmt: skip


def _nodes(root: Any) -> Any:
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, r.Relation):
            continue
        yield node
        if isinstance(node, tuple):
            stack.extend(node)
        elif hasattr(node, "__dataclass_fields__"):
            stack.extend(getattr(node, name) for name in node.__dataclass_fields__)


def find_sql_function(name: tuple[str, ...], environment: Any) -> SqlFunction | None:
    """The function defined in SQL that a call by a name means."""
    from voltray.driver.analysis.functions import find_function

    found = environment.user_function(name)
    if found is None and not (len(name) == 1 and find_function(name[0].lower()) is not None):
        found = environment.stored_function(name)
    return found if isinstance(found, SqlFunction) else None
