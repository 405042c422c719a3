"""Rows whose key may be in a Bloom filter."""

from __future__ import annotations

import polars as pl

from voltray.executors.bloom import may_contain
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import BloomFilter
from voltray.proto.types import carrier


def compile_bloom_filter(operator: BloomFilter, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Look every key up; NULL meets no key."""
    words = operator.data.column(0).to_numpy()

    def passes(keys: pl.Series) -> pl.Series:
        return pl.Series(may_contain(words, keys)) & keys.is_not_null()

    key = pl.col(operator.column.column).cast(carrier(operator.dtype))
    return children[0].filter(key.map_batches(passes, return_dtype=pl.Boolean(), is_elementwise=True))
