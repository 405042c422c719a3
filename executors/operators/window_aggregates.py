"""Aggregates over the frames of sorted rows.

Sums and counts come from running totals, extremes from a table of ranges by powers of two, whole partitions from one
group-by; anything else from the frames' rows written out and grouped, a bounded number of them at a time.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from voltray.executors.functions.aggregates import ignores_nulls
from voltray.executors.functions.window import nth_of_frame
from voltray.executors.functions.window_frames import Indices, SortedRows
from voltray.executors.operators.aggregate import PreparedAggregate, gathered
from voltray.proto.expressions import dtype_of
from voltray.proto.types import BooleanType, DateType, FractionalType, IntegralType, StringType, TimestampType

_FRAME = "#frame"
_ROWS_AT_ONCE = 4_000_000
_EDGES = {"first": 0, "first_value": 0, "any_value": 0, "last": -1, "last_value": -1}


def aggregate_over_frames(
    prepared: PreparedAggregate, columns: pl.DataFrame, rows: SortedRows, low: Indices, high: Indices,
    ignore_nulls: bool,
) -> pl.Series:  # fmt: skip
    """The aggregate's value over each row's frame."""
    call = prepared.call
    if rows.count == 0:
        return _grouped(prepared, columns, np.empty(0, dtype=np.int64))[0]
    if call.name in _EDGES and call.filter is None:
        values = columns.select(prepared.arguments[0]).to_series()
        skip = ignore_nulls or ignores_nulls(call)
        return nth_of_frame(values, low, high, _EDGES[call.name], skip)
    whole = bool((low == rows.partition_start).all() and (high == rows.partition_end).all())
    if whole:
        values, _ = _grouped(prepared, columns, rows.partition_number)
        return values.gather(pl.Series(rows.partition_number))
    if call.filter is None:
        fast = _fast(prepared, columns, rows, low, high)
        if fast is not None:
            return fast
    return _expanded(prepared, columns, low, high)


# ---- any function -----------------------------------------------------------------------------------
def _grouped(prepared: PreparedAggregate, columns: pl.DataFrame, groups: Indices) -> tuple[pl.Series, pl.Series]:
    """The aggregate's value for each group, and the groups, in the order met."""
    frame = columns.with_columns(pl.Series(_FRAME, groups)).lazy()
    result = gathered(frame, [_FRAME], [prepared], merging=False)
    table = result.select(prepared.finished(), _FRAME).collect()  # inside a callback already
    return table.get_column(prepared.name), table.get_column(_FRAME)


def _of_nothing(prepared: PreparedAggregate, columns: pl.DataFrame) -> pl.Series:
    """The value over an empty frame."""
    frame = gathered(columns.clear().lazy(), [], [prepared], merging=False)
    return frame.select(prepared.finished()).collect().to_series()


def _expanded(prepared: PreparedAggregate, columns: pl.DataFrame, low: Indices, high: Indices) -> pl.Series:
    """Each distinct frame's rows written out and grouped."""
    count = len(low)
    new = np.ones(count, dtype=bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    starts, ends = low[new], high[new]
    sizes = ends - starts
    totals = np.cumsum(sizes)
    parts: list[pl.DataFrame] = []
    first = 0
    while first < len(starts):
        done = totals[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(totals, done + _ROWS_AT_ONCE, side="right")))
        chunk = slice(first, last)
        numbers = np.repeat(np.arange(first, min(last, len(starts))), sizes[chunk])
        offsets = np.arange(len(numbers)) - np.repeat(totals[chunk] - sizes[chunk] - done, sizes[chunk])
        indices = np.repeat(starts[chunk], sizes[chunk]) + offsets
        values, frames = _grouped(prepared, columns[pl.Series(indices)], numbers)
        parts.append(pl.DataFrame({"frame": frames, "value": values}))
        first = last
    found = pl.concat(parts)
    empty = _of_nothing(prepared, columns).to_list()[0]
    wanted = pl.DataFrame({"frame": np.cumsum(new) - 1, "empty": (sizes == 0)[np.cumsum(new) - 1]})
    joined = wanted.join(found, on="frame", how="left", maintain_order="left")
    values = joined.get_column("value")
    if empty is None:
        return values
    filler = pl.Series([empty], dtype=values.dtype)
    return values.zip_with(~joined.get_column("empty"), filler)


# ---- counts, sums, averages -------------------------------------------------------------------------
def _fast(
    prepared: PreparedAggregate, columns: pl.DataFrame, rows: SortedRows, low: Indices, high: Indices
) -> pl.Series | None:
    call = prepared.call
    name = call.name
    if name == "count":
        known = columns.select(
            pl.all_horizontal([a.is_not_null() for a in prepared.arguments]).alias("known")
        ).to_series()
        return pl.Series(_between(known.to_numpy().astype(np.int64), low, high))
    if len(prepared.arguments) != 1:
        return None
    dtype = dtype_of(call.args[0])
    values = columns.select(prepared.arguments[0].alias("value")).to_series()
    if name in ("min", "max"):
        return _extremes(values, low, high, greatest=name == "max") if _rankable(dtype) else None
    if name not in ("sum", "avg", "try_sum", "try_avg"):
        return None
    count = _between(values.is_not_null().to_numpy().astype(np.int64), low, high)
    if isinstance(dtype, IntegralType) and _small(values):
        total = _between(values.cast(pl.Int64).fill_null(0).to_numpy(), low, high)
        if name in ("sum", "try_sum"):
            return _where_known(pl.Series(total), count)
        return _where_known(pl.Series(total.astype(np.float64) / np.maximum(count, 1)), count)
    if _is_fraction(dtype) and bool((low == rows.partition_start).all()):
        return _running_float(values, rows, high, count, average=name in ("avg", "try_avg"))
    return None


def _is_fraction(dtype: object) -> bool:
    return isinstance(dtype, FractionalType) and not hasattr(dtype, "precision")


def _small(values: pl.Series) -> bool:
    """Whether no sum of the column's values can leave bigint, and doubles hold it exactly."""
    low, high = values.min(), values.max()
    if low is None:
        return True
    return max(-int(low), int(high)) * len(values) < 1 << 53  # type: ignore[arg-type]


def _between(numbers: Indices, low: Indices, high: Indices) -> Indices:
    totals = np.concatenate([[0], np.cumsum(numbers)])
    return np.asarray(totals[high] - totals[low], dtype=np.int64)


def _where_known(values: pl.Series, count: Indices) -> pl.Series:
    return values.zip_with(pl.Series(count > 0), pl.Series([None], dtype=values.dtype))


def _running_float(values: pl.Series, rows: SortedRows, high: Indices, count: Indices, *, average: bool) -> pl.Series:
    """Sums from each partition's start, added up in order as Spark does (no differences: they would lose digits)."""
    frame = pl.DataFrame({"value": values.cast(pl.Float64).fill_null(0.0), "partition": rows.partition_number})
    sums = frame.select(pl.col("value").cum_sum().over("partition")).to_series()
    total = sums.gather(pl.Series(np.maximum(high - 1, 0)))
    return _where_known(total / pl.Series(np.maximum(count, 1)) if average else total, count)


# ---- extremes ---------------------------------------------------------------------------------------
def _rankable(dtype: object) -> bool:
    plain = IntegralType | FractionalType | StringType | DateType | TimestampType | BooleanType
    return isinstance(dtype, plain)


def _extremes(values: pl.Series, low: Indices, high: Indices, *, greatest: bool) -> pl.Series:
    """The extreme of each frame: over ranks of the values, from maxima of ranges of length 2, 4, 8 .."""
    order = values.rank("dense", descending=not greatest)  # NULL has no rank; NaN ranks as greatest
    ranks = order.fill_null(0).cast(pl.Int64).to_numpy()
    size = high - low
    level = np.zeros(len(size), dtype=np.int64)
    positive = size > 0
    level[positive] = np.log2(size[positive]).astype(np.int64)
    best = np.zeros(len(size), dtype=np.int64)
    table = ranks
    for step in range(int(level.max(initial=0)) + 1):
        here = positive & (level == step)
        if here.any():
            best[here] = np.maximum(table[low[here]], table[high[here] - (1 << step)])
        if len(table) > 1 << step:
            table = np.maximum(table[: -(1 << step)], table[1 << step :])
    sample = pl.DataFrame({"rank": ranks, "value": values}).unique("rank", keep="first")
    wanted = pl.DataFrame({"rank": best})
    joined = wanted.join(sample.filter(pl.col("rank") > 0), on="rank", how="left", maintain_order="left")
    return joined.get_column("value")
