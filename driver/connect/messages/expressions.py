"""Expression messages: one function for each kind, by the name of its oneof field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from pyspark.sql.connect.proto import common_pb2, expressions_pb2

from voltray.driver.connect.messages.literals import literal_from_message
from voltray.driver.connect.messages.types import data_type_from_message
from voltray.driver.plan import expressions as u
from voltray.driver.plan.identifiers import split_identifier
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, QueryContext, spark_error

Message = expressions_pb2.Expression
Reader = Callable[[Message, QueryContext | None], Expression]


def expression_from_message(message: Message) -> Expression:
    """The unresolved expression that a message means."""
    kind = message.WhichOneof("expr_type")
    reader = READERS.get(str(kind))
    if reader is None:
        raise unsupported(f"the expression {kind}" if kind else "an expression without a kind")
    return reader(message, origin_of(message.common) if message.HasField("common") else None)


def expressions_from_messages(messages: Iterable[Message]) -> tuple[Expression, ...]:
    """Several expressions in order."""
    return tuple([expression_from_message(m) for m in messages])


def unsupported(what: str) -> Exception:
    """The error for a message of the protocol that Voltray refuses."""
    return spark_error(
        "UNSUPPORTED_FEATURE",
        ErrorKind.UNSUPPORTED,
        sqlstate="0A000",
        message=f"[UNSUPPORTED_FEATURE] Voltray does not support {what}. SQLSTATE: 0A000",
        feature=what,
    )


def origin_of(message: Any) -> QueryContext | None:
    """Where in the user's program an expression or relation was made."""
    origin: common_pb2.Origin = message.origin
    match origin.WhichOneof("function"):
        case "python_origin":
            python = origin.python_origin
            return QueryContext(fragment=python.fragment, call_site=python.call_site, kind="DATAFRAME")
        case "jvm_origin":
            jvm = origin.jvm_origin
            if jvm.HasField("sql_text"):
                fragment = jvm.sql_text[jvm.start_index : jvm.stop_index + 1]
                return QueryContext(fragment, jvm.start_index, jvm.stop_index, jvm.object_type, jvm.object_name)
    return None


def _literal(message: Message, origin: QueryContext | None) -> Expression:
    return literal_from_message(message.literal)


def _unresolved_attribute(message: Message, origin: QueryContext | None) -> Expression:
    field = message.unresolved_attribute
    plan_id = field.plan_id if field.HasField("plan_id") else None
    parts = split_identifier(field.unparsed_identifier)
    return u.UnresolvedAttribute(parts, plan_id, field.is_metadata_column, origin)


def _unresolved_function(message: Message, origin: QueryContext | None) -> Expression:
    field = message.unresolved_function
    user_defined = field.is_user_defined_function
    name = split_identifier(field.function_name) if user_defined else (field.function_name,)
    arguments = expressions_from_messages(field.arguments)
    return u.UnresolvedFunction(
        name,
        arguments,
        distinct=field.is_distinct,
        is_internal=field.is_internal,
        is_operator=not user_defined,
        origin=origin,
    )


def _expression_string(message: Message, origin: QueryContext | None) -> Expression:
    return u.ExpressionString(message.expression_string.expression, origin)


def _unresolved_star(message: Message, origin: QueryContext | None) -> Expression:
    field = message.unresolved_star
    target: tuple[str, ...] = ()
    if field.HasField("unparsed_target"):
        target = split_identifier(field.unparsed_target)
        if target[-1] != "*":
            raise spark_error("INVALID_SQL_SYNTAX", message="A star's target must end with '.*'.")
        target = target[:-1]
    return u.UnresolvedStar(target, field.plan_id if field.HasField("plan_id") else None, origin=origin)


def _alias(message: Message, origin: QueryContext | None) -> Expression:
    field = message.alias
    metadata = json.loads(field.metadata) if field.HasField("metadata") else {}
    child = expression_from_message(field.expr)
    return u.UnresolvedAlias(child, tuple(field.name), tuple(metadata.items()), origin)


_CAST_MODES: dict[int, str | None] = {
    Message.Cast.EVAL_MODE_UNSPECIFIED: None,
    Message.Cast.EVAL_MODE_LEGACY: "legacy",
    Message.Cast.EVAL_MODE_ANSI: "ansi",
    Message.Cast.EVAL_MODE_TRY: "try",
}


def _cast(message: Message, origin: QueryContext | None) -> Expression:
    field = message.cast
    if field.WhichOneof("cast_to_type") == "type_str":
        from voltray.driver.sql.schema import parse_schema

        dtype = parse_schema(field.type_str)
    else:
        dtype = data_type_from_message(field.type)
    return u.UnresolvedCast(expression_from_message(field.expr), dtype, _CAST_MODES[field.eval_mode], origin)


def _unresolved_regex(message: Message, origin: QueryContext | None) -> Expression:
    field = message.unresolved_regex
    pattern = field.col_name[1:-1] if field.col_name[:1] == "`" else field.col_name
    return u.UnresolvedRegex(pattern, field.plan_id if field.HasField("plan_id") else None, origin)


_DIRECTIONS = {
    Message.SortOrder.SORT_DIRECTION_ASCENDING: True,
    Message.SortOrder.SORT_DIRECTION_DESCENDING: False,
}
_NULLS_FIRST = {
    Message.SortOrder.SORT_NULLS_FIRST: True,
    Message.SortOrder.SORT_NULLS_LAST: False,
}


def sort_order_from_message(field: Message.SortOrder, origin: QueryContext | None = None) -> u.UnresolvedSortOrder:
    """A sort key."""
    child = expression_from_message(field.child)
    ascending, nulls_first = _DIRECTIONS.get(field.direction), _NULLS_FIRST.get(field.null_ordering)
    return u.UnresolvedSortOrder(child, ascending, nulls_first, origin)


def _sort_order(message: Message, origin: QueryContext | None) -> Expression:
    return sort_order_from_message(message.sort_order, origin)


def _lambda_function(message: Message, origin: QueryContext | None) -> Expression:
    field = message.lambda_function
    names = tuple([".".join(v.name_parts) for v in field.arguments])
    return u.UnresolvedLambda(expression_from_message(field.function), names, origin)


def _lambda_variable(message: Message, origin: QueryContext | None) -> Expression:
    return u.UnresolvedLambdaVariable(tuple(message.unresolved_named_lambda_variable.name_parts))


def _bound(field: Message.Window.WindowFrame.FrameBoundary) -> Expression | str:
    match field.WhichOneof("boundary"):
        case "current_row":
            return "current"
        case "unbounded":
            return "unbounded"
        case "value":
            return expression_from_message(field.value)
    raise unsupported("a window frame without a boundary")


def _window(message: Message, origin: QueryContext | None) -> Expression:
    field = message.window
    frame = None
    if field.HasField("frame_spec"):
        spec = field.frame_spec
        kind = "rows" if spec.frame_type == Message.Window.WindowFrame.FRAME_TYPE_ROW else "range"
        frame = u.UnresolvedFrame(kind, _bound(spec.lower), _bound(spec.upper))
    return u.UnresolvedWindow(
        expression_from_message(field.window_function),
        expressions_from_messages(field.partition_spec),
        tuple([sort_order_from_message(o) for o in field.order_spec]),
        frame,
        origin=origin,
    )


def _extract_value(message: Message, origin: QueryContext | None) -> Expression:
    field = message.unresolved_extract_value
    return u.UnresolvedExtract(expression_from_message(field.child), expression_from_message(field.extraction), origin)


def _update_fields(message: Message, origin: QueryContext | None) -> Expression:
    field = message.update_fields
    value = expression_from_message(field.value_expression) if field.HasField("value_expression") else None
    return u.UpdateFields(expression_from_message(field.struct_expression), field.field_name, value, origin)


def _user_function(message: Message, origin: QueryContext | None) -> Expression:
    return user_function(message.common_inline_user_defined_function, origin)


def user_function(field: Any, origin: QueryContext | None = None) -> u.PythonFunction:
    """A user's Python function as it stands in messages; a JVM's are refused."""
    if field.WhichOneof("function") != "python_udf":
        raise unsupported(f"the Scala or Java function {field.function_name}: the server has no JVM")
    python = field.python_udf
    return u.PythonFunction(
        field.function_name,
        field.deterministic,
        python.eval_type,
        data_type_from_message(python.output_type),
        python.command,
        python.python_ver,
        expressions_from_messages(field.arguments),
        origin,
    )


def _call_function(message: Message, origin: QueryContext | None) -> Expression:
    field = message.call_function
    name = split_identifier(field.function_name)
    return u.UnresolvedFunction(name, expressions_from_messages(field.arguments), origin=origin)


def _named_argument(message: Message, origin: QueryContext | None) -> Expression:
    field = message.named_argument_expression
    return u.NamedArgument(field.key, expression_from_message(field.value), origin)


_SUBQUERY_KINDS = {
    expressions_pb2.SubqueryExpression.SUBQUERY_TYPE_SCALAR: "scalar",
    expressions_pb2.SubqueryExpression.SUBQUERY_TYPE_EXISTS: "exists",
    expressions_pb2.SubqueryExpression.SUBQUERY_TYPE_TABLE_ARG: "table_argument",
    expressions_pb2.SubqueryExpression.SUBQUERY_TYPE_IN: "in",
}


def _subquery(message: Message, origin: QueryContext | None) -> Expression:
    field = message.subquery_expression
    kind = _SUBQUERY_KINDS.get(field.subquery_type)
    if kind is None:
        raise unsupported("a subquery expression without a type")
    options = field.table_arg_options
    return u.UnresolvedSubquery(
        kind,
        plan_id=field.plan_id,
        values=expressions_from_messages(field.in_subquery_values),
        partition_by=expressions_from_messages(options.partition_spec),
        order_by=tuple([sort_order_from_message(o) for o in options.order_spec]),
        with_single_partition=options.with_single_partition,
        origin=origin,
    )


def _direct_shuffle(message: Message, origin: QueryContext | None) -> Expression:
    return u.DirectShuffle(expression_from_message(message.direct_shuffle_partition_id.child))


READERS: dict[str, Reader] = {
    "literal": _literal,
    "unresolved_attribute": _unresolved_attribute,
    "unresolved_function": _unresolved_function,
    "expression_string": _expression_string,
    "unresolved_star": _unresolved_star,
    "alias": _alias,
    "cast": _cast,
    "unresolved_regex": _unresolved_regex,
    "sort_order": _sort_order,
    "lambda_function": _lambda_function,
    "unresolved_named_lambda_variable": _lambda_variable,
    "window": _window,
    "unresolved_extract_value": _extract_value,
    "update_fields": _update_fields,
    "common_inline_user_defined_function": _user_function,
    "call_function": _call_function,
    "named_argument_expression": _named_argument,
    "subquery_expression": _subquery,
    "direct_shuffle_partition_id": _direct_shuffle,
}

UNSUPPORTED: dict[str, str] = {
    "merge_action": "MERGE has its own command, which no table format here takes yet",
    "typed_aggregate_expression": "typed aggregates are Scala code: the server has no JVM",
    "extension": "extensions are classes of a JVM",
}
