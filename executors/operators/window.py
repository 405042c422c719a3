"""Window functions: the rows sorted once, then whole columns computed over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.window import KERNELS
from voltray.executors.functions.window_frames import SortedRows, frame_bounds, sorted_rows
from voltray.executors.operators.aggregate import PreparedAggregate, prepare
from voltray.executors.operators.columns import sort_keys
from voltray.executors.operators.task import TaskContext
from voltray.executors.operators.window_aggregates import aggregate_over_frames
from voltray.executors.python.windows import is_python_window, values_over_frames
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Call,
    Expression,
    SortOrder,
    WindowCall,
    column_name,
)
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.operators import Window
from voltray.proto.types import carrier

_RESULT = "#window"


@dataclass(frozen=True, slots=True)
class _Item:
    """One window column: the call, its columns of arguments, and the aggregate if it is one."""

    name: str
    call: WindowCall
    columns: tuple[pl.Expr, ...]
    arguments: tuple[str, ...]
    aggregate: PreparedAggregate | None = None


def compile_window(operator: Window, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Items that share partitioning and order are computed together."""
    groups: dict[tuple[tuple[Expression, ...], tuple[SortOrder, ...]], list[_Item]] = {}
    for alias in operator.items:
        item = _item(alias, task)
        groups.setdefault((item.call.partition_by, item.call.order_by), []).append(item)
    frame = children[0]
    for (partition, order), items in groups.items():
        frame = _windowed(frame, partition, order, items, task)
    return frame


def _item(alias: Alias, task: TaskContext) -> _Item:
    call = alias.child
    assert isinstance(call, WindowCall)
    name = column_name(alias.expr_id)
    function = call.function
    if isinstance(function, AggregateCall) and not is_python_window(call):
        prepared = prepare(Alias(function, alias.name, alias.expr_id), task.evaluation)
        roots = {root for e in (*prepared.arguments,) for root in e.meta.root_names()}
        return _Item(name, call, prepared.columns, tuple(sorted(roots)), prepared)
    if not isinstance(function, AggregateCall) and (not isinstance(function, Call) or function.name not in KERNELS):
        shown = getattr(function, "name", type(function).__name__)
        raise spark_error("UNSUPPORTED_EXPR_FOR_WINDOW", ErrorKind.ANALYSIS, sqlExpr=f'"{shown}"')
    columns: list[pl.Expr] = []
    arguments: list[str] = []
    for position, argument in enumerate(function.args):
        column = f"{name}~{position}"
        columns.append(compile_expression(argument, task.evaluation).alias(column))
        arguments.append(column)
    return _Item(name, call, tuple(columns), tuple(arguments))


def _windowed(
    frame: pl.LazyFrame,
    partition: tuple[Expression, ...],
    order: tuple[SortOrder, ...],
    items: Sequence[_Item],
    task: TaskContext,
) -> pl.LazyFrame:
    orders = (*[SortOrder(p) for p in partition], *order)
    keys, descending, nulls_last = sort_keys(orders, task.evaluation)
    key_names = [f"{_RESULT} key {i}" for i in range(len(keys))]
    made = [k.alias(n) for k, n in zip(keys, key_names, strict=True) if not _is_column(k)]
    names = [k.meta.output_name() if _is_column(k) else n for k, n in zip(keys, key_names, strict=True)]
    helpers = [*made, *[c for item in items for c in item.columns]]
    if helpers:
        frame = frame.with_columns(helpers)
    if names:
        frame = frame.sort(names, descending=descending, nulls_last=nulls_last, maintain_order=True)
    partition_names, order_names = names[: len(partition)], names[len(partition) :]
    inputs = list(dict.fromkeys([*names, *[a for item in items for a in item.arguments]]))

    def compute(columns: Sequence[pl.Series]) -> pl.Series:
        table = pl.DataFrame([c.alias(n) for c, n in zip(columns, [*inputs, _RESULT], strict=True)])
        rows = sorted_rows(
            table.height,
            [table.get_column(n) for n in partition_names],
            [table.get_column(n) for n in order_names],
        )
        return pl.DataFrame([_computed(i, table, rows, order, order_names, task) for i in items]).to_struct()

    result = pl.Struct({i.name: carrier(i.call.dtype) for i in items})
    # The row number gives the height where there are no keys and no arguments.
    sources = [*[pl.col(n) for n in inputs], pl.int_range(pl.len())]
    combined = pl.map_batches(sources, compute, return_dtype=result).alias(_RESULT)
    windowed = frame.with_columns(combined).unnest(_RESULT)
    dropped = [h.meta.output_name() for h in helpers]
    return windowed.drop(dropped) if dropped else windowed


def _is_column(key: pl.Expr) -> bool:
    return key.meta.is_column()


def _computed(
    item: _Item,
    table: pl.DataFrame,
    rows: SortedRows,
    order: tuple[SortOrder, ...],
    order_names: list[str],
    task: TaskContext,
) -> pl.Series:
    keys = [table.get_column(n) for n in order_names]
    low, high = frame_bounds(rows, item.call.frame, order, keys)
    wanted = carrier(item.call.dtype)
    if is_python_window(item.call):
        arguments = [table.get_column(a) for a in item.arguments]
        values = values_over_frames(item.call, arguments, rows, low, high, task.evaluation)
    elif item.aggregate is not None:
        values = aggregate_over_frames(item.aggregate, table, rows, low, high, item.call.ignore_nulls)
    else:
        function = item.call.function
        assert isinstance(function, Call)
        arguments = [table.get_column(a) for a in item.arguments]
        ignore = item.call.ignore_nulls or bool(function.option("ignore_nulls", False))
        values = KERNELS[function.name](rows, function, arguments, ignore, low, high)
    return (values if values.dtype == wanted else values.cast(wanted)).alias(item.name)
