"""The encoder fits the pyspark that is installed, and workers live and die as they should."""

from __future__ import annotations

import sys
import threading
import time
from io import BytesIO
from typing import BinaryIO

import pyarrow as pa
import pyspark
import pytest
from pyspark.cloudpickle import dumps
from pyspark.sql.types import IntegerType, LongType
from pyspark.util import PythonEvalType

from voltray.executors.python import protocol
from voltray.executors.python.pool import WorkerPool
from voltray.executors.python.protocol import WorkerFunction, WorkerTask
from voltray.proto.failures import SparkError

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_installed_version_is_the_pinned_one() -> None:
    assert pyspark.__version__ == protocol.PINNED_VERSION


def test_eval_types_are_sparks() -> None:
    assert protocol.BATCHED == PythonEvalType.SQL_BATCHED_UDF
    assert protocol.MAP_ARROW_ITER == PythonEvalType.SQL_MAP_ARROW_ITER_UDF
    assert protocol.GROUPED_MAP_ARROW_ITER == PythonEvalType.SQL_GROUPED_MAP_ARROW_ITER_UDF
    assert protocol.GROUPED_MAP_PANDAS_ITER == PythonEvalType.SQL_GROUPED_MAP_PANDAS_ITER_UDF
    assert protocol.GROUPED_AGG_ARROW == PythonEvalType.SQL_GROUPED_AGG_ARROW_UDF
    assert protocol.SCALAR_ARROW_ITER == PythonEvalType.SQL_SCALAR_ARROW_ITER_UDF


def test_a_closed_socket_is_no_result() -> None:
    with pytest.raises(EOFError):
        list(protocol.read_results(BytesIO(b"")))


def _task(function: object) -> WorkerTask:
    command = dumps((function, LongType()))
    return WorkerTask(protocol.SCALAR_ARROW, VERSION, (WorkerFunction((command,), (0,)),))


def _write(sink: BinaryIO) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2, 3], pa.int64())], names=["_0"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    sink.write(protocol.end_of_input())


def test_a_worker_is_used_again_by_its_session_alone() -> None:
    pool = WorkerPool()

    def process_id(values: pa.Array) -> pa.Array:
        import os

        return pa.array([os.getpid()] * len(values), pa.int64())

    def run(session: str) -> int:
        batches = list(pool.run(session, "query", _task(process_id), _write))
        return int(batches[0].column(0)[0].as_py())

    first = run("a")
    assert run("a") == first
    assert run("b") != first
    assert not pool.busy
    pool.end_session("a")
    pool.end_session("b")
    assert not pool.idle


def test_a_cancelled_query_kills_its_workers() -> None:
    pool = WorkerPool()

    def forever(values: pa.Array) -> pa.Array:
        while True:
            pass

    timer = threading.Timer(1.5, pool.cancel, ("query",))
    timer.start()
    started = time.monotonic()
    with pytest.raises(SparkError, match="OPERATION_CANCELED"):
        list(pool.run("a", "query", _task(forever), _write))
    assert time.monotonic() - started < 10
    assert not pool.busy
    assert not pool.idle.get("a")


def test_other_python_versions_are_refused() -> None:
    pool = WorkerPool()
    task = WorkerTask(protocol.SCALAR_ARROW, "2.7", (WorkerFunction((dumps((lambda v: v, IntegerType())),), (0,)),))
    with pytest.raises(SparkError, match="PYTHON_VERSION_MISMATCH"):
        list(pool.run("a", "query", task, _write))
