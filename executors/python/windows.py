"""Users' aggregate functions over the frames of sorted rows, in workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.functions.window_frames import Indices, SortedRows
from voltray.executors.python import protocol
from voltray.executors.python.maps import write_group
from voltray.executors.python.pool import POOL
from voltray.executors.python.protocol import WorkerFunction
from voltray.executors.python.udf import argument_schema, carried, record_batch, worker_task
from voltray.proto.expressions import AggregateCall, PythonCall, WindowCall, dtype_of
from voltray.proto.types import INTEGER, carrier

_WINDOWED = {
    protocol.GROUPED_AGG_PANDAS: protocol.WINDOW_AGG_PANDAS,
    protocol.GROUPED_AGG_ARROW: protocol.WINDOW_AGG_ARROW,
}
_BOUND_TYPES_CONF = "window_bound_types"


def is_python_window(call: WindowCall) -> bool:
    """Whether a window's function is a user's Python function."""
    return isinstance(call.function, AggregateCall) and call.function.option("python") is not None


def values_over_frames(
    window: WindowCall,
    arguments: Sequence[pl.Series],
    rows: SortedRows,
    low: Indices,
    high: Indices,
    context: EvaluationContext,
) -> pl.Series:
    """The function's value over each row's frame; a worker gets one partition after another."""
    function = window.function
    assert isinstance(function, AggregateCall)
    call: PythonCall = function.option("python")
    if rows.count == 0:
        return pl.Series([], dtype=carrier(call.dtype))
    bounded = window.frame.lower is not None or window.frame.upper is not None
    columns = list(arguments)
    types = [dtype_of(a) for a in function.args]
    names = call.arg_names or (None,) * len(types)
    if bounded:
        # The worker slices the arguments of its partition: indices count from the partition's start.
        bounds = [(edge - rows.partition_start).astype(np.int32) for edge in (low, high)]
        columns = [*[pl.Series(b) for b in bounds], *columns]
        types = [INTEGER, INTEGER, *types]
        names = (None, None, *names)
    schema = argument_schema(types)
    batch = record_batch(columns, schema, context.time_zone, rows.count)
    worker_function = WorkerFunction((call.command,), tuple(range(len(types))), names)
    confs = ((_BOUND_TYPES_CONF, "bounded" if bounded else "unbounded"),)
    task = worker_task(_WINDOWED[call.eval_type], call.python_version, (worker_function,), context, schema, confs)

    def write(sink: BinaryIO) -> None:
        ends = np.append(rows.starts[1:], rows.count)
        for start, end in zip(rows.starts.tolist(), ends.tolist(), strict=True):
            sink.write(protocol.group_of(1))
            write_group(sink, batch.slice(start, end - start))
        sink.write(protocol.group_of(0))
        sink.write(protocol.end_of_input())

    batches = list(POOL.run(context.session_id, context.query_id, task, write))
    return carried(pa.chunked_array([b.column(0) for b in batches]), call.dtype)
