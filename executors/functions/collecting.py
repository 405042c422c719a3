"""Aggregates that gather values: lists, sets, joined text, the most frequent values."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate, argument_type, one_buffer
from voltray.executors.functions.argument_checks import checked, constant_value
from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    Split,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.collations import is_collated
from voltray.proto.expressions import AggregateCall, Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import (
    INTEGER,
    LONG,
    NULL,
    STRING,
    ArrayType,
    BinaryType,
    DataType,
    IntegerType,
    NullType,
    StringType,
    StructField,
    StructType,
    carrier,
    type_name,
)  # fmt: skip


# ---- lists and sets ---------------------------------------------------------------------------------
def _list_type(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(dtype_of(args[0]), containsNull=False)


def _flattened(lists: pl.Expr) -> pl.Expr:
    return lists.explode(empty_as_null=False, keep_nulls=False)


_LIST = one_buffer(
    "values",
    lambda call: call.dtype,
    lambda evaluation, value: value.drop_nulls().implode(),
    lambda lists: _flattened(lists).implode(),
)
# Spark gives the elements as they lie in a hash table; sorted, they are the same wherever the query runs.
_SET = one_buffer(
    "values",
    lambda call: call.dtype,
    lambda evaluation, value: value.drop_nulls().unique().sort().implode(),
    lambda lists: _flattened(lists).unique().sort().implode(),
)


# ---- distinct counts --------------------------------------------------------------------------------
_DISTINCT = Split(
    lambda call: (("values", ArrayType(argument_type(call), containsNull=False)),),
    lambda evaluation, value, *error: (value.drop_nulls().unique().implode(),),
    lambda evaluation, lists: (_flattened(lists).unique().implode(),),
    lambda evaluation, lists: lists.list.len().cast(pl.Int64),
)


# ---- text -------------------------------------------------------------------------------------------
def _joined(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    delimiter = call.args[1].value if len(call.args) > 1 and isinstance(call.args[1], Literal) else None
    if isinstance(call.dtype, BinaryType):
        glue = delimiter.encode() if isinstance(delimiter, str) else delimiter or b""
        joined = value.drop_nulls().implode().map_batches(
            lambda lists: pl.Series([glue.join(v) for v in lists.to_list()], dtype=pl.Binary),
            return_dtype=pl.Binary,
            is_elementwise=True,
        )  # fmt: skip
    else:
        joined = value.drop_nulls().str.join(delimiter or "")
    return pl.when(value.count() > 0).then(joined)


def _joined_type(args: tuple[Expression, ...]) -> DataType:
    dtype = dtype_of(args[0])
    return dtype if isinstance(dtype, StringType | BinaryType) else STRING


_TEXT = Accept((StringType, BinaryType), (STRING,), '("STRING" or "BINARY")')
_DELIMITER = Accept((StringType, BinaryType, NullType), (STRING,), '"STRING"', foldable=True)
_JOINED = Signature((Parameter("expr", _TEXT), Parameter("delimiter", _DELIMITER, Literal(None, NULL))))


def _resolve_joined(resolution: Any) -> Expression:
    """Texts and their delimiter are of one type, collation and all."""
    types = [dtype_of(a) for a in resolution.args]
    if len(types) > 1 and all(isinstance(t, (StringType, BinaryType)) for t in types) and types[0] != types[1]:
        shown = f"({type_name(types[0])} or {type_name(types[1])})"
        raise resolution.mismatch("DATA_DIFF_TYPES", functionName="`listagg`", dataType=shown)
    return resolution.finish()  # type: ignore[no-any-return]


def _resolve_set(resolution: Any) -> Expression:
    if is_collated(dtype_of(resolution.args[0])):
        shown = '"MAP" or "COLLATED STRING"'
        raise resolution.mismatch("UNSUPPORTED_INPUT_TYPE", functionName="`collect_set`", dataType=shown)
    return resolution.finish()  # type: ignore[no-any-return]


def _joined_display(name: str) -> Any:
    return lambda names: f"{name}({names[0]}, {names[1] if len(names) > 1 else 'NULL'})"


# ---- the most frequent ------------------------------------------------------------------------------
def _mode(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    """The most frequent value; of several the least one (Spark takes any), the greatest under ORDER BY .. DESC."""
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    most = value.drop_nulls().mode().sort()
    descends = bool(call.order_by) and not call.order_by[0].ascending
    return most.last() if descends else most.first()


def _mode_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


def _top_values(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    call = evaluation.call
    limit = call.args[1].value if len(call.args) > 1 and isinstance(call.args[1], Literal) else 5
    item = carrier(dtype_of(call.args[0]))
    counts = value.value_counts(sort=True, name="count").head(limit)
    renamed = counts.struct.rename_fields(["item", "count"])
    return renamed.cast(pl.Struct({"item": item, "count": pl.Int64})).implode()


def _top_type(args: tuple[Expression, ...]) -> DataType:
    fields = [StructField("item", dtype_of(args[0]), nullable_of(args[0])), StructField("count", LONG, False)]
    return ArrayType(StructType(fields), containsNull=False)


def _mode_display(names: tuple[str, ...]) -> str:
    if len(names) > 1 and names[1] == "true":
        return f"mode() WITHIN GROUP (ORDER BY {names[0]} DESC)"
    return f"mode({names[0]})" if names else "mode()"


def _top_display(names: tuple[str, ...]) -> str:
    defaults = ("", "5", "10000")
    return f"approx_top_k({', '.join((*names, *defaults[len(names) :]))})"


_MOST_TRACKED = 1_000_000


def _check_top(resolution: Any, call: Any) -> None:
    for name, argument in zip(("k", "maxItemsTracked"), call.args[1:], strict=True):
        value = constant_value(argument)
        if value is None:
            raise resolution.error("APPROX_TOP_K_NULL_ARG", argName=f"`{name}`")
        if value <= 0:
            raise resolution.error("APPROX_TOP_K_NON_POSITIVE_ARG", argName=f"`{name}`", argValue=value)
    wanted, tracked = (constant_value(argument) for argument in call.args[1:])
    if tracked > _MOST_TRACKED:
        raise resolution.error(
            "APPROX_TOP_K_MAX_ITEMS_TRACKED_EXCEEDS_LIMIT", maxItemsTracked=tracked, limit=_MOST_TRACKED
        )
    if tracked < wanted:
        raise resolution.error("APPROX_TOP_K_MAX_ITEMS_TRACKED_LESS_THAN_K", maxItemsTracked=tracked, k=wanted)


_WHOLE = Accept((IntegerType,), (INTEGER,), '"INT"', foldable=True)
_ONE = parameters(("expr", ANY))
_ESTIMATE = Signature(
    (Parameter("expr", ANY), Parameter("relativeSD", Accept(shown='"DOUBLE"', foldable=True), optional=True))
)

FUNCTIONS: tuple[Function, ...] = (
    aggregate("collect_list", _ONE, _list_type, _LIST, nullable=never_nullable),
    aggregate(
        "array_agg", _ONE, _list_type, _LIST, nullable=never_nullable,
        display=lambda names: f"collect_list({names[0]})",
    ),
    aggregate("collect_set", _ONE, _list_type, _SET, nullable=never_nullable, resolve=_resolve_set),
    aggregate(
        "approx_count_distinct", _ESTIMATE, LONG, _DISTINCT, nullable=never_nullable,
        display=lambda names: f"approx_count_distinct({names[0]})",
        notes="Counts exactly, within any error that was asked for.",
    ),
    aggregate(
        "listagg", _JOINED, _joined_type, body=_joined, display=_joined_display("listagg"), resolve=_resolve_joined
    ),
    aggregate(
        "string_agg", _JOINED, _joined_type, body=_joined, display=_joined_display("string_agg"),
        resolve=_resolve_joined,
    ),
    aggregate(
        "mode", Signature((Parameter("expr", ANY), Parameter("deterministic", ANY, optional=True))), _mode_type,
        body=_mode, display=_mode_display,
    ),
    aggregate(
        "approx_top_k",
        Signature(
            (
                Parameter("expr", ANY),
                Parameter("k", _WHOLE, Literal(5, INTEGER)),
                Parameter("maxItemsTracked", _WHOLE, Literal(10000, INTEGER)),
            )
        ),
        _top_type, body=_top_values, nullable=never_nullable, display=_top_display, resolve=checked(_check_top),
    ),
)  # fmt: skip
