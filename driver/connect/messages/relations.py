"""Relation messages: one function for each kind, by the name of its oneof field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from typing import Literal as Literal_

from google.protobuf.unknown_fields import UnknownFieldSet
from pyspark.sql.connect.proto import expressions_pb2, relations_pb2

from voltray.driver.connect.messages import statistics
from voltray.driver.connect.messages.expressions import (
    expression_from_message,
    expressions_from_messages,
    origin_of,
    sort_order_from_message,
    unsupported,
    user_function,
)
from voltray.driver.connect.messages.literals import literal_from_message
from voltray.driver.connect.messages.types import data_type_from_message
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import PythonFunction
from voltray.driver.plan.identifiers import split_identifier
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import INTEGER, StructType

Message = relations_pb2.Relation
Reader = Callable[[Message], r.Relation]


def relation_from_message(message: Message) -> r.Relation:
    """The unresolved relation that a message means."""
    kind = message.WhichOneof("rel_type")
    reader = READERS.get(str(kind))
    if reader is None:
        reason = UNSUPPORTED.get(str(kind), "")
        raise unsupported(f"the relation {kind or newer_kind(message)}" + (f": {reason}" if reason else ""))
    relation = reader(message)
    common = message.common
    plan_id = common.plan_id if common.HasField("plan_id") else None
    origin = origin_of(common) if common.HasField("origin") else None
    if plan_id is None and origin is None:
        return relation
    return replace(relation, plan_id=plan_id, origin=origin)


def newer_kind(message: Any) -> str:
    """What to call a kind that a client newer than this server has sent."""
    numbers = sorted({field.field_number for field in UnknownFieldSet(message)})
    return f"of field {numbers[0]}, which is newer than this server" if numbers else "that is not set"


def _read(message: Message) -> r.Relation:
    field = message.read
    if field.WhichOneof("read_type") == "named_table":
        table = field.named_table
        parts = split_identifier(table.unparsed_identifier)
        return r.NamedTable(parts, _pairs(table.options), field.is_streaming)
    source = field.data_source
    return r.DataSource(
        source.format if source.HasField("format") else None,
        source.schema if source.HasField("schema") and source.schema else None,
        _pairs(source.options),
        tuple(source.paths),
        tuple(source.predicates),
        field.is_streaming,
    )


def _pairs(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(options.items()))


def _project(message: Message) -> r.Relation:
    field = message.project
    child = relation_from_message(field.input) if field.HasField("input") else None
    return r.Project(child, expressions_from_messages(field.expressions))


def _filter(message: Message) -> r.Relation:
    field = message.filter
    return r.Filter(relation_from_message(field.input), expression_from_message(field.condition))


_JOINS = {
    relations_pb2.Join.JOIN_TYPE_INNER: "inner",
    relations_pb2.Join.JOIN_TYPE_FULL_OUTER: "full",
    relations_pb2.Join.JOIN_TYPE_LEFT_OUTER: "left",
    relations_pb2.Join.JOIN_TYPE_RIGHT_OUTER: "right",
    relations_pb2.Join.JOIN_TYPE_LEFT_ANTI: "left_anti",
    relations_pb2.Join.JOIN_TYPE_LEFT_SEMI: "left_semi",
    relations_pb2.Join.JOIN_TYPE_CROSS: "cross",
}


def _join_kind(join_type: int) -> str:
    kind = _JOINS.get(join_type)  # type: ignore[call-overload]
    if kind is None:
        raise unsupported(f"the join type {join_type}")
    return str(kind)


def _join(message: Message) -> r.Relation:
    field = message.join
    if field.HasField("join_data_type"):
        raise unsupported("joinWith: typed datasets are Scala code")
    condition = expression_from_message(field.join_condition) if field.HasField("join_condition") else None
    return r.Join(
        relation_from_message(field.left),
        relation_from_message(field.right),
        _join_kind(field.join_type),
        condition,
        tuple(field.using_columns),
    )


def _lateral_join(message: Message) -> r.Relation:
    field = message.lateral_join
    condition = expression_from_message(field.join_condition) if field.HasField("join_condition") else None
    left, right = relation_from_message(field.left), relation_from_message(field.right)
    return r.Join(left, right, _join_kind(field.join_type), condition, lateral=True)


def _as_of_join(message: Message) -> r.Relation:
    field = message.as_of_join

    def optional(name: Literal_["join_expr", "tolerance"]) -> Expression | None:
        return expression_from_message(getattr(field, name)) if field.HasField(name) else None

    return r.AsOfJoin(
        relation_from_message(field.left),
        relation_from_message(field.right),
        expression_from_message(field.left_as_of),
        expression_from_message(field.right_as_of),
        optional("join_expr"),
        tuple(field.using_columns),
        field.join_type,
        optional("tolerance"),
        field.allow_exact_matches,
        field.direction,
    )


_SET_OPERATIONS = {
    relations_pb2.SetOperation.SET_OP_TYPE_INTERSECT: "intersect",
    relations_pb2.SetOperation.SET_OP_TYPE_UNION: "union",
    relations_pb2.SetOperation.SET_OP_TYPE_EXCEPT: "except",
}


def _set_operation(message: Message) -> r.Relation:
    field = message.set_op
    kind = _SET_OPERATIONS.get(field.set_op_type)
    if kind is None:
        raise unsupported("a set operation without a type")
    return r.SetOperation(
        relation_from_message(field.left_input),
        relation_from_message(field.right_input),
        kind,
        field.is_all,
        field.by_name,
        field.allow_missing_columns,
    )


def _sort(message: Message) -> r.Relation:
    field = message.sort
    orders = tuple([sort_order_from_message(o) for o in field.order])
    return r.Sort(relation_from_message(field.input), orders, field.is_global)


def _limit(message: Message) -> r.Relation:
    return r.Limit(relation_from_message(message.limit.input), Literal(message.limit.limit, INTEGER))


def _offset(message: Message) -> r.Relation:
    return r.Offset(relation_from_message(message.offset.input), Literal(message.offset.offset, INTEGER))


def _tail(message: Message) -> r.Relation:
    return r.Tail(relation_from_message(message.tail.input), Literal(message.tail.limit, INTEGER))


_GROUPS = {
    relations_pb2.Aggregate.GROUP_TYPE_GROUPBY: "groupby",
    relations_pb2.Aggregate.GROUP_TYPE_ROLLUP: "rollup",
    relations_pb2.Aggregate.GROUP_TYPE_CUBE: "cube",
    relations_pb2.Aggregate.GROUP_TYPE_PIVOT: "pivot",
    relations_pb2.Aggregate.GROUP_TYPE_GROUPING_SETS: "grouping_sets",
}


def _aggregate(message: Message) -> r.Relation:
    field = message.aggregate
    kind = _GROUPS.get(field.group_type)
    if kind is None:
        raise unsupported("an aggregation without a group type")
    pivot = field.pivot if field.HasField("pivot") else None
    return r.Aggregate(
        relation_from_message(field.input),
        kind,
        expressions_from_messages(field.grouping_expressions),
        expressions_from_messages(field.aggregate_expressions),
        expression_from_message(pivot.col) if pivot is not None else None,
        tuple([literal_from_message(v) for v in pivot.values]) if pivot is not None else (),
        tuple([expressions_from_messages(s.grouping_set) for s in field.grouping_sets]),
    )


def _sql(message: Message) -> r.Relation:
    field = message.sql
    return r.SqlQuery(field.query, named_arguments(field), positional_arguments(field))


def named_arguments(field: Any) -> tuple[tuple[str, Expression], ...]:
    """The named parameters of a SQL message (relation or command), old and new fields."""
    old = [(name, literal_from_message(value)) for name, value in field.args.items()]
    new = [(name, expression_from_message(value)) for name, value in field.named_arguments.items()]
    return (*old, *new)


def positional_arguments(field: Any) -> tuple[Expression, ...]:
    """The positional parameters of a SQL message (relation or command), old and new fields."""
    old = tuple([literal_from_message(value) for value in field.pos_args])
    return old + expressions_from_messages(field.pos_arguments)


def _local_relation(message: Message) -> r.Relation:
    field = message.local_relation
    chunks = (field.data,) if field.HasField("data") else ()
    return r.LocalRelation(chunks, field.schema if field.HasField("schema") else None)


def _cached_local_relation(message: Message) -> r.Relation:
    return r.CachedLocalRelation((message.cached_local_relation.hash,))


def _chunked_local_relation(message: Message) -> r.Relation:
    field = message.chunked_cached_local_relation
    return r.CachedLocalRelation(tuple(field.dataHashes), field.schemaHash if field.HasField("schemaHash") else "")


def _cached_remote_relation(message: Message) -> r.Relation:
    return r.CachedRemoteRelation(message.cached_remote_relation.relation_id)


def _sample(message: Message) -> r.Relation:
    field = message.sample
    return r.Sample(
        relation_from_message(field.input),
        field.lower_bound,
        field.upper_bound,
        field.with_replacement,
        field.seed if field.HasField("seed") else None,
        field.deterministic_order,
    )


def _deduplicate(message: Message) -> r.Relation:
    field = message.deduplicate
    child = relation_from_message(field.input)
    return r.Deduplicate(child, tuple(field.column_names), field.all_columns_as_keys, field.within_watermark)


def _range(message: Message) -> r.Relation:
    field = message.range
    partitions = field.num_partitions if field.HasField("num_partitions") else None
    return r.Range(field.start, field.end, field.step, partitions)


def _subquery_alias(message: Message) -> r.Relation:
    field = message.subquery_alias
    return r.SubqueryAlias(relation_from_message(field.input), field.alias, tuple(field.qualifier))


def _repartition(message: Message) -> r.Relation:
    field = message.repartition
    if field.num_partitions <= 0:
        raise spark_error(
            "INTERNAL_ERROR",
            ErrorKind.ILLEGAL_ARGUMENT,
            message=f"requirement failed: Number of partitions ({field.num_partitions}) must be positive.",
        )
    shuffle = field.shuffle if field.HasField("shuffle") else False
    return r.Repartition(relation_from_message(field.input), field.num_partitions, shuffle)


def _repartition_by_expression(message: Message) -> r.Relation:
    field = message.repartition_by_expression
    count = field.num_partitions if field.HasField("num_partitions") else None
    expressions = expressions_from_messages(field.partition_exprs)
    return r.RepartitionByExpression(relation_from_message(field.input), expressions, count)


def _to_df(message: Message) -> r.Relation:
    return r.ToDataFrame(relation_from_message(message.to_df.input), tuple(message.to_df.column_names))


def _with_columns_renamed(message: Message) -> r.Relation:
    field = message.with_columns_renamed
    renames = [(item.col_name, item.new_col_name) for item in field.renames]
    renames += list(field.rename_columns_map.items())
    return r.WithColumnsRenamed(relation_from_message(field.input), tuple(renames))


def _with_columns(message: Message) -> r.Relation:
    field = message.with_columns
    items: list[Expression] = []
    for alias in field.aliases:
        wrapped = expressions_pb2.Expression(alias=alias)
        items.append(expression_from_message(wrapped))
    return r.WithColumns(relation_from_message(field.input), tuple(items))


def _drop(message: Message) -> r.Relation:
    field = message.drop
    child = relation_from_message(field.input)
    return r.Drop(child, expressions_from_messages(field.columns), tuple(field.column_names))


def _hint(message: Message) -> r.Relation:
    field = message.hint
    return r.Hint(relation_from_message(field.input), field.name, expressions_from_messages(field.parameters))


def _unpivot(message: Message) -> r.Relation:
    field = message.unpivot
    values = expressions_from_messages(field.values.values) if field.HasField("values") else None
    return r.Unpivot(
        relation_from_message(field.input),
        expressions_from_messages(field.ids),
        values,
        field.variable_column_name,
        field.value_column_name,
    )


def _transpose(message: Message) -> r.Relation:
    field = message.transpose
    return r.Transpose(relation_from_message(field.input), expressions_from_messages(field.index_columns))


def _to_schema(message: Message) -> r.Relation:
    field = message.to_schema
    schema = data_type_from_message(field.schema)
    if not isinstance(schema, StructType):
        raise spark_error("INVALID_SCHEMA.NON_STRUCT_TYPE", inputSchema=schema.simpleString(), dataType="STRUCT")
    return r.ToSchema(relation_from_message(field.input), schema)


def _show_string(message: Message) -> r.Relation:
    field = message.show_string
    return r.ShowString(relation_from_message(field.input), field.num_rows, field.truncate, field.vertical)


def _html_string(message: Message) -> r.Relation:
    field = message.html_string
    return r.HtmlString(relation_from_message(field.input), field.num_rows, field.truncate)


def _fill_na(message: Message) -> r.Relation:
    field = message.fill_na
    values = tuple([literal_from_message(v) for v in field.values])
    return r.FillNa(relation_from_message(field.input), tuple(field.cols), values)


def _drop_na(message: Message) -> r.Relation:
    field = message.drop_na
    least = field.min_non_nulls if field.HasField("min_non_nulls") else None
    return r.DropNa(relation_from_message(field.input), tuple(field.cols), least)


def _replace(message: Message) -> r.Relation:
    field = message.replace
    pairs = [(literal_from_message(p.old_value), literal_from_message(p.new_value)) for p in field.replacements]
    return r.ReplaceNa(relation_from_message(field.input), tuple(field.cols), tuple(pairs))


def _parse(message: Message) -> r.Relation:
    field = message.parse
    formats = {relations_pb2.Parse.PARSE_FORMAT_CSV: "csv", relations_pb2.Parse.PARSE_FORMAT_JSON: "json"}
    schema = data_type_from_message(field.schema) if field.HasField("schema") else None
    if schema is not None and not isinstance(schema, StructType):
        raise spark_error("INVALID_SCHEMA.NON_STRUCT_TYPE", inputSchema=schema.simpleString(), dataType="STRUCT")
    name = formats.get(field.format)
    if name is None:
        raise unsupported("parsing without a format")
    return r.Parse(relation_from_message(field.input), name, schema, _pairs(field.options))


def _collect_metrics(message: Message) -> r.Relation:
    field = message.collect_metrics
    child = relation_from_message(field.input)
    return r.CollectMetrics(child, field.name, expressions_from_messages(field.metrics))


def _with_relations(message: Message) -> r.Relation:
    field = message.with_relations
    references = tuple([relation_from_message(m) for m in field.references])
    return r.WithRelations(relation_from_message(field.root), references)


def _table_function(message: Message) -> r.Relation:
    field = message.unresolved_table_valued_function
    name = split_identifier(field.function_name)
    return r.TableFunction(name, expressions_from_messages(field.arguments))


def _catalog(message: Message) -> r.Relation:
    operation = str(message.catalog.WhichOneof("cat_type"))
    if operation == "None":
        raise unsupported("a catalog operation without a kind")
    field = getattr(message.catalog, operation)
    arguments = tuple([(d.name, _catalog_argument(field, d)) for d in field.DESCRIPTOR.fields])
    return r.CatalogRelation(operation, arguments)


def _catalog_argument(field: Any, descriptor: Any) -> Any:
    if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
        return tuple(sorted(getattr(field, descriptor.name).items()))
    if descriptor.has_presence and not field.HasField(descriptor.name):
        return None
    value = getattr(field, descriptor.name)
    if descriptor.message_type is not None and descriptor.message_type.name == "DataType":
        return data_type_from_message(value)
    return value


def _statistic_reader(name: str) -> Reader:
    def read(message: Message) -> r.Relation:
        field = getattr(message, name)
        return statistics.statistic_from_message(name, field, relation_from_message(field.input))

    return read


def _map_partitions(message: Message) -> r.Relation:
    field = message.map_partitions
    return r.MapInPython(relation_from_message(field.input), user_function(field.func))


def table_function(field: relations_pb2.CommonInlineUserDefinedTableFunction) -> PythonFunction:
    """A user's Python table function as it stands in messages; without a type where it says itself what it gives."""
    python = field.python_udtf
    return PythonFunction(
        field.function_name,
        field.deterministic,
        python.eval_type,
        data_type_from_message(python.return_type) if python.HasField("return_type") else None,
        python.command,
        python.python_ver,
        expressions_from_messages(field.arguments),
    )


def _python_table_function(message: Message) -> r.Relation:
    return r.PythonTableFunction(table_function(message.common_inline_user_defined_table_function))


def _group_map(message: Message) -> r.Relation:
    field = message.group_map
    if field.HasField("transform_with_state_info"):
        raise unsupported("transformWithState: structured streaming is not supported")
    keys = expressions_from_messages(field.grouping_expressions)
    return r.MapGroups(relation_from_message(field.input), keys, user_function(field.func))


def _co_group_map(message: Message) -> r.Relation:
    field = message.co_group_map
    return r.MapCogroups(
        relation_from_message(field.input),
        relation_from_message(field.other),
        expressions_from_messages(field.input_grouping_expressions),
        expressions_from_messages(field.other_grouping_expressions),
        user_function(field.func),
    )


def _with_watermark(message: Message) -> r.Relation:
    field = message.with_watermark
    return r.WithWatermark(relation_from_message(field.input), field.event_time, field.delay_threshold)


READERS: dict[str, Reader] = {
    "read": _read,
    "project": _project,
    "filter": _filter,
    "join": _join,
    "set_op": _set_operation,
    "sort": _sort,
    "limit": _limit,
    "aggregate": _aggregate,
    "sql": _sql,
    "local_relation": _local_relation,
    "sample": _sample,
    "offset": _offset,
    "deduplicate": _deduplicate,
    "range": _range,
    "subquery_alias": _subquery_alias,
    "repartition": _repartition,
    "to_df": _to_df,
    "with_columns_renamed": _with_columns_renamed,
    "show_string": _show_string,
    "drop": _drop,
    "tail": _tail,
    "with_columns": _with_columns,
    "hint": _hint,
    "unpivot": _unpivot,
    "to_schema": _to_schema,
    "repartition_by_expression": _repartition_by_expression,
    "collect_metrics": _collect_metrics,
    "parse": _parse,
    "html_string": _html_string,
    "cached_local_relation": _cached_local_relation,
    "cached_remote_relation": _cached_remote_relation,
    "as_of_join": _as_of_join,
    "with_relations": _with_relations,
    "transpose": _transpose,
    "unresolved_table_valued_function": _table_function,
    "lateral_join": _lateral_join,
    "chunked_cached_local_relation": _chunked_local_relation,
    "fill_na": _fill_na,
    "drop_na": _drop_na,
    "replace": _replace,
    "catalog": _catalog,
    "map_partitions": _map_partitions,
    "group_map": _group_map,
    "common_inline_user_defined_table_function": _python_table_function,
    "co_group_map": _co_group_map,
    "with_watermark": _with_watermark,
    **{name: _statistic_reader(name) for name in statistics.READERS},
}

UNSUPPORTED: dict[str, str] = {
    "common_inline_user_defined_data_source": "clients register a data source before they read it",
    "apply_in_pandas_with_state": "structured streaming is not supported",
    "ml_relation": "Spark ML is not supported",
    "extension": "extensions are classes of a JVM",
    "unknown": "the client did not know it either",
}

__all__ = ["READERS", "UNSUPPORTED", "named_arguments", "positional_arguments", "relation_from_message"]
