"""Columns computed by users' Python functions: Arrow batches to a worker process and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.python import protocol
from voltray.executors.python.parts import BATCH_ROWS_CONF, DEFAULT_BATCH_ROWS, in_parallel, parts_of, rows_of_batch
from voltray.executors.python.pool import POOL
from voltray.executors.python.protocol import WorkerFunction, WorkerTask
from voltray.executors.results import exact_array
from voltray.proto.expressions import Attribute, Expression, PythonCall, dtype_of, walk
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import DataType, StructField, StructType, arrow_schema, carrier

_CHAINABLE = frozenset((protocol.BATCHED, protocol.ARROW_BATCHED, protocol.SCALAR_PANDAS, protocol.SCALAR_ARROW))
_NEWEST = pl.CompatLevel.newest()


def python_column(
    call: PythonCall, context: EvaluationContext, compile_argument: Callable[[Expression], pl.Expr]
) -> pl.Expr:
    """The column of a call; a call of a call of the same kind is one task of one worker."""
    if not context.session_id:
        raise spark_error("UNSUPPORTED_EXPR_FOR_OPERATOR", ErrorKind.UNSUPPORTED, invalidExprSqls=call.name)
    commands = [call.command]
    inner = call
    while (
        len(inner.args) == 1
        and isinstance(inner.args[0], PythonCall)
        and inner.args[0].eval_type == call.eval_type
        and call.eval_type in _CHAINABLE
        and not any(inner.arg_names)
    ):
        inner = inner.args[0]
        commands.insert(0, inner.command)
    types = [dtype_of(a) for a in inner.args]
    function = WorkerFunction(tuple(commands), tuple(range(len(types))), inner.arg_names)
    arguments = [compile_argument(a) for a in inner.args]
    has_column = any(isinstance(part, Attribute) for a in inner.args for part in walk(a))
    if not has_column:
        # A function of constants still has a value for each row.
        arguments.append(pl.int_range(pl.len(), dtype=pl.Int64))
    result = carrier(call.dtype)

    def run(columns: Sequence[pl.Series]) -> pl.Series:
        length = len(columns[-1]) if not has_column else max(len(c) for c in columns)
        if length == 0:
            return pl.Series(columns[0].name, [], dtype=result)
        wide = [c if len(c) == length else c.new_from_index(0, length) for c in columns[: len(types)]]
        values = evaluate(call, function, types, wide, length, context)
        if len(values) != length:
            raise _length_mismatch(len(values), length)
        return values

    return pl.map_batches(arguments, run, is_elementwise=has_column, return_dtype=result)


def _length_mismatch(given: int, wanted: int) -> Exception:
    message = f"The number of rows that a Python function gave ({given}) differs from those it got ({wanted})."
    return spark_error("PYTHON_EXCEPTION", ErrorKind.PYTHON, message=message, sqlstate="38000")


def evaluate(
    call: PythonCall,
    function: WorkerFunction,
    types: Sequence[DataType],
    columns: Sequence[pl.Series],
    length: int,
    context: EvaluationContext,
) -> pl.Series:
    """The values of a function for columns of arguments."""
    schema = argument_schema(types)
    task = worker_task(call.eval_type, call.python_version, (function,), context, schema)
    pickled = call.eval_type == protocol.BATCHED
    zone = "UTC" if pickled else context.time_zone
    described = {"spark": json.dumps({"inputs": [t.json() for t in types], "results": [call.dtype.json()]})}
    batch = record_batch(columns, schema, zone, length)
    if pickled:
        batch = batch.replace_schema_metadata(described)
    step = rows_of_batch(batch, context, grows=not pickled)

    def run(first: int, rows: int) -> list[pa.RecordBatch]:
        def write(sink: BinaryIO) -> None:
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                for start in range(first, first + rows, step):
                    writer.write_batch(batch.slice(start, min(step, first + rows - start)))
            sink.write(protocol.end_of_input())

        return list(POOL.run(context.session_id, context.query_id, task, write))

    batches = in_parallel(run, parts_of(length, pickled=pickled, busy=POOL.busy_for(context.query_id)))
    column = pa.chunked_array([b.column(0) for b in batches]) if batches else pa.chunked_array([], pa.null())
    return carried(column, call.dtype)


def worker_task(
    eval_type: int,
    python_version: str,
    functions: tuple[WorkerFunction, ...],
    context: EvaluationContext,
    schema: StructType,
    extra_confs: tuple[tuple[str, str], ...] = (),
) -> WorkerTask:
    """A task under the session's confs."""
    confs = {
        "spark.sql.execution.pandas.convertToArrowArraySafely": "true",
        **dict(context.confs),
        "spark.sql.session.timeZone": context.time_zone,
        **dict(extra_confs),
    }
    return WorkerTask(
        eval_type,
        python_version,
        functions,
        tuple(confs.items()),
        schema.json(),
        context.partition_id,
    )


def argument_schema(types: Sequence[DataType]) -> StructType:
    """Arguments as the columns of a worker's input."""
    return StructType([StructField(f"_{i}", t, True) for i, t in enumerate(types)])


def record_batch(columns: Sequence[pl.Series], schema: StructType, zone: str, length: int) -> pa.RecordBatch:
    """Columns as an Arrow batch of exactly Spark's types."""
    exact = arrow_schema(schema, zone)
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.StructArray.from_buffers(pa.struct([]), length, [None]))
    arrays = [
        exact_array(c.rechunk().to_arrow(compat_level=_NEWEST), f.dataType, zone)
        for c, f in zip(columns, schema.fields, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=exact)


def batch_rows(context: EvaluationContext) -> int:
    """Rows of one batch for a worker."""
    rows = int(context.conf(BATCH_ROWS_CONF, str(DEFAULT_BATCH_ROWS)))
    return rows if rows > 0 else 1 << 31


def carried(column: Any, dtype: DataType) -> pl.Series:
    """A worker's column as its type's carrier."""
    wanted = carrier(dtype)
    series = pl.Series("", column)
    return series if series.dtype == wanted else series.cast(wanted)
