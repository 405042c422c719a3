"""Arguments are cut by width and by the CPUs that are free."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.python.parts import BATCH_BYTES_CONF, BATCH_ROWS_CONF, in_parallel, parts_of, rows_of_batch


def batch(width: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([b"x" * (width - 4)] * 8)], names=["a"])


@pytest.mark.parametrize(
    ("width", "grows", "confs", "rows"),
    [
        (16, True, {}, 131_072),
        (16, False, {}, 10_000),
        (1 << 20, True, {}, 64),
        (100 << 20, True, {}, 1),
        (16, True, {BATCH_ROWS_CONF: "7"}, 7),
        (16, True, {BATCH_ROWS_CONF: "0"}, 1 << 31),
        (1 << 10, True, {BATCH_BYTES_CONF: "16k"}, 16),
    ],
)
def test_wide_rows_make_small_batches(width: int, grows: bool, confs: dict[str, str], rows: int) -> None:
    found = rows_of_batch(batch(width), EvaluationContext(confs=tuple(confs.items())), grows=grows)
    assert rows / 2 < found <= rows


def test_parts_cover_all_rows_once() -> None:
    for length in (0, 1, 9_999, 20_001, 1_000_003):
        parts = parts_of(length, pickled=True, busy=0)
        assert sum(rows for _, rows in parts) == length
        assert [first + rows for first, rows in parts][:-1] == [first for first, _ in parts][1:]
        assert len(parts) <= pl.thread_pool_size()
    assert len(parts_of(1_000_000, pickled=True, busy=100)) == 1


def test_parts_come_back_in_order_and_the_first_failure_ends_all() -> None:
    def run(first: int, rows: int) -> list[Any]:
        if rows == 13:
            raise ValueError("unlucky")
        return [(first, rows)]

    assert in_parallel(run, [(0, 5), (5, 5), (10, 2)]) == [(0, 5), (5, 5), (10, 2)]
    with pytest.raises(ValueError, match="unlucky"):
        in_parallel(run, [(0, 5), (5, 13)])
