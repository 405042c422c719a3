"""How a column of arguments is cut: into parts for several workers at a time, and these into batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise

import polars as pl
import pyarrow as pa

from voltray.executors.functions.evaluation import EvaluationContext

BATCH_ROWS_CONF = "spark.sql.execution.arrow.maxRecordsPerBatch"
BATCH_BYTES_CONF = "spark.sql.execution.arrow.maxBytesPerBatch"
DEFAULT_BATCH_ROWS = 10_000
_MOST_ROWS = 131_072
_AIM_BYTES = 4 << 20
_MOST_BYTES = 64 << 20
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# Below this a second worker is not worth waking.
_LEAST_PICKLED = 10_000
_LEAST_VECTORIZED = 100_000

Part = tuple[int, int]


def rows_of_batch(batch: pa.RecordBatch, context: EvaluationContext, *, grows: bool) -> int:
    """Rows of one batch: what the session says, else Spark's 10,000, or more of narrow rows; fewer of wide ones."""
    width: int = max(1, batch.nbytes // max(1, batch.num_rows))
    rows = int(context.conf(BATCH_ROWS_CONF, "0"))
    if not context.conf(BATCH_ROWS_CONF):
        rows = min(_MOST_ROWS, max(DEFAULT_BATCH_ROWS, _AIM_BYTES // width)) if grows else DEFAULT_BATCH_ROWS
    elif rows <= 0:
        return 1 << 31
    most: int = _bytes(context.conf(BATCH_BYTES_CONF)) or _MOST_BYTES
    return min(rows, max(1, most // width))


def parts_of(length: int, *, pickled: bool, busy: int) -> list[Part]:
    """First row and number of rows of each worker's part, while the query has fewer workers than there are CPUs."""
    least = _LEAST_PICKLED if pickled else _LEAST_VECTORIZED
    count = max(1, min(pl.thread_pool_size() - busy, length // least))
    bounds = [length * i // count for i in range(count + 1)]
    return [(first, last - first) for first, last in pairwise(bounds)]


def in_parallel(run: Callable[[int, int], list[pa.RecordBatch]], parts: Sequence[Part]) -> list[pa.RecordBatch]:
    """The batches of all parts in order; the first failure is raised without waiting for the others."""
    if len(parts) == 1:
        return run(*parts[0])
    threads = ThreadPoolExecutor(len(parts), "python-parts")
    try:
        futures = [threads.submit(run, *part) for part in parts]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            if future.exception() is not None:
                future.result()
        return [batch for future in futures for batch in future.result()]
    finally:
        threads.shutdown(wait=False)


def _bytes(text: str) -> int:
    unit = _UNITS.get(text[-1:].lower())
    return int(text[:-1]) * unit if unit else int(text or 0)
