"""Sorted rows as window functions see them: partitions, peers, and each row's frame as a range of indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from voltray.executors.functions.argument_checks import constant_value
from voltray.proto.expressions import Expression, FrameKind, Literal, SortOrder, WindowFrame, dtype_of
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import DateType, DayTimeIntervalType, DecimalType, YearMonthIntervalType

Indices = NDArray[np.int64]
_MICROS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Rows in order of partition and order keys. Ends are exclusive."""

    count: int
    partition_number: Indices
    partition_start: Indices
    """Of each row's partition."""
    partition_end: Indices
    peer_start: Indices
    """Of each row's peers: the rows of its partition with equal order keys."""
    peer_end: Indices
    peer_number: Indices
    """Counted over all partitions."""
    starts: Indices
    """Of each partition."""


def sorted_rows(count: int, partition: list[pl.Series], order: list[pl.Series]) -> SortedRows:
    """The layout of sorted rows; without order keys all rows of a partition are peers."""
    new_partition = _changes(count, partition)
    new_peers = new_partition | _changes(count, order) if order else new_partition
    partition_number, starts, ends = _runs(count, new_partition)
    peer_number, peer_starts, peer_ends = _runs(count, new_peers)
    return SortedRows(
        count,
        partition_number,
        starts[partition_number],
        ends[partition_number],
        peer_starts[peer_number],
        peer_ends[peer_number],
        peer_number,
        starts,
    )


def _changes(count: int, keys: list[pl.Series]) -> NDArray[np.bool_]:
    """Rows whose keys differ from those of the row before (NULL equals NULL, NaN equals NaN)."""
    changed = np.zeros(count, dtype=bool)
    if count:
        changed[0] = True
    for key in keys:
        if count > 1:
            changed[1:] |= key.slice(1).ne_missing(key.slice(0, count - 1)).to_numpy()
    return changed


def _runs(count: int, changed: NDArray[np.bool_]) -> tuple[Indices, Indices, Indices]:
    starts = np.flatnonzero(changed).astype(np.int64)
    ends = np.append(starts[1:], count).astype(np.int64)
    return np.cumsum(changed, dtype=np.int64) - 1, starts, ends


def frame_bounds(
    rows: SortedRows, frame: WindowFrame, order: tuple[SortOrder, ...], keys: list[pl.Series]
) -> tuple[Indices, Indices]:
    """For each row the first index of its frame and the one after its last; never reversed."""
    if frame.kind is FrameKind.ROWS:
        index = np.arange(rows.count, dtype=np.int64)
        low = rows.partition_start if frame.lower is None else index + _count(frame.lower)
        high = rows.partition_end if frame.upper is None else index + _count(frame.upper) + 1
    else:
        low = _range_bound(rows, frame.lower, order, keys, upper=False)
        high = _range_bound(rows, frame.upper, order, keys, upper=True)
    low = np.clip(low, rows.partition_start, rows.partition_end)
    high = np.clip(high, rows.partition_start, rows.partition_end)
    return low, np.maximum(low, high)


def _count(bound: Expression | int) -> int:
    return int(bound.value) if isinstance(bound, Literal) else int(bound)  # type: ignore[arg-type]


def _range_bound(
    rows: SortedRows,
    bound: Expression | int | None,
    order: tuple[SortOrder, ...],
    keys: list[pl.Series],
    *,
    upper: bool,
) -> Indices:
    if bound is None:
        return rows.partition_end if upper else rows.partition_start
    if isinstance(bound, Expression) and not isinstance(bound, Literal):
        bound = Literal(constant_value(bound), dtype_of(bound))
    if isinstance(bound, Literal) and isinstance(bound.value, str):
        bound = Literal(float(bound.value), order[0].dtype)
    value = bound.value if isinstance(bound, Literal) else bound
    if value == 0 or not keys:
        return rows.peer_end if upper else rows.peer_start
    if not isinstance(value, int | float) and not hasattr(value, "as_tuple"):
        raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=f"RANGE frame up to {bound}.")
    return _search(rows, order[0], keys[0], bound, upper=upper)


def _search(rows: SortedRows, order: SortOrder, key: pl.Series, bound: Expression | int, *, upper: bool) -> Indices:
    """Where each row's key moved by the bound would stand among the keys of its partition.

    Keys and moved keys are sorted together by partition, NULLs apart, value and side; the number of keys
    before a moved key is the index looked for. Rows with a NULL key have each other as their frame.
    """
    values = _numbers(key)
    moved = _moved(key, order, bound)
    null = key.is_null().to_numpy()
    if not order.ascending:
        values, moved = -values, -moved
    apart = np.where(null, -1 if order.nulls_first else 1, 0)
    values, moved = np.where(null, 0, values), np.where(null, 0, moved)
    side = np.repeat([0, 1], rows.count) if upper else np.repeat([1, 0], rows.count)
    together = np.lexsort(
        (
            side,
            np.concatenate([values, moved]),
            np.concatenate([apart, apart]),
            np.concatenate([rows.partition_number, rows.partition_number]),
        )
    )
    is_key = together < rows.count
    before = np.cumsum(is_key)
    result = np.empty(rows.count, dtype=np.int64)
    result[together[~is_key] - rows.count] = before[~is_key]
    return result


def _numbers(key: pl.Series) -> NDArray[Any]:
    """Keys as numbers that can be added to and compared."""
    if key.dtype.is_float():
        return key.cast(pl.Float64).fill_null(0.0).to_numpy()
    physical = key.to_physical()
    if physical.dtype == pl.Int128:
        low, high = physical.min(), physical.max()
        if low is not None and (int(low) < -(1 << 62) or int(high) >= 1 << 62):  # type: ignore[arg-type]
            return physical.cast(pl.Float64).fill_null(0.0).to_numpy()
    return physical.cast(pl.Int64).fill_null(0).to_numpy()


def _moved(key: pl.Series, order: SortOrder, bound: Expression | int) -> NDArray[Any]:
    """Keys moved by a bound, in the direction of the order."""
    value: Any = bound.value if isinstance(bound, Literal) else bound
    sign = 1 if order.ascending else -1
    dtype = bound.dtype if isinstance(bound, Literal) else None
    if isinstance(dtype, YearMonthIntervalType):
        return _numbers(key.dt.offset_by(f"{sign * int(value)}mo"))
    if isinstance(order.dtype, DateType) and isinstance(dtype, DayTimeIntervalType):
        value = int(value) // _MICROS_PER_DAY
    if isinstance(order.dtype, DecimalType):
        return _numbers(key) + sign * int(value * 10**order.dtype.scale)
    numbers = _numbers(key)
    if numbers.dtype == np.int64 and isinstance(value, int):
        limits = np.iinfo(np.int64)
        offset = sign * value
        room = numbers > limits.max - offset if offset > 0 else numbers < limits.min - offset
        edge = limits.max if offset > 0 else limits.min
        return np.where(room, edge, numbers + np.int64(offset))
    return numbers + sign * float(value)
