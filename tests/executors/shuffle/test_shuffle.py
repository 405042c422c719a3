"""Rows go to the partition of their key, the same in every process, and come back whole."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.shuffle.pieces import read_pieces
from voltray.executors.shuffle.writer import cut, destination_spans, sample_of
from voltray.proto.expressions import Attribute, SortOrder
from voltray.proto.stages import Exchange
from voltray.proto.tasks import PieceSlice
from voltray.proto.types import DOUBLE, LONG, STRING, DataType

CONTEXT = EvaluationContext()


def attribute(dtype: DataType, expr_id: int = 1) -> Attribute:
    """A column of the frames here."""
    return Attribute(expr_id, "k", dtype)


def rows() -> pl.DataFrame:
    """Keys with nulls, and values."""
    keys = [None if i % 11 == 0 else f"key {i % 37}" for i in range(1000)]
    return pl.DataFrame({"#1": keys, "#2": range(1000)})


def back(pieces: tuple[object, ...], partition: int) -> pl.DataFrame:
    """One partition, read from all pieces."""
    slices = [PieceSlice(i, partition, partition) for i in range(len(pieces))]
    return read_pieces(slices, pieces).collect()


@pytest.mark.parametrize("destinations", [1, 3, 8])
def test_hash_partitions_keep_every_row_and_every_key_together(destinations: int) -> None:
    frame = rows()
    exchange = Exchange("hash", 8, (attribute(STRING),))
    pieces, counts, sizes = cut(frame, exchange, destinations, CONTEXT)
    assert len(pieces) == destinations
    parts = [back(pieces, p) for p in range(8)]
    assert [p.height for p in parts] == list(counts)
    assert all((size > 0) == (count > 0) for size, count in zip(sizes, counts, strict=True))
    assert pl.concat(parts).sort("#2").equals(frame)
    seen = [set(p["#1"].to_list()) for p in parts]
    assert sum(len(s) for s in seen) == len(set.union(*seen))


def test_rows_of_a_partition_stay_in_order() -> None:
    pieces, _, _ = cut(rows(), Exchange("hash", 4, (attribute(STRING),)), 2, CONTEXT)
    assert all(back(pieces, p)["#2"].is_sorted() for p in range(4))


def test_zeros_and_nans_are_one_key_each() -> None:
    frame = pl.DataFrame({"#1": [0.0, -0.0, float("nan"), -float("nan")]})
    _, counts, _ = cut(frame, Exchange("hash", 64, (attribute(DOUBLE),)), 1, CONTEXT)
    assert sorted(c for c in counts if c) in ([2, 2], [4])


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1, 2], [1, 2], [3], None], dtype=pl.List(pl.Int64)),
        pl.Series([{"a": 1, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": None}, None]),
        pl.Series([None, None, None, None], dtype=pl.Null),
        pl.Series([b"a", b"a", b"b", None], dtype=pl.Binary),
    ],
)
def test_any_type_can_be_a_key(values: pl.Series) -> None:
    _, counts, _ = cut(values.to_frame("#1"), Exchange("hash", 16, (attribute(LONG),)), 1, CONTEXT)
    assert sum(counts) == 4 and max(counts) >= 2


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "import polars as pl\n"
        "from voltray.executors.shuffle.writer import cut\n"
        "from voltray.executors.functions.evaluation import EvaluationContext\n"
        "from voltray.proto.expressions import Attribute\n"
        "from voltray.proto.stages import Exchange\n"
        "from voltray.proto.types import STRING\n"
        "keys = pl.DataFrame({'#1': [str(i) for i in range(500)]})\n"
        "print(cut(keys, Exchange('hash', 7, (Attribute(1, 'k', STRING),)), 1, EvaluationContext())[1])"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    keys = pl.DataFrame({"#1": [str(i) for i in range(500)]})
    _, here, _ = cut(keys, Exchange("hash", 7, (attribute(STRING),)), 1, CONTEXT)
    assert there.strip() == str(here)


def test_round_robin_is_even() -> None:
    _, counts, _ = cut(rows(), Exchange("round_robin", 3), 3, CONTEXT)
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("nulls_first", [True, False])
def test_ranges_are_in_order(ascending: bool, nulls_first: bool) -> None:
    keys = [None, 5.0, float("nan"), 1.0, 9.0, 3.0, 7.0, -1.0]
    order = SortOrder(attribute(DOUBLE), ascending, nulls_first)
    boundaries = pl.Series([3.0, 6.0]).to_arrow()
    pieces, _, _ = cut(pl.DataFrame({"#1": keys}), Exchange("range", 3, (order,), boundaries), 2, CONTEXT)
    parts = [back(pieces, p)["#1"] for p in range(3)]
    joined = pl.concat([p.sort(descending=not ascending, nulls_last=not nulls_first) for p in parts])
    expected = pl.Series("#1", keys).sort(descending=not ascending, nulls_last=not nulls_first)
    assert joined.equals(expected)


def test_a_piece_holds_no_bytes_of_others() -> None:
    frame = pl.DataFrame({"#1": [f"a rather long text {i}" for i in range(10_000)]})
    pieces, _, _ = cut(frame, Exchange("hash", 100, (attribute(STRING),)), 100, CONTEXT)
    assert sum(p.table.nbytes for p in pieces) < 2 * frame.estimated_size()


def test_more_destinations_than_partitions_leave_some_empty() -> None:
    assert destination_spans(2, 4) == ((0, -1), (0, 0), (1, 0), (1, 1))


def test_samples_have_neither_nulls_nor_nans() -> None:
    frame = pl.DataFrame({"#1": [1.0, None, float("nan"), 2.0]})
    sample = sample_of(frame, Exchange("keep", 1, (SortOrder(attribute(DOUBLE)),)), CONTEXT)
    assert sample is not None and sorted(sample.column("key").to_pylist()) == [1.0, 2.0]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("nulls_first", [True, False])
def test_a_boundary_that_stands_twice_has_a_range_of_its_own_and_so_have_nulls(
    ascending: bool, nulls_first: bool
) -> None:
    keys = [None, 5.0, float("nan"), 1.0, 9.0, 3.0, 7.0, -1.0, 5.0, 2.0, None, 8.0]
    order = SortOrder(attribute(DOUBLE), ascending, nulls_first)
    boundaries = pl.Series([1.0, 1.0, 5.0, 5.0, 8.0]).to_arrow()
    exchange = Exchange("range", 7, (order,), boundaries, nulls_apart=True)
    pieces, _, _ = cut(pl.DataFrame({"#1": keys}), exchange, 2, CONTEXT)
    parts = [back(pieces, p)["#1"].to_list() for p in range(7)]
    # A boundary that stands once goes with the keys before it, in the order asked for.
    highest = [[7.0, 8.0], [float("nan"), 9.0]] if ascending else [[7.0], [float("nan"), 9.0, 8.0]]
    expected = [[-1.0], [1.0], [3.0, 2.0], [5.0, 5.0], *highest]
    expected = expected if ascending else expected[::-1]
    expected = [[None, None], *expected] if nulls_first else [*expected, [None, None]]
    assert str(parts) == str(expected)
