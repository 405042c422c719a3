"""Statistics of ANALYZE TABLE and of footers tell how many rows plans have, and in which order inputs are joined."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.driver.optimizer.plans import compare, number, table
from voltray.driver.optimizer.push_down_filters import push_down_filters
from voltray.driver.plan import logical
from voltray.driver.plan.column_statistics import ColumnStatistics, statistics_of
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import call_and, call_equals, call_is_null
from voltray.driver.plan.row_estimates import estimated_rows
from voltray.executors.sources.base import SourceFile
from voltray.proto.expressions import Alias, Attribute, Call, Expression, Literal, new_id
from voltray.proto.types import BOOLEAN, DATE, LONG, STRING, TIMESTAMP, DataType, DecimalType, StructField, StructType


def scan_of(statistics: dict[str, str], *names: str, files: tuple[SourceFile, ...] = ()) -> logical.FileScan:
    """A scan of a table of long columns, with what ANALYZE found."""
    return typed_scan(dict.fromkeys(names, LONG), statistics, files)


def typed_scan(
    columns: dict[str, DataType], statistics: dict[str, str], files: tuple[SourceFile, ...] = ()
) -> logical.FileScan:
    """A scan of a table."""
    attributes = tuple([Attribute(new_id(), n, t) for n, t in columns.items()])
    schema = StructType([StructField(n, t) for n, t in columns.items()])
    return logical.FileScan(attributes, "parquet", files, schema, statistics=tuple(statistics.items()))


STATISTICS = {
    "rows": "1000", "a.distinct_count": "50", "a.min": "0", "a.max": "100", "a.num_nulls": "250",
    "b.distinct_count": "10", "b.num_nulls": "0",
}  # fmt: skip


def kept(plan: LogicalPlan, condition: Expression) -> float:
    """Estimated rows of a plan under a condition."""
    return estimated_rows(logical.Filter(plan, condition)).kept


def test_conditions_keep_what_the_statistics_tell() -> None:
    scan = scan_of(STATISTICS, "a", "b")
    a, b = scan.attributes
    assert estimated_rows(scan).kept == 1000
    assert kept(scan, call_equals(a, number(3))) == pytest.approx(20)
    assert kept(scan, Call("in", (b, number(1), number(2), number(1)), BOOLEAN)) == pytest.approx(200)
    assert kept(scan, compare("<", a, number(10))) == pytest.approx(100)
    assert kept(scan, compare(">=", a, number(90))) == pytest.approx(100)
    assert kept(scan, call_and(compare(">=", a, number(40)), compare("<", a, number(60)))) == pytest.approx(200)
    assert kept(scan, Call("between", (a, number(40), number(60)), BOOLEAN)) == pytest.approx(200)
    assert kept(scan, compare(">", a, number(500))) < 1
    assert kept(scan, call_is_null(a)) == pytest.approx(250)
    # What is not known goes by rules of thumb.
    assert kept(scan, compare("<", b, number(10))) == pytest.approx(350)
    assert kept(scan, compare("<", a, b)) == pytest.approx(350)


def test_columns_are_followed_to_their_scans() -> None:
    scan = scan_of(STATISTICS, "a", "b")
    a, b = scan.attributes
    renamed = logical.Project(scan, (Alias(a, "x", new_id()), b))
    (x, _) = renamed.output
    assert kept(logical.Filter(renamed, compare("<", b, number(1))), call_equals(x, number(3))) == pytest.approx(7)
    other, (c,) = table("c")
    joined = logical.Join(other, renamed, "inner", call_equals(c, x))
    assert statistics_of(joined, x).distinct == 50
    assert statistics_of(joined, c) == statistics_of(other, x) == ColumnStatistics()


@pytest.mark.parametrize(
    ("dtype", "low", "high", "value"),
    [
        (DATE, "2020-01-01", "2020-01-11", 18268),
        (TIMESTAMP, "1970-01-01 00:00:00.000000 +0000", "1970-01-01 00:00:10.000000 +0000", 6_000_000),
        (DecimalType(10, 2), "0.00", "10.00", Decimal("6.00")),
    ],
)
def test_bounds_are_read_from_their_texts(dtype: DataType, low: str, high: str, value: object) -> None:
    scan = typed_scan({"a": dtype}, {"rows": "100", "a.min": low, "a.max": high})
    assert kept(scan, compare("<=", scan.attributes[0], Literal(value, dtype))) == pytest.approx(60)


def test_footers_tell_rows_and_bounds(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(i) for i in range(101)]
    pl.DataFrame({"a": range(101), "d": days, "s": ["x"] * 101}).write_parquet(path, row_group_size=30)
    file = SourceFile(str(path), os.path.getsize(path), 0)
    scan = typed_scan({"a": LONG, "d": DATE, "s": STRING}, {}, (file,))
    a, d, s = scan.attributes
    assert estimated_rows(scan).kept == 101
    assert kept(scan, compare("<", a, number(25))) == pytest.approx(101 * 0.25)
    assert kept(scan, compare(">", d, Literal(18262 + 90, DATE))) == pytest.approx(101 * 0.1)
    assert kept(scan, compare(">", s, Literal("y", STRING))) == pytest.approx(101 * 0.35)


def test_joins_have_the_rows_that_their_keys_values_tell() -> None:
    left = scan_of({"rows": "1000", "a.distinct_count": "10"}, "a")
    right = scan_of({"rows": "100", "b.distinct_count": "20"}, "b")
    joined = logical.Join(left, right, "inner", call_equals(left.attributes[0], right.attributes[0]))
    assert estimated_rows(joined).kept == 1000 * 100 / 20


def order_of(plan: LogicalPlan) -> list[str]:
    """The first columns of a plan's scans, from left to right."""
    return [n.attributes[0].name for n in logical.walk(plan) if isinstance(n, logical.FileScan)]


def star(statistics: bool) -> LogicalPlan:
    """Facts joined with a large and a small dimension, of which a condition leaves little."""

    def told(rows: int, **distinct: int) -> dict[str, str]:
        return {"rows": str(rows)} | {f"{k}.distinct_count": str(v) for k, v in distinct.items()} if statistics else {}

    facts = scan_of(told(1_000_000, f=100_000, g=1000), "f", "g")
    large, small = scan_of(told(100_000, x=100_000), "x"), scan_of(told(1000, y=1000, z=100), "y", "z")
    f, g = facts.attributes
    y, z = small.attributes
    joined = logical.Join(logical.Join(facts, large, "cross"), small, "cross")
    by_keys = call_and(call_equals(f, large.attributes[0]), call_equals(g, y))
    return push_down_filters(logical.Filter(joined, call_and(by_keys, call_equals(z, number(1)))), None)


def test_inputs_whose_rows_were_counted_are_joined_by_what_they_leave() -> None:
    assert order_of(star(statistics=True)) == ["f", "y", "x"]
    assert order_of(star(statistics=False)) == ["f", "x", "y"]
