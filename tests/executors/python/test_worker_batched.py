"""Pickled functions over whole columns give what Spark's row by row way gives."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.sql.types import DataType, DoubleType, IntegerType, LongType, StringType

from voltray.executors.python import protocol
from voltray.executors.python.files import SessionFiles
from voltray.executors.python.pool import Limits, WorkerPool
from voltray.executors.python.protocol import WorkerFunction, WorkerTask
from voltray.proto.failures import SparkError

cloudpickle.register_pickle_by_value(sys.modules[__name__])
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(limits=Limits(), files=SessionFiles())
    yield pool
    pool.end()


def run(
    pool: WorkerPool, function: Callable[..., Any], dtype: DataType, cells: list[Any], *names: str | None
) -> list[Any]:
    count = max(1, len(names))
    called = WorkerFunction((cloudpickle.dumps((function, dtype)),), tuple(range(count)), names)
    described = {"inputs": [LongType().json()] * count, "results": [dtype.json()]}
    column = pa.array(cells, pa.int64())
    batch = pa.RecordBatch.from_arrays([column] * count, names=[f"_{i}" for i in range(count)])
    batch = batch.replace_schema_metadata({"spark": json.dumps(described)})

    def write(sink: BinaryIO) -> None:
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        sink.write(protocol.end_of_input())

    batches = pool.run("user/session", "query", WorkerTask(protocol.BATCHED, VERSION, (called,)), write)
    return [v for b in batches for v in b.column(0).to_pylist()]


@pytest.mark.parametrize(
    ("function", "dtype", "expected"),
    [
        (lambda v: v, LongType(), [1, None, 3]),
        (lambda v: None if v is None else v + 2**31 - 2, IntegerType(), [2**31 - 1, None, -(2**31) + 1]),
        (lambda v: v, DoubleType(), [None, None, None]),
        (lambda v: 1.5 if v else v, DoubleType(), [1.5, None, 1.5]),
        (lambda v: True, LongType(), [None, None, None]),
        (lambda v: [v], StringType(), ["[1]", "[null]", "[3]"]),
        (lambda v: "a" if v == 1 else v, StringType(), ["a", None, "3"]),
    ],
)
def test_values_become_cells_of_their_type(
    pool: WorkerPool, function: Callable[..., Any], dtype: DataType, expected: list[Any]
) -> None:
    assert run(pool, function, dtype, [1, None, 3]) == expected


def test_keywords_reach_their_arguments(pool: WorkerPool) -> None:
    def minus(left: int, right: int, *, scale: int) -> int:
        return (left - right * 2) * scale

    assert run(pool, minus, LongType(), [1, 2], None, "scale", "right") == [-1, -4]


def test_a_stop_of_iteration_is_no_end_of_rows(pool: WorkerPool) -> None:
    def stops(value: int) -> int:
        return value if value < 2 else next(iter(()))

    with pytest.raises(SparkError, match="STOP_ITERATION_OCCURRED"):
        run(pool, stops, LongType(), [1, 2, 3])
