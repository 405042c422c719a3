"""Users' Python table functions: arguments, a table among them, and what ``analyze`` says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.subquery import subquery_plan
from voltray.driver.analysis.expressions.update_fields import make_struct
from voltray.driver.analysis.functions import is_foldable
from voltray.driver.analysis.python_functions import check_names, output_type
from voltray.driver.analysis.python_planning import ask
from voltray.driver.analysis.scope import Resolved, Scope, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import NamedArgument, PythonFunction, UnresolvedSubquery
from voltray.proto.expressions import (
    Alias,
    Attribute,
    Expression,
    OuterReference,
    PythonCall,
    SortOrder,
    dtype_of,
    new_id,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error
from voltray.proto.python_planning import AnalyzeArgument, AnalyzeTableFunction, PlanningReply
from voltray.proto.types import ArrayType, DataType, MapType, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis, ExpressionResolver

_SPREADING = (
    "specified the WITH SINGLE PARTITION or PARTITION BY clause; please remove these clauses and retry the query again."
)
_OWN_SPREADING = "specified its own required partitioning of the input table"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table argument: its rows, what of them the function gets, and how they are spread and ordered."""

    input: Resolved
    columns: tuple[tuple[str, Expression], ...]
    keys: tuple[Expression, ...] = ()
    orders: tuple[SortOrder, ...] = ()
    single: bool = False


def resolve_python_table_function(relation: r.PythonTableFunction, analysis: Analysis) -> Resolved:
    """A user's table function on values, or on the rows of a table."""
    function = relation.function
    names = tuple([a.name if isinstance(a, NamedArgument) else None for a in function.args])
    check_names(function.name, names, relation.origin)
    given = [a.value if isinstance(a, NamedArgument) else a for a in function.args]
    tables = [i for i, a in enumerate(given) if isinstance(a, UnresolvedSubquery) and a.kind == "table_argument"]
    if len(tables) > 1:
        raise analysis_error("TABLE_VALUED_FUNCTION_TOO_MANY_TABLE_ARGUMENTS", relation.origin, num=len(tables))
    source = leaf_scope(logical.OneRow())
    resolver = analysis.over(source.scope)
    values = {i: resolver.resolve(a).expression for i, a in enumerate(given) if i not in tables}
    table = _table(given[tables[0]], resolver, analysis) if tables else None
    dtype, reply = _type_of(function, values, names, table, resolver, relation.origin)
    if table is not None and reply is not None:
        table = _required(function.name, table, reply, analysis, relation.origin)
    attributes = tuple([Attribute(new_id(), f.name, f.dataType, f.nullable) for f in dtype.fields])
    call = PythonCall(
        function.name, (), dtype, function.eval_type, function.command, function.python_version,
        function.deterministic, names,
    )  # fmt: skip
    analyzed = reply.parts[0] if reply is not None else None
    if table is None:
        call = replace(call, args=tuple([values[i] for i in range(len(given))]))
        plan = logical.TableFunctionInPython(source.plan, call, attributes, analyze_result=analyzed)
    else:
        plan = _over_table(call, values, tables[0], table, attributes, analyzed)
    return Resolved(logical.Project(plan, attributes), Scope(attributes))


def _over_table(
    call: PythonCall,
    values: dict[int, Expression],
    place: int,
    table: _Table,
    attributes: tuple[Attribute, ...],
    analyzed: bytes | None,
) -> logical.TableFunctionInPython:
    """The function over a table whose rows stand with the partitioning's values beside their own."""
    keys = tuple([Alias(k, f"partition_by_{i}", new_id()) for i, k in enumerate(table.keys)])
    key_attributes = tuple([to_attribute(k) for k in keys])
    rows = table.input.plan
    below = logical.Project(rows, (*rows.output, *keys)) if keys else rows
    struct = make_struct((*table.columns, *[(k.name, k) for k in key_attributes]))
    arguments = tuple([struct if i == place else values[i] for i in range(len(values) + 1)])
    first = len(table.columns)
    return logical.TableFunctionInPython(
        below,
        replace(call, args=arguments),
        attributes,
        key_attributes,
        table.orders,
        table.single,
        tuple(range(first, first + len(keys))),
        analyzed,
        (place,),
    )


def _table(argument: Any, resolver: ExpressionResolver, analysis: Analysis) -> _Table:
    resolved = subquery_plan(argument, resolver)
    over = analysis.over(resolved.scope)
    keys = tuple([over.resolve(k).expression for k in argument.partition_by])
    orders = tuple([_sort_order(over.resolve(o).expression) for o in argument.order_by])
    columns = tuple([(a.name, a) for a in resolved.scope.attributes])
    return _Table(resolved, columns, keys, orders, argument.with_single_partition)


def _sort_order(expression: Expression) -> SortOrder:
    return expression if isinstance(expression, SortOrder) else SortOrder(expression)


# ---- analyze ----------------------------------------------------------------------------------------
def _type_of(
    function: PythonFunction,
    values: dict[int, Expression],
    names: tuple[str | None, ...],
    table: _Table | None,
    resolver: ExpressionResolver,
    origin: QueryContext | None,
) -> tuple[StructType, PlanningReply | None]:
    if function.output_type is not None:
        dtype = output_type(function, resolver)
        if not isinstance(dtype, StructType):
            shown = f'"{dtype.simpleString().upper()}"'
            raise spark_error("INVALID_SCHEMA_TYPE_NON_STRUCT", ErrorKind.INVALID_PLAN, dataType=shown)
        return dtype, None
    arguments: list[AnalyzeArgument] = []
    for place, name in enumerate(names):
        if place in values:
            arguments.append(_argument(values[place], name, resolver))
        else:
            assert table is not None
            arguments.append(AnalyzeArgument(make_struct(table.columns).dtype.json(), is_table=True, name=name))  # type: ignore[attr-defined]
    request = AnalyzeTableFunction(function.name, function.command, tuple(arguments))
    try:
        reply = ask(request, function.python_version, resolver.environment)
    except SparkError as error:
        if error.condition != "PYTHON_EXCEPTION":
            raise
        text = _said(error.failure.message)
        raise analysis_error("TABLE_VALUED_FUNCTION_FAILED_TO_ANALYZE_IN_PYTHON", origin, msg=text) from None
    dtype = resolver.environment.parse_schema(reply.fact("schema"))
    assert isinstance(dtype, StructType)
    return dtype, reply


def _said(traceback: str) -> str:
    """What pyspark's own check says; else the user's traceback."""
    last = traceback.strip().splitlines()[-1]
    error, found, text = last.partition(": ")
    return text.strip() if found and error.startswith("pyspark.errors.") else traceback.strip()


def _argument(value: Expression, name: str | None, resolver: ExpressionResolver) -> AnalyzeArgument:
    dtype = dtype_of(value)
    if any(isinstance(part, OuterReference | Attribute) for part in walk(value)) or not is_foldable(value):
        return AnalyzeArgument(dtype.json(), name=name)
    constant = constant_value(value, resolver.environment)
    return AnalyzeArgument(dtype.json(), _spark_internal(constant, dtype), is_constant=True, name=name)


def _spark_internal(value: Any, dtype: DataType) -> Any:
    """An internal value as pyspark's types convert it: maps as dictionaries."""
    if value is None:
        return None
    match dtype:
        case MapType():
            pairs = [(_spark_internal(k, dtype.keyType), _spark_internal(v, dtype.valueType)) for k, v in value]
            return dict(pairs)
        case ArrayType():
            return [_spark_internal(v, dtype.elementType) for v in value]
        case StructType():
            return tuple([_spark_internal(v, f.dataType) for v, f in zip(value, dtype.fields, strict=True)])
    return value


def _required(
    name: str, table: _Table, reply: PlanningReply, analysis: Analysis, origin: QueryContext | None
) -> _Table:
    """The table argument as ``analyze`` wants its rows spread, ordered and selected."""
    partitions, orders, select = reply.fact("partitions"), reply.fact("orders"), reply.fact("select")
    single = bool(reply.fact("single"))
    reason = ""
    if single and partitions:
        reason = "the 'with_single_partition' field cannot be assigned to true if the 'partition_by' list is non-empty"
    elif orders and not single and not partitions:
        reason = "the 'order_by' field cannot be non-empty unless the 'with_single_partition' field is set to true or "
        reason += "the 'partition_by' list is non-empty"
    if reason:
        condition = "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INVALID"
        raise analysis_error(condition, origin, functionName=name, reason=reason)
    if (single or partitions) and (table.keys or table.single):
        raise analysis_error(
            "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INCOMPATIBLE_WITH_CALL", origin, functionName=name,
            requestedMetadata=_OWN_SPREADING, invalidFunctionCallProperty=_SPREADING,
        )  # fmt: skip
    over = analysis.over(table.input.scope)

    def parsed(text: str) -> Any:
        return over.resolve(analysis.environment.parse_expression(text))

    if single or partitions:
        keys = tuple([parsed(p).expression for p in partitions])
        wanted = [SortOrder(parsed(t).expression, up, up if nulls is None else nulls) for t, up, nulls in orders]
        table = replace(table, keys=keys, orders=tuple(wanted), single=single)
    if select:
        chosen = [(parsed(text), alias) for text, alias in select]
        table = replace(table, columns=tuple([(alias or t.text, t.expression) for t, alias in chosen]))
    return table
