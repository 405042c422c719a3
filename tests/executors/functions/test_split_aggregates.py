"""Aggregates computed in parts and merged give what they give over the whole."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voltray.executors.functions.catalogue import lookup
from voltray.executors.functions.evaluation import Evaluation, EvaluationContext
from voltray.proto.expressions import AggregateCall, Attribute
from voltray.proto.types import DOUBLE, LONG

LONGS = st.one_of(st.none(), st.integers(-(10**6), 10**6))
DOUBLES = st.one_of(st.none(), st.floats(-1e6, 1e6))
PARTS = st.integers(1, 4)
ONE = ("sum", "avg", "max", "var_samp", "kurtosis", "bit_xor")
TWO = ("corr", "regr_slope")


def _in_parts(name: str, frame: pl.DataFrame, parts: int) -> Any:
    """The value after partial aggregates over slices of the rows, merged."""
    entry = lookup(name)
    assert entry is not None and entry.split is not None
    dtypes = {pl.Int64: LONG, pl.Float64: DOUBLE}
    args = tuple(Attribute(i, n, dtypes[type(t)], True) for i, (n, t) in enumerate(frame.schema.items()))  # type: ignore[index]
    dtype = entry.result if not callable(entry.result) else entry.result(args)
    call = AggregateCall(entry.names[0], args, dtype, True)
    evaluation = Evaluation(call, EvaluationContext("UTC"))
    columns = [pl.col(n) for n in frame.columns]
    names = [n for n, _ in entry.split.buffers(call)]
    partial = [e.alias(n) for n, e in zip(names, entry.split.partial(evaluation, *columns), strict=True)]
    size = max(1, math.ceil(frame.height / parts))
    slices = [frame.slice(start, size) for start in range(0, max(frame.height, 1), size)]
    buffers = pl.concat([s.select(partial) for s in slices])
    merge = entry.split.merge(evaluation, *[pl.col(n) for n in names])
    merged = buffers.select([e.alias(n) for n, e in zip(names, merge, strict=True)])
    return merged.select(entry.split.finish(evaluation, *[pl.col(n) for n in names]).alias("v"))["v"][0]


def _alike(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, int):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))


QUICK = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", ONE)
@QUICK
@given(values=st.lists(LONGS, min_size=3, max_size=30), parts=PARTS)
def test_one_column(name: str, values: list[int | None], parts: int) -> None:
    frame = pl.DataFrame({"a": pl.Series(values, dtype=pl.Int64)})
    entry = lookup(name)
    assert entry is not None
    if name in ("avg", "var_samp", "kurtosis"):
        frame = frame.cast(pl.Float64)
    assert _alike(_in_parts(name, frame, 1), _in_parts(name, frame, parts))


@pytest.mark.parametrize("name", TWO)
@QUICK
@given(rows=st.lists(st.tuples(LONGS, LONGS), min_size=3, max_size=30), parts=PARTS)
def test_pairs(name: str, rows: list[tuple[int | None, int | None]], parts: int) -> None:
    columns = {n: pl.Series([r[i] for r in rows], dtype=pl.Float64, strict=False) for i, n in enumerate("ab")}
    frame = pl.DataFrame(columns).with_columns(pl.col("b") + pl.int_range(pl.len()))
    assert _alike(_in_parts(name, frame, 1), _in_parts(name, frame, parts))
