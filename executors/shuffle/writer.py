"""A map task's rows, cut into one piece for each destination."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pyarrow as pa

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.shuffle.partitioner import partition_of_rows
from voltray.executors.shuffle.pieces import Piece, compact_table
from voltray.proto.expressions import SortOrder
from voltray.proto.stages import Exchange

SAMPLE_ROWS = 2000


def destination_spans(num_partitions: int, destinations: int) -> tuple[tuple[int, int], ...]:
    """The first and last partition of each destination, neighbours together; (0, -1) where there is none."""
    edges = [d * num_partitions // destinations for d in range(destinations + 1)]
    return tuple((low, high - 1) for low, high in itertools.pairwise(edges))


def cut(
    frame: pl.DataFrame, exchange: Exchange, destinations: int, context: EvaluationContext
) -> tuple[tuple[Piece, ...], tuple[int, ...], tuple[int, ...]]:
    """The pieces, and the rows and bytes of each partition."""
    partitions = partition_of_rows(frame, exchange, context)
    if partitions is None:
        table = compact_table(frame)
        return (Piece(table, 0, (frame.height,)),), (frame.height,), (table.nbytes,)
    counts = np.bincount(partitions, minlength=exchange.num_partitions)
    ordered = frame[np.argsort(partitions, kind="stable")]
    ends = np.cumsum(counts)
    pieces = []
    sizes = np.zeros(exchange.num_partitions, dtype=np.int64)
    for first, last in destination_spans(exchange.num_partitions, destinations):
        start = int(ends[first - 1]) if first else 0
        end = int(ends[last]) if last >= first else start
        table = compact_table(ordered.slice(start, end - start))
        pieces.append(Piece(table, first, tuple((ends[first : last + 1] - start).tolist())))
        if end > start:
            sizes[first : last + 1] = counts[first : last + 1] * (table.nbytes / (end - start))
    return tuple(pieces), tuple(counts.tolist()), tuple(sizes.tolist())


def sample_of(frame: pl.DataFrame, exchange: Exchange, context: EvaluationContext) -> pa.Table | None:
    """Values of the leading sort key, for the choice of a range exchange's boundaries."""
    if exchange.kind not in ("keep", "sample") or not exchange.keys:
        return None
    order = exchange.keys[0]
    assert isinstance(order, SortOrder)
    rows = frame.sample(min(SAMPLE_ROWS, frame.height), seed=context.partition_id)
    key = rows.lazy().with_columns(compile_expression(order.child, context).alias("key")).select("key")
    values = key.collect().get_column("key").drop_nulls()
    if values.dtype.is_float():
        values = values.drop_nans()
    return compact_table(values.to_frame())
