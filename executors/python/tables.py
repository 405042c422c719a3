"""Rows that users' table functions make of each row, in workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.operators.task import ONE_ROW_COLUMN
from voltray.executors.python import protocol
from voltray.executors.python.maps import empty_frame
from voltray.executors.python.pool import POOL
from voltray.executors.python.protocol import TableFunctionTask, WorkerFunction, WorkerTask
from voltray.executors.python.udf import argument_schema, batch_rows, carried, record_batch, worker_task
from voltray.proto.operators import TableFunctionInPython
from voltray.proto.types import StructType


def table_rows(operator: TableFunctionInPython, frame: pl.DataFrame, context: EvaluationContext) -> pl.DataFrame:
    """What the function makes of each row, beside that row; what it gives at the end stands beside the last one."""
    outputs = (*operator.child_output, *operator.attributes)
    if not frame.height:
        return empty_frame(outputs)
    parts: list[pl.DataFrame] = []
    kept = frame.select([a.column for a in operator.child_output])
    for rows, numbers in _made(operator, frame, context):
        columns = rows.flatten()
        if len(columns) != len(operator.attributes):
            raise ValueError(f"a worker gave {len(columns)} columns for {len(operator.attributes)}")
        made = [carried(c, a.dtype).alias(a.column) for c, a in zip(columns, operator.attributes, strict=True)]
        beside = kept[np.minimum(numbers, frame.height - 1)].get_columns() if kept.width else []
        parts.append(_frame([*beside, *made], len(rows)))
    return pl.concat(parts) if parts else empty_frame(outputs)


def _frame(columns: list[pl.Series], height: int) -> pl.DataFrame:
    # Rows without columns are held as a single null column.
    return pl.DataFrame(columns) if columns else pl.DataFrame({ONE_ROW_COLUMN: [None] * height})


def _made(
    operator: TableFunctionInPython, frame: pl.DataFrame, context: EvaluationContext
) -> Iterator[tuple[pa.StructArray, np.ndarray]]:
    """Rows made, and which row of the input each was made of."""
    call, inputs = operator.call, operator.inputs
    pickled = call.eval_type == protocol.TABLE
    schema = argument_schema([a.dtype for a in inputs])
    columns = [frame.get_column(a.column) for a in inputs]
    batch = record_batch(columns, schema, "UTC" if pickled else context.time_zone, frame.height)
    if pickled:
        described = {"inputs": [a.dtype.json() for a in inputs], "results": [call.dtype.json()], "table": True}
        batch = batch.replace_schema_metadata({"spark": json.dumps(described)})
    step = batch_rows(context)

    def write(sink: BinaryIO) -> None:
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            for start in range(0, batch.num_rows, step):
                writer.write_batch(batch.slice(start, step))
        sink.write(protocol.end_of_input())

    batches = POOL.run(context.session_id, context.query_id, _task(operator, schema, context), write)
    for number, result in enumerate(batches):
        rows = result.column(0)
        if pickled:
            yield rows, result.column(1).to_numpy()
        else:
            # Arrow-optimised functions give a batch for each row, those of Arrow keep no row beside theirs.
            yield rows, np.full(len(rows), number, dtype=np.int64)


def _task(operator: TableFunctionInPython, schema: StructType, context: EvaluationContext) -> WorkerTask:
    call, inputs = operator.call, operator.inputs
    function = WorkerFunction((call.command,), tuple(range(len(inputs))), call.arg_names)
    task = worker_task(call.eval_type, call.python_version, (function,), context, schema)
    table = TableFunctionTask(
        call.dtype.json(), call.name, operator.partition_indexes, operator.analyze_result, operator.table_offsets
    )
    return replace(task, table_function=table)
