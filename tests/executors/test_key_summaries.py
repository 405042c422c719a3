"""Summaries of keys never lose a value, whatever its type, and let few others through."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voltray.executors.bloom import add_values, empty_words, is_useful, may_contain
from voltray.executors.key_summaries import put_together, summaries_of
from voltray.proto.expressions import Attribute
from voltray.proto.key_summaries import KeySummary, SummaryRequest
from voltray.proto.types import LONG

REQUEST = SummaryRequest((Attribute(1, "k", LONG),), 10, 1 << 12, 1000)


def summary(values: pl.Series, request: SummaryRequest = REQUEST) -> KeySummary:
    """The summary of one part of a column."""
    (found,) = summaries_of(values.alias("#1").to_frame(), request)
    return found


def test_a_filter_holds_what_was_put_in_and_little_else() -> None:
    words = empty_words(12 * 100_000)
    add_values(words, pl.int_range(100_000, eager=True))
    assert may_contain(words, pl.int_range(100_000, eager=True)).all()
    others = may_contain(words, pl.int_range(1_000_000, 1_100_000, eager=True))
    assert others.mean() < 0.05 and is_useful(words)
    assert not is_useful(np.full(4, 2**64 - 1, dtype=np.uint64))


def test_few_values_are_told_and_many_are_put_into_a_filter() -> None:
    few = summary(pl.Series([3, None, 1, 3, 1]))
    assert sorted(few.values.to_pylist()) == [1, 3] and few.bounds.to_pylist() == [1, 3] and few.words is None
    many = summary(pl.Series(range(500)))
    assert many.values is None and many.bounds.to_pylist() == [0, 499]
    assert may_contain(many.words, pl.Series(range(500))).all()
    too_many = summary(pl.Series(range(2000)))
    assert too_many.values is None and too_many.words is None and too_many.bounds.to_pylist() == [0, 1999]
    assert summary(pl.Series([None], dtype=pl.Int64)).bounds.to_pylist() == []


def test_parts_are_put_together() -> None:
    few, more = summary(pl.Series([1, 2])), summary(pl.Series([2, 9]))
    assert sorted(put_together([few, more], REQUEST).values.to_pylist()) == [1, 2, 9]
    whole = put_together([few, summary(pl.Series(range(100, 200)))], REQUEST)
    assert whole.values is None and whole.bounds.to_pylist() == [1, 199]
    assert may_contain(whole.words, pl.Series([1, 2, *range(100, 200)])).all()
    # Together they are too many to tell, and one that says nothing leaves but the bounds.
    assert put_together([summary(pl.Series(range(i, i + 8))) for i in (0, 20)], REQUEST).values is None
    assert put_together([few, summary(pl.Series(range(2000)))], REQUEST).words is None


TYPES = {
    pl.Int8(): st.integers(-128, 127),
    pl.Int64(): st.integers(-(2**63), 2**63 - 1),
    pl.String(): st.text(),
    pl.Date(): st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31)),
    pl.Datetime("us"): st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)),
    pl.Decimal(20, 2): st.decimals(Decimal(-1000), Decimal(1000), places=2),
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_no_value_of_any_part_is_ruled_out(dtype: pl.DataType) -> None:
    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.lists(st.none() | TYPES[dtype], max_size=30), min_size=1, max_size=4))
    def check(parts: list[list[object]]) -> None:
        columns = [pl.Series(part, dtype=dtype) for part in parts]
        whole = put_together([summary(c) for c in columns], REQUEST)
        values = pl.concat(columns).drop_nulls()
        if values.is_empty():
            assert len(whole.bounds) == 0
            return
        bounds = pl.Series(whole.bounds).cast(dtype)
        assert bounds.min() == values.min() and bounds.max() == values.max()
        if whole.values is not None:
            assert set(pl.Series(whole.values).cast(dtype)) == set(values)
        else:
            assert may_contain(whole.words, values).all()

    check()
