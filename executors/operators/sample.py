"""A random part of the rows."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from voltray.executors.functions.xorshift import random_doubles
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import Sample

_ROW, _TIMES = "#row", "#times"


def compile_sample(operator: Sample, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """The rows that Spark's sampler takes of a partition with these rows: one random number a row.

    With replacement the counts are Poisson's, drawn from the same numbers (Spark's own generator for it is
    another, so the rows differ from Spark's there).
    """
    seed = operator.seed + task.partition_id
    numbered = children[0].with_row_index(_ROW)
    if not operator.with_replacement:
        drawn = pl.col(_ROW).map_batches(
            lambda rows: _inside(_draws(seed, rows), operator.lower, operator.upper),
            return_dtype=pl.Boolean,
            is_elementwise=True,
        )
        return numbered.filter(drawn).drop(_ROW)
    counts = _cumulative_poisson(operator.upper - operator.lower)
    times = pl.col(_ROW).map_batches(
        lambda rows: pl.Series(np.searchsorted(counts, _draws(seed, rows), side="right")),
        return_dtype=pl.Int64,
        is_elementwise=True,
    )
    counted = numbered.with_columns(times.alias(_TIMES)).filter(pl.col(_TIMES) > 0)
    repeated = counted.with_columns(pl.int_ranges(0, pl.col(_TIMES)).alias(_TIMES)).explode(_TIMES)
    return repeated.drop(_ROW, _TIMES)


def _draws(seed: int, rows: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The random numbers of rows; they come as ranges of row numbers, whole or with gaps."""
    if len(rows) == 0:
        return np.empty(0)
    numbers = rows.to_numpy()
    start = int(numbers.min())
    draws = random_doubles(seed, start, int(numbers.max()) - start + 1)
    return np.asarray(draws[numbers - start], dtype=np.float64)


def _inside(draws: np.ndarray[tuple[int], np.dtype[np.float64]], lower: float, upper: float) -> pl.Series:
    return pl.Series((draws >= lower) & (draws < upper))


def _cumulative_poisson(mean: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """P(count <= k) for every k that matters."""
    term = math.exp(-mean)
    total, result = term, [term]
    while total < 1 - 1e-12 and len(result) < 10_000:
        term *= mean / len(result)
        total += term
        result.append(total)
    return np.array(result)
