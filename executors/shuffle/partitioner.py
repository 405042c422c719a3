"""To which partition of an exchange each row belongs; the same in every process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.hashing import hash_of
from voltray.proto.expressions import Expression, SortOrder
from voltray.proto.stages import Exchange

Partitions = np.ndarray


def partition_of_rows(frame: pl.DataFrame, exchange: Exchange, context: EvaluationContext) -> Partitions | None:
    """Partition numbers of a frame's rows, or None where there is but one partition."""
    if exchange.num_partitions == 1:
        return None
    return _RULES[exchange.kind](frame, exchange, context).astype(np.uint16)


def _keys(frame: pl.DataFrame, keys: tuple[Expression, ...], context: EvaluationContext) -> list[pl.Series]:
    columns = [compile_expression(k, context).alias(str(i)) for i, k in enumerate(keys)]
    return frame.lazy().with_columns(columns).select([str(i) for i in range(len(keys))]).collect().get_columns()


def _hash(frame: pl.DataFrame, exchange: Exchange, context: EvaluationContext) -> Partitions:
    total = np.zeros(frame.height, dtype=np.uint64)
    for series in _keys(frame, exchange.keys, context):
        total = total * np.uint64(0x9E3779B97F4A7C15) + hash_of(series)
    return (total >> np.uint64(17)) % np.uint64(exchange.num_partitions)


def _round_robin(frame: pl.DataFrame, exchange: Exchange, context: EvaluationContext) -> Partitions:
    return (np.arange(frame.height) + context.partition_id) % exchange.num_partitions


def _range(frame: pl.DataFrame, exchange: Exchange, context: EvaluationContext) -> Partitions:
    order = exchange.keys[0]
    assert isinstance(order, SortOrder)
    key = _keys(frame, (order.child,), context)[0]
    bounds = pl.Series(exchange.boundaries)
    last = len(bounds)
    nan = key.is_nan().fill_null(False) if key.dtype.is_float() else None
    # A key that equals a boundary goes with the keys before it, in the order asked for.
    place = bounds.search_sorted(key, side="left" if order.ascending else "right").to_numpy().astype(np.int64)
    place = _between_twins(place, key, bounds, 1 if order.ascending else -1)
    if nan is not None:
        place = np.where(nan.to_numpy(), last, place)
    if not order.ascending:
        place = last - place
    nulls = key.is_null().to_numpy()
    if exchange.nulls_apart:
        return np.where(nulls, 0, place + 1) if order.nulls_first else np.where(nulls, last + 1, place)
    return np.where(nulls, 0 if order.nulls_first else last, place)


def _between_twins(place: Partitions, key: pl.Series, bounds: pl.Series, step: int) -> Partitions:
    """Keys equal to a boundary that stands twice go between the two, one step from where they would."""
    twin = np.zeros(len(bounds) + 1, dtype=bool)
    twin[: len(bounds) - 1] = (bounds.head(-1) == bounds.tail(-1)).to_numpy()
    if not twin.any():
        return place
    found = place if step > 0 else place - 2
    candidate = np.flatnonzero((found >= 0) & twin[found])
    equal = (key.gather(candidate) == bounds.gather(found[candidate])).fill_null(False).to_numpy()
    place[candidate[equal]] += step
    return place


def _direct(frame: pl.DataFrame, exchange: Exchange, context: EvaluationContext) -> Partitions:
    number = _keys(frame, exchange.keys, context)[0].fill_null(0).to_numpy().astype(np.int64)
    return number % exchange.num_partitions


_RULES: dict[str, Callable[[pl.DataFrame, Exchange, EvaluationContext], Partitions]] = {
    "hash": _hash,
    "round_robin": _round_robin,
    "range": _range,
    "direct": _direct,
}
