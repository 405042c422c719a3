"""Keys of a join's small side leave out rows of the large side where it is scanned, and never one that is needed."""

from __future__ import annotations

import datetime
import itertools
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.driver.planning.local_runner import LocalRunner, run_plan
from tests.driver.planning.test_planner import SomeSettings, kinds, planned, table
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import call_equals, call_null_safe_equals
from voltray.driver.plan.text import expression_text
from voltray.driver.planning.explain import NotingRunner, operator_line, physical_text
from voltray.driver.planning.planner import Planner
from voltray.driver.planning.runtime_filters import filters_of
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import SourceFile
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, Call, Cast, Literal, SortOrder, new_id
from voltray.proto.key_summaries import KeySummary
from voltray.proto.operators import FileScan
from voltray.proto.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    ByteType,
    DataType,
    DecimalType,
    StructField,
    StructType,
)

OFF = {
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "false",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
}
HASHED = {"spark.sql.autoBroadcastJoinThreshold": "-1"}
FORCED = SomeSettings(0)


def files_of(folder: Path, frame: pl.DataFrame, dtypes: dict[str, DataType], parts: int = 2) -> logical.FileScan:
    """A scan of a frame written as some Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for i, (start, end) in enumerate(itertools.pairwise([n * frame.height // parts for n in range(parts + 1)])):
        path = folder / f"{i}.parquet"
        frame.slice(start, end - start).write_parquet(path)
        found.append(SourceFile(str(path), os.path.getsize(path), 0))
    schema = StructType([StructField(name, dtype) for name, dtype in dtypes.items()])
    attributes = tuple([Attribute(new_id(), name, dtype) for name, dtype in dtypes.items()])
    return logical.FileScan(attributes, "parquet", tuple(found), schema)


def facts(folder: Path, rows: int = 1000) -> tuple[logical.FileScan, tuple[Attribute, ...]]:
    """A scan of a long key and a value."""
    scan = files_of(folder, pl.DataFrame({"k": range(rows), "v": range(rows)}), {"k": LONG, "v": LONG})
    return scan, scan.attributes


def filters(runner_or_tasks: Any) -> list[str]:
    """The runtime filters of all scans that ran or are to run."""
    if isinstance(runner_or_tasks, LocalRunner):
        trees = [t for s in runner_or_tasks.stages.values() for t in s.stage.tasks]
    else:
        trees = list(runner_or_tasks)
    scans = [n for tree in trees for n in operators.walk(tree) if isinstance(n, FileScan)]
    return list(dict.fromkeys(expression_text(f).split("#")[0] for s in scans for f in s.runtime_filters))


def scanned(runner: LocalRunner) -> int:
    """Rows that the stages with runtime filters put out."""
    return max(
        sum(stored.result().map_rows)
        for stored in runner.stages.values()
        if any(getattr(n, "runtime_filters", ()) for t in stored.stage.tasks for n in operators.walk(t))
    )


def test_few_keys_become_a_list_and_bounds(tmp_path: Path) -> None:
    scan, (k, v) = facts(tmp_path)
    small, (c,) = table(7, "c")
    rows, runner = run_plan(logical.Join(scan, small, "inner", call_equals(k, c)), FORCED, {})
    assert sorted(rows[v.column]) == list(range(7))
    assert [type(s.stage.tasks[0]).__name__ for s in runner.stages.values()] == ["LocalScan", "HashJoin"]
    (found,) = {n.runtime_filters for n in operators.walk(runner.stages["1"].stage.tasks[0]) if isinstance(n, FileScan)}
    low, high, among = [f for f in found if isinstance(f, Call)]
    assert (low.name, high.name, among.name) == (">=", "<=", "in") and len(among.args) == 8


def test_many_keys_become_bounds_and_a_bloom_filter(tmp_path: Path) -> None:
    scan, (k, v) = facts(tmp_path, 30_000)
    keys, (c, _) = table(3000, "c", "d")
    odd = logical.Project(keys, (Alias(Call("*", (c, Literal(7, LONG)), LONG), "odd", new_id()),))
    node = logical.Join(scan, odd, "inner", call_equals(k, odd.output[0]))
    rows, runner = run_plan(node, FORCED, HASHED)
    assert sorted(rows[v.column]) == list(range(0, 21_000, 7))
    names = [kinds(s.stage.tasks[0]) for s in runner.stages.values()]
    assert names[1] == ["BloomFilter", "FileScan"] and 3000 <= scanned(runner) < 5000
    plain, unfiltered = run_plan(node, FORCED, HASHED | OFF)
    assert sorted(plain[v.column]) == sorted(rows[v.column])
    assert not filters(unfiltered)


def test_no_keys_leave_no_rows(tmp_path: Path) -> None:
    scan, (k, _) = facts(tmp_path)
    small, (c,) = table(7, "c")
    nothing = logical.Filter(small, Call("<", (c, Literal(0, LONG)), BOOLEAN))
    rows, runner = run_plan(logical.Join(scan, nothing, "inner", call_equals(k, c)), FORCED, {})
    assert rows.is_empty()
    scans = [n for s in runner.stages.values() for t in s.stage.tasks for n in operators.walk(t)]
    assert all(not n.files for n in scans if isinstance(n, FileScan))


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("inner", True, True), ("left_semi", True, True), ("right", True, False), ("left", False, True),
        ("left_anti", False, True), ("full", False, False),
    ],
)  # fmt: skip
def test_a_side_is_filtered_only_where_its_other_rows_are_not_needed(
    kind: str, left: bool, right: bool, tmp_path: Path
) -> None:
    scan, (k, _) = facts(tmp_path)
    small, (c,) = table(7, "c")
    for node, expected in (
        (logical.Join(scan, small, kind, call_equals(k, c)), left),
        (logical.Join(small, scan, kind, call_equals(c, k)), right),
    ):
        found, runner = run_plan(node, FORCED, HASHED)
        plain, _ = run_plan(node, FORCED, HASHED | OFF)
        assert bool(filters(runner)) is expected
        assert found.sort(pl.all()).equals(plain.sort(pl.all()))


def test_null_safe_keys_and_not_in_filter_nothing(tmp_path: Path) -> None:
    scan, (k, _) = facts(tmp_path)
    small, (c,) = table(7, "c")
    safe = logical.Join(scan, small, "inner", call_null_safe_equals(k, c))
    not_in = logical.Join(small, scan, "left_anti", call_equals(c, k), null_aware=True)
    for node in (safe, not_in):
        assert not filters(run_plan(node, FORCED, {})[1])


def test_filters_go_down_through_what_keeps_the_column(tmp_path: Path) -> None:
    scan, (k, v) = facts(tmp_path / "a")
    other, (k2, v2) = facts(tmp_path / "b")
    small, (c,) = table(7, "c")
    renamed = logical.Project(scan, (Alias(k, "key", new_id()), v))
    key = renamed.output[0]
    joined = logical.Join(renamed, other, "inner", call_equals(key, k2))
    total = Alias(AggregateCall("sum", (v2,), LONG), "s", new_id())
    groups = logical.Aggregate(joined, (key,), (total,))
    rows, runner = run_plan(logical.Join(groups, small, "inner", call_equals(key, c)), FORCED, HASHED)
    assert rows.height == 7
    # Both scans: the second one's key is equal to the first one's.
    trees = [t for s in runner.stages.values() for t in s.stage.tasks]
    scans = [n for tree in trees for n in operators.walk(tree) if isinstance(n, FileScan)]
    assert len({Path(n.files[0].path).parent for n in scans}) == 2 and all(n.runtime_filters for n in scans)


def test_filters_stay_above_what_sees_all_rows(tmp_path: Path) -> None:
    scan, (k, v) = facts(tmp_path)
    small, (c,) = table(7, "c")
    random = logical.Project(scan, (k, Alias(Call("rand", (Literal(1, LONG),), DOUBLE), "r", new_id())))
    total = Alias(AggregateCall("count", (k,), LONG), "n", new_id())
    above: list[LogicalPlan] = [
        logical.Limit(logical.Sort(scan, (SortOrder(v),)), 500),
        logical.CollectMetrics(scan, "m", (total,)),
        logical.Sample(scan, 0.0, 0.5, False, 1),
        random,
    ]
    for node in above:
        _, runner = run_plan(logical.Join(node, small, "inner", call_equals(k, c)), FORCED, {})
        assert not filters(runner)


def test_partition_columns_drop_whole_files(tmp_path: Path) -> None:
    found = []
    for day in range(10):
        folder = tmp_path / f"day={day}"
        folder.mkdir()
        pl.DataFrame({"v": [day] * 5}).write_parquet(folder / "0.parquet")
        found.append(SourceFile(str(folder / "0.parquet"), 500, 0, (str(day),)))
    v, day = Attribute(new_id(), "v", LONG), Attribute(new_id(), "day", INTEGER)
    schema, folders = StructType([StructField("v", LONG)]), StructType([StructField("day", INTEGER)])
    scan = logical.FileScan((v, day), "parquet", tuple(found), schema, folders)
    days, (c,) = table(3, "c")
    node = logical.Join(scan, days, "inner", call_equals(Cast(day, LONG), c))
    rows, runner = run_plan(node, FORCED, {})
    assert sorted(rows[v.column]) == [0] * 5 + [1] * 5 + [2] * 5
    scans = [n for s in runner.stages.values() for t in s.stage.tasks for n in operators.walk(t)]
    assert {f.partition_values[0] for n in scans if isinstance(n, FileScan) for f in n.files} == {"0", "1", "2"}
    assert len({n for n in scans if isinstance(n, FileScan)}) > 1
    off = {"spark.sql.optimizer.dynamicPartitionPruning.enabled": "false"}
    assert not filters(run_plan(node, FORCED, off)[1])


def test_a_plan_that_is_shown_names_its_filters(tmp_path: Path) -> None:
    scan, (k, _) = facts(tmp_path)
    small, (c,) = table(7, "c")
    node = logical.Join(scan, small, "inner", call_equals(k, c))
    runner = NotingRunner(lambda _: None)  # type: ignore[arg-type,return-value]
    fragment = Planner(FORCED, EvaluationContext(), runner, slots=3).plan_query(node)
    text = physical_text(fragment, runner.stages)
    assert f"runtimeFilters=[dynamic_pruning(k#{k.expr_id}L, c#{c.expr_id}L)]" in text


def test_a_scan_says_how_many_keys_it_looks_for(tmp_path: Path) -> None:
    scan, (k, _) = facts(tmp_path)
    for count, text in ((3, f"in(k#{k.expr_id}L, 0, 1, 2)"), (500, "500 values)")):
        small, (c,) = table(count, "c")
        _, runner = run_plan(logical.Join(scan, small, "inner", call_equals(k, c)), FORCED, {})
        lines = [operator_line(n) for s in runner.stages.values() for n in operators.walk(s.stage.tasks[0])]
        assert any("runtimeFilters=[" in line and text in line and len(line) < 300 for line in lines)


def test_what_fits_one_stage_is_left_to_its_engine(tmp_path: Path) -> None:
    scan, (k, _) = facts(tmp_path)
    small, (c,) = table(7, "c")
    fragment, runner = planned(logical.Join(scan, small, "inner", call_equals(k, c)), 1 << 30)
    assert not runner.stages and not filters(fragment.tasks)


def test_bounds_of_wider_integers_are_cut_to_the_column() -> None:
    import pyarrow as pa

    column = Attribute(new_id(), "b", ByteType())
    summary = KeySummary(pa.array([-500, 500]), pa.array([-500, 3, 127, 128, 500]))
    low, high, among = filters_of(summary, LONG, column).conditions
    assert isinstance(among, Call) and [a.value for a in among.args[1:] if isinstance(a, Literal)] == [3, 127]
    assert [c.args[1].value for c in (low, high)] == [3, 127]  # type: ignore[attr-defined]
    beyond = KeySummary(pa.array([500, 600]), pa.array([500, 600]))
    assert filters_of(beyond, LONG, column).conditions == (Literal(False, BOOLEAN),)


TYPES: dict[str, tuple[DataType, pl.DataType, st.SearchStrategy[Any]]] = {
    "byte": (ByteType(), pl.Int8(), st.integers(-3, 3)),
    "integer": (INTEGER, pl.Int32(), st.integers(-3, 3) | st.just(2**31 - 1)),
    "long": (LONG, pl.Int64(), st.integers(-5, 5) | st.just(-(2**63))),
    "double": (DOUBLE, pl.Float64(), st.sampled_from([0.0, -0.0, float("nan"), 1.5, float("inf")])),
    "string": (STRING, pl.String(), st.text("aB é", max_size=2)),
    "date": (DATE, pl.Date(), st.dates(datetime.date(1999, 12, 30), datetime.date(2000, 1, 3))),
    "timestamp": (
        TIMESTAMP,
        pl.Datetime("us", "UTC"),
        st.sampled_from([datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(2020, 1, 1)]),
    ),
    "decimal": (
        DecimalType(20, 2),
        pl.Decimal(20, 2),
        st.sampled_from([Decimal("0.00"), Decimal("-1.10"), Decimal(7)]),
    ),
}
KINDS = ("inner", "left", "right", "full", "left_semi", "left_anti")


def column_of(values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """A key column."""
    if isinstance(dtype, pl.Datetime):
        return pl.Series("k", values, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.Series("k", values, dtype=dtype)


@pytest.mark.parametrize("name", TYPES)
def test_every_kind_has_the_rows_that_it_has_without_filters(name: str, tmp_path_factory: Any) -> None:
    spark_type, dtype, values = TYPES[name]
    keys = st.lists(st.none() | values, max_size=12)

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(keys, keys, st.sampled_from(KINDS), st.booleans())
    def check(ours: list[Any], theirs: list[Any], kind: str, broadcast: bool) -> None:
        folder = tmp_path_factory.mktemp("property")
        sides = []
        for side, found in (("left", ours), ("right", theirs)):
            frame = pl.DataFrame([column_of(found, dtype), pl.Series("n", range(len(found)), dtype=pl.Int64)])
            sides.append(files_of(folder / side, frame, {"k": spark_type, "n": LONG}))
        node = logical.Join(*sides, kind, call_equals(sides[0].attributes[0], sides[1].attributes[0]))
        confs = {} if broadcast else HASHED
        counts = [a.column for a in node.output if a.name == "n"]
        rows = [run_plan(node, FORCED, confs | more)[0].select(counts).sort(pl.all()) for more in ({}, OFF)]
        assert rows[0].equals(rows[1])

    check()
