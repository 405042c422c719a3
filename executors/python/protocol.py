"""What ``pyspark.worker`` reads and writes for one task, for the version of pyspark that is pinned."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from voltray.executors.python.worker_values import PICKLE_EXCEPTION
from voltray.proto.failures import ErrorKind, SparkError, spark_error

PINNED_VERSION = "4.1.1"
"""The task's header changes between Spark's versions: a test fails when another one is installed."""

END_OF_DATA = -1
EXCEPTION = -2
TIMINGS = -3
END_OF_STREAM = -4
START_ARROW = -6

# Eval types, as pyspark.util.PythonEvalType numbers them.
BATCHED, ARROW_BATCHED = 100, 101
SCALAR_PANDAS, GROUPED_MAP_PANDAS, GROUPED_AGG_PANDAS, WINDOW_AGG_PANDAS = 200, 201, 202, 203
SCALAR_PANDAS_ITER, MAP_PANDAS_ITER, COGROUPED_MAP_PANDAS, MAP_ARROW_ITER = 204, 205, 206, 207
GROUPED_MAP_ARROW, COGROUPED_MAP_ARROW = 209, 210
GROUPED_MAP_ARROW_ITER, GROUPED_MAP_PANDAS_ITER = 215, 216
SCALAR_ARROW, SCALAR_ARROW_ITER, GROUPED_AGG_ARROW, WINDOW_AGG_ARROW = 250, 251, 252, 253
TABLE, ARROW_OPTIMISED_TABLE, ARROW_TABLE = 300, 301, 302
PROFILER_CONF = "spark.sql.pyspark.udf.profiler"
_NAMED_ARGUMENTS = frozenset((100, 101, 200, 202, 203, 204, 250, 251, 252, 253))


@dataclass(frozen=True, slots=True)
class WorkerFunction:
    """One function of a task: its chained commands and where its arguments stand in the input."""

    commands: tuple[bytes, ...]
    offsets: tuple[int, ...]
    names: tuple[str | None, ...] = ()
    """For each argument the keyword under which it is given, or None."""


@dataclass(frozen=True, slots=True)
class TableFunctionTask:
    """What else a function that makes tables must know."""

    return_type: str
    """Spark's JSON of its rows' type."""
    name: str
    partition_indexes: tuple[int, ...] = ()
    """Which fields of the table argument's rows are its partitioning."""
    analyze_result: bytes | None = None
    table_offsets: tuple[int, ...] = ()
    """Which arguments are tables."""


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """What a worker must know before its input."""

    eval_type: int
    python_version: str
    functions: tuple[WorkerFunction, ...]
    confs: tuple[tuple[str, str], ...] = ()
    input_schema: str | None = None
    """Spark's JSON of the input's type, which Arrow-optimised functions want."""
    partition_id: int = 0
    table_function: TableFunctionTask | None = None
    files_folder: str = ""
    includes: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """All that comes before the input."""
        return header(self)


def encode_int(value: int) -> bytes:
    """Four bytes."""
    return struct.pack("!i", value)


def encode_text(value: str | bytes) -> bytes:
    """Bytes after their number."""
    data = value.encode() if isinstance(value, str) else value
    return encode_int(len(data)) + data


def encode_bool(value: bool) -> bytes:
    """One byte."""
    return struct.pack("!?", value)


def header(task: WorkerTask) -> bytes:
    """Everything before the input: context, files, confs and functions."""
    parts = [
        encode_int(task.partition_id),
        encode_text(task.python_version),
        encode_bool(False),  # no barrier
        encode_int(0),
        encode_int(task.partition_id),
        encode_int(0),
        struct.pack("!q", task.partition_id),
        encode_int(1),
        encode_int(0),  # resources
        encode_int(0),  # local properties
        encode_text(task.files_folder),
        encode_int(len(task.includes)),
        *[encode_text(i) for i in task.includes],
        encode_bool(False),
        encode_int(0),  # broadcasts
        encode_int(task.eval_type),
    ]
    if task.table_function is not None:
        return b"".join(parts) + _table_function(task, task.table_function)
    if task.eval_type != BATCHED:
        parts.append(encode_int(len(task.confs)))
        parts.extend(encode_text(k) + encode_text(v) for k, v in task.confs)
        if task.eval_type == ARROW_BATCHED:
            parts.append(encode_text(task.input_schema or "{}"))
    profiler = dict(task.confs).get(PROFILER_CONF, "")
    parts.append(encode_bool(bool(profiler)))
    if profiler:
        parts.append(encode_text(profiler))
    parts.append(encode_int(len(task.functions)))
    for function in task.functions:
        parts.append(_function(function, task.eval_type))
        if profiler:
            parts.append(struct.pack("!q", profile_id(function)))
    return b"".join(parts)


def profile_id(function: WorkerFunction) -> int:
    """The number under which a function's profile is shown: the same in every task."""
    return zlib.crc32(repr((function.commands, function.offsets)).encode()) & 0x7FFFFFFF


def _function(function: WorkerFunction, eval_type: int) -> bytes:
    parts = [encode_int(len(function.offsets))]
    names = function.names or (None,) * len(function.offsets)
    for offset, name in zip(function.offsets, names, strict=True):
        parts.append(encode_int(offset))
        if eval_type in _NAMED_ARGUMENTS:
            parts.append(encode_bool(name is not None))
            if name is not None:
                parts.append(encode_text(name))
    parts.append(encode_int(len(function.commands)))
    parts.extend(encode_text(c) for c in function.commands)
    return b"".join(parts)


def _table_function(task: WorkerTask, table: TableFunctionTask) -> bytes:
    function = task.functions[0]
    parts: list[bytes] = []
    if task.eval_type != TABLE:
        parts.append(encode_int(len(task.confs)))
        parts.extend(encode_text(k) + encode_text(v) for k, v in task.confs)
    if task.eval_type == ARROW_OPTIMISED_TABLE:
        parts.append(encode_text(task.input_schema or "{}"))
    if task.eval_type == ARROW_TABLE:
        parts.append(encode_int(len(table.table_offsets)))
        parts.extend(encode_int(o) for o in table.table_offsets)
    parts.append(encode_int(len(function.offsets)))
    names = function.names or (None,) * len(function.offsets)
    for offset, keyword in zip(function.offsets, names, strict=True):
        parts.extend((encode_int(offset), encode_bool(keyword is not None)))
        if keyword is not None:
            parts.append(encode_text(keyword))
    parts.append(encode_int(len(table.partition_indexes)))
    parts.extend(encode_int(i) for i in table.partition_indexes)
    parts.append(encode_bool(table.analyze_result is not None))
    if table.analyze_result is not None:
        parts.append(encode_text(table.analyze_result))
    parts.extend((encode_text(function.commands[0]), encode_text(table.return_type), encode_text(table.name)))
    return b"".join(parts)


def end_of_input() -> bytes:
    """What follows the input."""
    return encode_int(END_OF_STREAM)


def group_of(frames: int) -> bytes:
    """What precedes the Arrow streams of one group; 0 ends the groups."""
    return encode_int(frames)


def read_results(source: BinaryIO, updates: list[bytes] | None = None) -> Generator[pa.RecordBatch, None, bool]:
    """The Arrow batches that a task gives, and whether the worker can run another (it has read all its input).

    ``updates`` takes the accumulators' updates, as they were pickled. Raises the user's exception, and EOFError
    for a dead worker.
    """
    while True:
        kind = _read_int(source)
        if kind == START_ARROW:
            with pa.ipc.open_stream(source) as reader:
                yield from reader
        elif kind == EXCEPTION:
            raise python_exception(_read(source, _read_int(source)).decode("utf-8", "replace"))
        elif kind == TIMINGS:
            _read(source, 5 * 8)
        elif kind == END_OF_DATA:
            for _ in range(_read_int(source)):
                update = _read(source, _read_int(source))
                if updates is not None:
                    updates.append(update)
            return _read_int(source) == END_OF_STREAM
        else:
            raise EOFError(f"a worker sent {kind}")


def python_exception(traceback: str) -> SparkError:
    """The user's traceback as Spark reports it, or what Spark cannot read of the function's values."""
    if traceback.startswith(PICKLE_EXCEPTION):
        return spark_error("", ErrorKind.SPARK, message=traceback)
    return spark_error("PYTHON_EXCEPTION", ErrorKind.PYTHON, message=traceback, sqlstate="38000")


def _read(source: Any, count: int) -> bytes:
    data: bytes = source.read(count)
    if len(data) < count:
        raise EOFError("the worker closed its socket")
    return data


def _read_int(source: Any) -> int:
    return int(struct.unpack("!i", _read(source, 4))[0])
