"""Whole partitions and groups of rows through users' Python functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import polars as pl
import pyarrow as pa

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.python import protocol
from voltray.executors.python.parts import rows_of_batch
from voltray.executors.python.pool import POOL
from voltray.executors.python.protocol import WorkerFunction
from voltray.executors.python.result_types import declared_columns
from voltray.executors.python.udf import carried, record_batch, worker_task
from voltray.proto.expressions import AggregateCall, Alias, Attribute, PythonCall
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.operators import PythonScan
from voltray.proto.types import StructField, StructType, carrier

_STRUCT_INPUT = frozenset((protocol.GROUPED_MAP_ARROW, protocol.GROUPED_MAP_ARROW_ITER))
Slice = tuple[int, int]
Writer = Callable[[BinaryIO], None]


def schema_of(attributes: Sequence[Attribute]) -> StructType:
    """Attributes as a schema, under their names."""
    return StructType([StructField(a.name, a.dtype, a.nullable) for a in attributes])


def batch_of(frame: pl.DataFrame, attributes: Sequence[Attribute], zone: str) -> pa.RecordBatch:
    """A frame's columns of these attributes as one Arrow batch."""
    columns = [frame.get_column(a.column) for a in attributes]
    return record_batch(columns, schema_of(attributes), zone, frame.height)


def empty_frame(attributes: Sequence[Attribute]) -> pl.DataFrame:
    """No rows of these attributes."""
    return pl.DataFrame(schema={a.column: carrier(a.dtype) for a in attributes})


def _in_struct(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch.to_struct_array()], names=["_0"])


def map_partition(
    call: PythonCall,
    inputs: Sequence[Attribute],
    outputs: Sequence[Attribute],
    frame: pl.DataFrame,
    context: EvaluationContext,
) -> pl.DataFrame:
    """The rows that a function makes of all rows, which it gets as batches."""
    batch = _in_struct(batch_of(frame, inputs, context.time_zone))
    step = rows_of_batch(batch, context, grows=False)

    def write(sink: BinaryIO) -> None:
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            for start in range(0, batch.num_rows, step):
                writer.write_batch(batch.slice(start, step))
        sink.write(protocol.end_of_input())

    function = WorkerFunction((call.command,), (0,))
    return _rows(call, function, schema_of(inputs), write, outputs, context)


def scan_partitions(operator: PythonScan, context: EvaluationContext) -> pl.DataFrame:
    """The rows of a data source's partitions; each is read by one run of the function."""
    frames: list[pl.DataFrame] = []
    for partition in operator.partitions:
        batch = _in_struct(pa.RecordBatch.from_arrays([pa.array([partition], pa.binary())], names=["partition"]))

        def write(sink: BinaryIO, batch: pa.RecordBatch = batch) -> None:
            write_group(sink, batch)
            sink.write(protocol.end_of_input())

        function = WorkerFunction((operator.call.command,), (0,))
        frames.append(_rows(operator.call, function, StructType([]), write, operator.attributes, context))
    return pl.concat(frames) if frames else empty_frame(operator.attributes)


def map_groups(
    call: PythonCall,
    keys: Sequence[Attribute],
    inputs: Sequence[Attribute],
    outputs: Sequence[Attribute],
    frame: pl.DataFrame,
    context: EvaluationContext,
) -> pl.DataFrame:
    """The rows that a function makes of each group."""
    if not frame.height:
        return empty_frame(outputs)
    columns = (*keys, *inputs)
    ordered, groups = sorted_groups(frame, keys)
    batch = batch_of(ordered, columns, context.time_zone)
    if call.eval_type in _STRUCT_INPUT:
        batch = _in_struct(batch)
    function = WorkerFunction((call.command,), key_and_value_offsets(len(keys), len(inputs)))
    return _rows(call, function, schema_of(columns), group_writer(batch, groups), outputs, context)


def map_cogroups(
    call: PythonCall,
    sides: Sequence[tuple[pl.DataFrame, Sequence[Attribute], Sequence[Attribute]]],
    outputs: Sequence[Attribute],
    context: EvaluationContext,
) -> pl.DataFrame:
    """The rows that a function makes of each pair of groups with one key; ``sides``: frame, keys and columns."""
    if not any(frame.height for frame, _, _ in sides):
        return empty_frame(outputs)
    found: dict[tuple[object, ...], list[Slice]] = {}
    batches: list[pa.RecordBatch] = []
    offsets: list[int] = []
    for side, (frame, keys, inputs) in enumerate(sides):
        ordered, groups = sorted_groups(frame, keys)
        batches.append(batch_of(ordered, (*keys, *inputs), context.time_zone))
        offsets.extend(key_and_value_offsets(len(keys), len(inputs)))
        starts = [start for start, _ in groups]
        firsts = ordered.select([a.column for a in keys])[starts].rows() if keys else [()]
        for key, group in zip(firsts, groups, strict=True):
            found.setdefault(key, [(0, 0), (0, 0)])[side] = group

    def write(sink: BinaryIO) -> None:
        for pair in found.values():
            sink.write(protocol.group_of(2))
            for batch, (start, length) in zip(batches, pair, strict=True):
                write_group(sink, batch.slice(start, length))
        sink.write(protocol.group_of(0))
        sink.write(protocol.end_of_input())

    function = WorkerFunction((call.command,), tuple(offsets))
    return _rows(call, function, schema_of(sides[0][2]), write, outputs, context)


def aggregate_groups(
    aggregates: Sequence[Alias],
    keys: Sequence[Attribute],
    inputs: Sequence[Attribute],
    frame: pl.DataFrame,
    context: EvaluationContext,
) -> pl.DataFrame:
    """The keys of each group and one value of each function; without keys one group of all rows."""
    if not frame.height:
        # Spark has no row for no rows, not even without keys.
        return empty_frame([*keys, *[Attribute(a.expr_id, a.name, a.dtype) for a in aggregates]])
    ordered, groups = sorted_groups(frame, keys)
    places = {a.expr_id: i for i, a in enumerate(inputs)}
    functions: list[WorkerFunction] = []
    calls: list[PythonCall] = []
    for alias in aggregates:
        assert isinstance(alias.child, AggregateCall)
        call = alias.child.option("python")
        arguments = [places[a.expr_id] for a in alias.child.args if isinstance(a, Attribute)]
        functions.append(WorkerFunction((call.command,), tuple(arguments), call.arg_names))
        calls.append(call)
    batch = batch_of(ordered, inputs, context.time_zone)
    first = calls[0]
    task = worker_task(first.eval_type, first.python_version, tuple(functions), context, schema_of(inputs))
    batches = list(POOL.run(context.session_id, context.query_id, task, group_writer(batch, groups)))
    starts = [start for start, _ in groups]
    columns = [ordered.get_column(k.column).gather(starts) for k in keys]
    for position, alias in enumerate(aggregates):
        values = carried(pa.chunked_array([b.column(position) for b in batches]), alias.dtype)
        columns.append(values.alias(f"#{alias.expr_id}"))
    return pl.DataFrame(columns)


def sorted_groups(frame: pl.DataFrame, keys: Sequence[Attribute]) -> tuple[pl.DataFrame, list[Slice]]:
    """The rows by key, and where each group starts and how long it is."""
    if not keys:
        return frame, [(0, frame.height)]
    names = list(dict.fromkeys([k.column for k in keys]))
    ordered = frame.sort(names, maintain_order=True)
    if not ordered.height:
        return ordered, []
    runs = ordered.select(pl.struct(names).rle_id().alias("run")).get_column("run")
    lengths = runs.value_counts().sort("run").get_column("count").to_list()
    groups: list[Slice] = []
    start = 0
    for length in lengths:
        groups.append((start, length))
        start += length
    return ordered, groups


def key_and_value_offsets(keys: int, values: int) -> tuple[int, ...]:
    """How Spark tells a worker which columns are keys and which values."""
    return (1 + keys + values, keys, *range(keys + values))


def group_writer(batch: pa.RecordBatch, groups: Sequence[Slice]) -> Writer:
    """Writes each group as a stream of its own."""

    def write(sink: BinaryIO) -> None:
        for start, length in groups:
            sink.write(protocol.group_of(1))
            write_group(sink, batch.slice(start, length))
        sink.write(protocol.group_of(0))
        sink.write(protocol.end_of_input())

    return write


def write_group(sink: BinaryIO, batch: pa.RecordBatch) -> None:
    """Write one group's rows as an Arrow stream."""
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _rows(
    call: PythonCall,
    function: WorkerFunction,
    schema: StructType,
    write: Writer,
    outputs: Sequence[Attribute],
    context: EvaluationContext,
) -> pl.DataFrame:
    task = worker_task(call.eval_type, call.python_version, (function,), context, schema)
    batches = POOL.run(context.session_id, context.query_id, task, write)
    # For every other kind the worker itself checks what it sends.
    frames = list(_frames(batches, outputs, checked=call.eval_type == protocol.MAP_ARROW_ITER))
    return pl.concat(frames) if frames else empty_frame(outputs)


def _frames(
    batches: Iterator[pa.RecordBatch], outputs: Sequence[Attribute], *, checked: bool
) -> Iterator[pl.DataFrame]:
    for batch in batches:
        rows = batch.column(0)
        columns = rows.flatten()
        if checked:
            columns = declared_columns(columns, outputs)
        if len(outputs) != len(columns):
            raise ValueError(f"a worker gave {len(columns)} columns for {len(outputs)}")
        for column, attribute in zip(columns, outputs, strict=True):
            if not attribute.nullable and column.null_count:
                message = f"Value at index is null: the column {attribute.name} is declared without NULL."
                raise spark_error("", ErrorKind.SPARK, message=message)
        yield pl.DataFrame([carried(c, a.dtype).alias(a.column) for c, a in zip(columns, outputs, strict=True)])
