"""Operators that pass, repeat, choose or order rows."""

from __future__ import annotations

import polars as pl
import pytest
from operator_trees import aggregate, attribute, call, frame, long, rows, scan, unordered

from voltray.executors.operators.aggregate import compile_aggregate
from voltray.executors.operators.catalogue import TaskContext, compile_operator
from voltray.proto.expressions import Alias, Literal, SortOrder
from voltray.proto.failures import SparkError
from voltray.proto.operators import (
    Aggregate,
    AggregateMode,
    AsOfJoin,
    CollectMetrics,
    Deduplicate,
    Expand,
    Filter,
    Generate,
    Limit,
    LocalScan,
    OneRow,
    PartitionRead,
    Project,
    RangeScan,
    Sample,
    SetOperation,
    Sort,
    TopK,
    Union,
)  # fmt: skip
from voltray.proto.types import DOUBLE, INTEGER, LONG, STRING, ArrayType

A, B, C = attribute("a"), attribute("b"), attribute("c")
NUMBERS = scan((A,), [(1,), (1,), (2,), (None,), (None,)])


def test_projections() -> None:
    one = Project(OneRow(), (Alias(long(1), "1", 1),))
    assert rows(one) == [(1,)]
    constant = Project(NUMBERS, (Alias(long(7), "x", 2),))
    assert rows(constant) == [(7,)] * 5
    assert rows(Project(NUMBERS, (A, A))) == [(1,), (1,), (2,), (None,), (None,)]
    counted = Aggregate(Project(NUMBERS, ()), (), (aggregate("count", Literal(1, INTEGER)),))
    assert rows(counted) == [(5,)]


def test_errors_belong_to_rows_that_pass_the_filters_below() -> None:
    source = scan((A,), [(0,), (2,)])
    fraction = call("/", Literal(1.0, DOUBLE), A, dtype=DOUBLE)
    kept = Filter(source, call("not", call("==", A, long(0))))
    assert rows(Filter(kept, call(">", fraction, Literal(0.1, DOUBLE)))) == [(2,)]
    with pytest.raises(SparkError) as failure:
        rows(Filter(source, call(">", fraction, Literal(0.1, DOUBLE))))
    assert failure.value.condition == "DIVIDE_BY_ZERO"


def test_ranges() -> None:
    assert [r[0] for r in rows(RangeScan(A, 0, 10, 3))] == [0, 3, 6, 9]
    assert [r[0] for r in rows(RangeScan(A, 10, 0, -3))] == [10, 7, 4, 1]
    assert rows(RangeScan(A, 5, 5, 1)) == []
    assert [r[0] for r in rows(RangeScan(A, 2**63 - 2, 2**63, 1))] == [2**63 - 2, 2**63 - 1]


def test_order_of_nulls_and_nan() -> None:
    nan = float("nan")
    source = scan((B_ := attribute("b", DOUBLE), A), [(1.0, 1), (nan, 2), (None, 3), (-1.0, 4), (1.0, 5)])
    ascending = Sort(source, (SortOrder(B_),))
    assert [r[1] for r in rows(ascending)] == [3, 4, 1, 5, 2]
    descending = Sort(source, (SortOrder(B_, False, False),))
    assert [r[1] for r in rows(descending)] == [2, 1, 5, 4, 3]
    assert [r[1] for r in rows(TopK(source, (SortOrder(B_, False, True),), 2))] == [3, 2]


def test_limits() -> None:
    source = RangeScan(A, 0, 10, 1)
    assert [r[0] for r in rows(Limit(source, 2))] == [0, 1]
    assert [r[0] for r in rows(Limit(source, 2, 3))] == [3, 4]
    assert [r[0] for r in rows(Limit(source, None, 8))] == [8, 9]
    assert [r[0] for r in rows(Limit(source, 2, tail=True))] == [8, 9]


def test_union_takes_columns_by_position_and_in_the_common_type() -> None:
    wide = attribute("w", DOUBLE)
    source = scan((C_ := attribute("c", INTEGER),), [(3,)])
    union = Union((NUMBERS, source), ((A,), (C_,)), (wide,))
    assert [r[0] for r in rows(union)] == [1.0, 1.0, 2.0, None, None, 3.0]


@pytest.mark.parametrize(
    ("kind", "is_all", "wanted"),
    [
        ("intersect", False, [1, None]), ("intersect", True, [1, 1, None]),
        ("except", False, [2]), ("except", True, [2, None]),
    ],
)  # fmt: skip
def test_set_operations(kind: str, is_all: bool, wanted: list[int | None]) -> None:
    other = scan((B,), [(1,), (1,), (1,), (None,)])
    found = rows(SetOperation(NUMBERS, other, kind, is_all, (A,), (B,)))
    assert unordered(found) == unordered([(w,) for w in wanted])


def test_deduplicate_keeps_the_first() -> None:
    source = scan((A, B), [(1, 1), (None, 2), (1, 3), (None, 4)])
    assert rows(Deduplicate(source, (A,))) == [(1, 1), (None, 2)]
    assert rows(Deduplicate(source, ())) == [(1, 1)]


def test_expand_repeats_rows_in_place() -> None:
    x, y = attribute("x"), attribute("y")
    source = scan((A, B), [(1, 2), (3, 4)])
    found = rows(Expand(source, ((A, long(0)), (B, long(1))), (x, y)))
    assert found == [(1, 0), (2, 1), (3, 0), (4, 1)]


@pytest.mark.parametrize("outer", [False, True])
def test_generate(outer: bool) -> None:
    lists = attribute("l", ArrayType(LONG))
    source = scan((A, lists), [(1, [5, None]), (2, []), (3, None)])
    generate = Generate(source, call("explode", lists, dtype=LONG), (B,), outer, (A,))
    inner = [(1, 5), (1, None)]
    assert rows(generate) == ([*inner, (2, None), (3, None)] if outer else inner)


def test_sample_takes_the_rows_that_spark_takes() -> None:
    found = rows(Sample(RangeScan(A, 0, 20, 1), 0.0, 0.5, False, 42))
    assert [r[0] for r in found] == [3, 7, 10, 12, 16, 18]
    twice = Sample(RangeScan(A, 0, 1000, 1), 0.0, 2.0, True, 42)
    assert rows(twice) == rows(twice) and 1800 < len(rows(twice)) < 2200


def test_metrics_are_left_in_the_task() -> None:
    metrics = (aggregate("sum", A), aggregate("count", Literal(1, INTEGER)))
    task = TaskContext()
    operator = CollectMetrics(RangeScan(A, 0, 1000, 1), "m", metrics)
    shown = compile_operator(operator, {}, task).filter(pl.col(A.column) > 990).collect(engine="streaming")
    assert shown.height == 9
    final = Aggregate(OneRow(), (), metrics, AggregateMode.FINAL)
    buffers = pl.concat(task.metrics["m"]).lazy()
    assert compile_aggregate(final, (buffers,), task).collect().rows() == [(499500, 1000)]


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    ("direction", "wanted", "wanted_same"),
    [
        ("backward", [(1, 1), (3, 1), (7, 1), None], [(1, 1), (2, 2), (7, 1), None]),
        ("forward", [(1, 1), (6, 2), None, None], [(1, 1), (6, 2), None, None]),
        ("nearest", [(1, 1), (6, 2), (7, 1), None], [(1, 1), (6, 2), (7, 1), None]),
    ],
)
def test_as_of_join(direction: str, wanted: list, wanted_same: list, same: bool) -> None:
    x, y = attribute("x"), attribute("y")
    left = scan((A, B), [(1, 1), (5, 2), (10, 1), (None, 1)])
    right = scan((x, y), [(1, 1), (2, 2), (3, 1), (6, 2), (7, 1)])
    condition = call("==", B, y) if same else None
    found = rows(AsOfJoin(left, right, A, x, condition, "left", None, True, direction, (A, B), (x, y)))
    answer = wanted_same if same else wanted
    assert [None if r[2] is None else r[2:] for r in found] == answer


def test_reads_of_partitions() -> None:
    task = TaskContext()
    inputs = {"k": pl.LazyFrame({A.column: [1, 2], "other": [3, 4]})}
    assert compile_operator(PartitionRead((A,), "k"), inputs, task).collect().rows() == [(1,), (2,)]


def test_text_of_local_scans_is_in_its_carrier() -> None:
    import pyarrow as pa

    text = attribute("t", STRING)
    found = frame(LocalScan((text,), pa.table({"t": pa.array(["a"], pa.large_utf8())})))
    assert found.dtypes == [pl.String()]
