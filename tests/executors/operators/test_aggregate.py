"""Aggregates whole and in parts; answers recorded from Spark 4.1.1."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from operator_trees import ENGINES, aggregate, attribute, call, frame, rows, scan

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.operators.aggregate import compile_aggregate
from voltray.executors.operators.catalogue import TaskContext, compile_operator
from voltray.proto.expressions import Alias, Attribute, EvalMode, Expression, Literal, SortOrder, dtype_of
from voltray.proto.failures import SparkError
from voltray.proto.operators import Aggregate, AggregateMode, Filter, LocalScan
from voltray.proto.types import BOOLEAN, DOUBLE, INTEGER, LONG, STRING, ArrayType, DataType, DecimalType

A, B, S = attribute("a"), attribute("b", DOUBLE), attribute("s", STRING)
SCAN = scan((A, B, S), [(1, 2.0, "a"), (2, 3.0, "b"), (2, 5.0, None), (None, 1.0, "c"), (7, None, "a")])
LONGS, TEXTS = ArrayType(LONG, False), ArrayType(STRING, False)
OVER_ONE = call(">", A, Literal(1, LONG))


def _entry(name: str, args: tuple[Expression, ...], dtype: DataType, value: Any, **options: Any) -> tuple:
    return (aggregate(name, *args, dtype=dtype, **options), value)


ANSWERS = [
    _entry("count", (Literal(1, INTEGER),), LONG, 5),
    _entry("count", (A,), LONG, 4),
    _entry("count", (A, B), LONG, 3),
    _entry("count", (A,), LONG, 3, distinct=True),
    _entry("count", (A, B), LONG, 3, distinct=True),
    _entry("count_if", (OVER_ONE,), LONG, 3),
    _entry("sum", (A,), LONG, 12),
    _entry("sum", (A,), LONG, 11, filter=OVER_ONE),
    _entry("sum", (A,), LONG, 10, distinct=True),
    _entry("count", (A,), LONG, 2, distinct=True, filter=OVER_ONE),
    _entry("count", (Literal(1, INTEGER),), LONG, 3, filter=OVER_ONE),
    _entry("avg", (A,), DOUBLE, 3.0),
    _entry("avg", (B,), DOUBLE, 2.75),
    _entry("min", (S,), STRING, "a"),
    _entry("max", (S,), STRING, "c"),
    _entry("first", (S,), STRING, "a"),
    _entry("last", (S, Literal(True, BOOLEAN)), STRING, "a"),
    _entry("first", (S,), STRING, "b", filter=OVER_ONE),
    _entry("max_by", (S, B), STRING, None),
    _entry("min_by", (S, B), STRING, "c"),
    _entry("collect_list", (A,), LONGS, [1, 2, 2, 7]),
    _entry("collect_list", (S,), TEXTS, ["b", "a"], filter=OVER_ONE),
    _entry("collect_set", (A,), LONGS, [1, 2, 7]),
    _entry("bool_and", (OVER_ONE,), BOOLEAN, False),
    _entry("bool_or", (OVER_ONE,), BOOLEAN, True),
    _entry("bit_and", (A,), LONG, 0),
    _entry("bit_or", (A,), LONG, 7),
    _entry("bit_xor", (A,), LONG, 6),
    _entry("stddev_samp", (B,), DOUBLE, 1.707825127659933),
    _entry("var_pop", (B,), DOUBLE, 2.1875),
    _entry("approx_count_distinct", (A,), LONG, 3),
]
# What does not run in parts, or not to the last digit.
WHOLE_ANSWERS = [
    _entry("listagg", (S, Literal("-", STRING)), STRING, "a-b-c-a"),
    _entry("listagg", (S,), STRING, "cbaa", order_by=(SortOrder(S, False, False),)),
    _entry("median", (B,), DOUBLE, 2.5),
    _entry("percentile", (B, Literal(0.5, DOUBLE)), DOUBLE, 2.5),
    _entry("percentile_approx", (B, Literal(0.5, DOUBLE)), DOUBLE, 2.0),
    _entry("mode", (A,), LONG, 2),
]
OF_NOTHING: dict[str, Any] = {
    "count": 0,
    "count_if": 0,
    "collect_list": [],
    "collect_set": [],
    "approx_count_distinct": 0,
}


def _aggregate(source: Any, groups: tuple[Attribute, ...], answers: list[tuple], mode: AggregateMode) -> Aggregate:
    return Aggregate(source, groups, tuple([a for a, _ in answers]), mode)


@pytest.mark.parametrize("engine", ENGINES)
def test_whole(engine: str) -> None:
    answers = ANSWERS + WHOLE_ANSWERS
    found = rows(_aggregate(SCAN, (), answers, AggregateMode.WHOLE), engine)
    shown = [(a.child.name, v) for (a, _), v in zip(answers, found[0], strict=True)]
    assert shown == [(a.child.name, v) for a, v in answers]


def test_types_are_the_carriers() -> None:
    found = frame(_aggregate(SCAN, (), ANSWERS + WHOLE_ANSWERS, AggregateMode.WHOLE))
    from voltray.proto.types import carrier

    assert found.dtypes == [carrier(dtype_of(a)) for a, _ in ANSWERS + WHOLE_ANSWERS]


@pytest.mark.parametrize("cut", [0, 1, 3, 5])
@pytest.mark.parametrize("grouped", [False, True])
def test_in_parts(cut: int, grouped: bool) -> None:
    answers = [(a, v) for a, v in ANSWERS if not a.child.distinct]
    key = attribute("k")
    groups = (key,) if grouped else ()
    table = SCAN.data.append_column(key.name, [[1] * SCAN.data.num_rows])
    pieces = [LocalScan((A, B, S, key), t) for t in (table.slice(0, cut), table.slice(cut))]
    partial = [_aggregate(p, groups, answers, AggregateMode.PARTIAL) for p in pieces]
    buffers = pl.concat([frame(p) for p in partial])
    final = replace(partial[0], mode=AggregateMode.FINAL)
    found = compile_aggregate(final, (buffers.lazy(),), TaskContext()).collect().rows()
    wanted = [v for _, v in answers]
    assert len(found) == 1
    for (alias, _), value, answer in zip(answers, found[0][len(groups) :], wanted, strict=True):
        assert value == (pytest.approx(answer) if isinstance(answer, float) else answer), alias.name


def test_of_no_rows() -> None:
    nothing = Filter(SCAN, Literal(False, BOOLEAN))
    answers = ANSWERS + WHOLE_ANSWERS
    found = rows(_aggregate(nothing, (), answers, AggregateMode.WHOLE))
    assert list(found[0]) == [OF_NOTHING.get(a.child.name) for a, _ in answers]
    assert rows(_aggregate(nothing, (S,), answers, AggregateMode.WHOLE)) == []


def test_groups_by_nan_and_zero() -> None:
    """NaN is one group, so are 0.0 and -0.0, which is shown as 0.0."""
    nan = float("nan")
    source = scan((B,), [(0.0,), (-0.0,), (nan,), (nan,), (None,)])
    found = rows(Aggregate(source, (B,), (aggregate("count", Literal(1, INTEGER)),)))
    assert [n for _, n in found] == [2, 2, 1]
    assert math.copysign(1, found[0][0]) == 1 and math.isnan(found[1][0]) and found[2][0] is None


def test_extremes_of_nan() -> None:
    source = scan((B,), [(float("nan"),), (1.0,), (None,)])
    low, high = rows(Aggregate(source, (), (aggregate("min", B, dtype=DOUBLE), aggregate("max", B, dtype=DOUBLE))))[0]
    assert low == 1.0 and math.isnan(high)


def _sum(name: str, attribute_: Attribute, dtype: DataType, mode: EvalMode = EvalMode.ANSI) -> Alias:
    return aggregate(name, attribute_, dtype=dtype, mode=mode)


def test_sums_that_overflow() -> None:
    source = scan((A,), [(2**63 - 1,), (1,)])
    with pytest.raises(SparkError) as failure:
        rows(Aggregate(source, (), (_sum("sum", A, LONG),)))
    assert failure.value.condition == "ARITHMETIC_OVERFLOW"
    assert failure.value.failure.parameters["alternative"].strip().startswith("Use 'try_add'")
    assert rows(Aggregate(source, (), (_sum("try_sum", A, LONG),))) == [(None,)]
    assert rows(Aggregate(source, (), (_sum("sum", A, LONG, EvalMode.LEGACY),))) == [(-(2**63),)]
    assert rows(Aggregate(source, (), (_sum("avg", A, DOUBLE),))) == [(4.611686018427388e18,)]


def test_sums_of_decimals() -> None:
    small, wide = attribute("d", DecimalType(10, 2)), attribute("w", DecimalType(38, 0))
    source = scan((small,), [(Decimal("1.25"),), (Decimal("9.99"),), (Decimal("0.01"),), (None,)])
    found = rows(
        Aggregate(source, (), (_sum("sum", small, DecimalType(20, 2)), _sum("avg", small, DecimalType(14, 6))))
    )
    assert found == [(Decimal("11.25"), Decimal("3.750000"))]
    most = scan((wide,), [(Decimal("9" * 38),), (Decimal(1),)])
    for name, dtype, condition in (
        ("sum", DecimalType(38, 0), "ARITHMETIC_OVERFLOW"),
        ("avg", DecimalType(38, 4), "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION"),
    ):
        with pytest.raises(SparkError) as failure:
            rows(Aggregate(most, (), (_sum(name, wide, dtype),)))
        assert failure.value.condition == condition
        assert rows(Aggregate(most, (), (_sum(f"try_{name}", wide, dtype),))) == [(None,)]
    big = scan((wide,), [(Decimal("9" * 38),), (Decimal("-" + "9" * 38),), (Decimal(5),)])
    assert rows(Aggregate(big, (), (_sum("sum", wide, DecimalType(38, 0)),))) == [(Decimal(5),)]


def test_building_the_plan_is_quick() -> None:
    """`select 1` must not wait for us: far under a millisecond a plan."""
    import time

    operator = Aggregate(SCAN, (S,), (aggregate("count", Literal(1, INTEGER)),))
    task = TaskContext(EvaluationContext())
    start = time.perf_counter()
    for _ in range(50):
        compile_operator(operator, {}, task)
    assert (time.perf_counter() - start) / 50 < 0.005
