"""Joins of several inputs go where sizes say, not where they were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tests.driver.optimizer.plans import column, compare, number
from voltray.driver.optimizer.optimizer import optimize
from voltray.driver.optimizer.reorder_joins import reorder_joins
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjunction
from voltray.executors.sources.base import SourceFile
from voltray.proto.expressions import Attribute, Expression
from voltray.proto.types import LONG, StructField, StructType


@dataclass(frozen=True)
class Table:
    """A scan and its columns."""

    plan: logical.FileScan
    columns: tuple[Attribute, ...]


def table(folder: Path, file_name: str, rows: int, **distinct: int) -> Table:
    """A Parquet file of columns with so many different values each."""
    path = folder / f"{file_name}.parquet"
    data = pl.DataFrame({c: pl.int_range(rows, eager=True) % count for c, count in distinct.items()})
    data.write_parquet(path)
    columns = tuple([column(c) for c in distinct])
    schema = StructType([StructField(c, LONG) for c in distinct])
    file = SourceFile(str(path), path.stat().st_size, 0)
    return Table(logical.FileScan(columns, "parquet", (file,), schema), columns)


def joined(first: LogicalPlan, *others: tuple[LogicalPlan, Expression | None]) -> LogicalPlan:
    """A left-deep tree of inner joins."""
    for plan, condition in others:
        first = logical.Join(first, plan, "cross" if condition is None else "inner", condition)
    return first


def shape(plan: LogicalPlan) -> str:
    """Which tables are joined with which, by their first columns."""
    match plan:
        case logical.Join():
            return f"({shape(plan.left)} {shape(plan.right)})"
        case logical.FileScan():
            return plan.attributes[0].name
    (child,) = logical.children_of(plan)
    return shape(child)


def test_small_results_come_first_and_larger_sides_stand_left(tmp_path: Path) -> None:
    lines = table(tmp_path, "lines", 60_000, line_order=15_000, line_supplier=100)
    orders = table(tmp_path, "orders", 15_000, order=15_000, customer=1_500)
    customers = table(tmp_path, "customers", 1_500, id=1_500, nation=25)
    nations = table(tmp_path, "nations", 25, nation=25, name=25)
    chosen = logical.Filter(nations.plan, compare("==", nations.columns[1], number(3)))
    plan = joined(
        lines.plan,
        (orders.plan, compare("==", lines.columns[0], orders.columns[0])),
        (customers.plan, compare("==", orders.columns[1], customers.columns[0])),
        (chosen, compare("==", customers.columns[1], nations.columns[0])),
    )
    assert shape(plan) == "(((line_order order) id) nation)"
    reordered = reorder_joins(plan, None)
    assert shape(reordered) == "(line_order (order (id nation)))"
    assert reordered.output == plan.output


def test_few_values_on_both_sides_are_no_way_to_start(tmp_path: Path) -> None:
    """TPC-H's query 5: customers and suppliers of the same nation are many pairs."""
    customers = table(tmp_path, "customers", 15_000, customer=15_000, nation=25)
    suppliers = table(tmp_path, "suppliers", 1_000, supplier=1_000, of_nation=25)
    orders = table(tmp_path, "orders", 30_000, order=30_000, by=15_000)
    lines = table(tmp_path, "lines", 30_000, of_order=30_000, from_supplier=1_000)
    plan = joined(
        customers.plan,
        (suppliers.plan, compare("==", customers.columns[1], suppliers.columns[1])),
        (orders.plan, compare("==", customers.columns[0], orders.columns[1])),
        (lines.plan, conjunction([compare("==", lines.columns[0], orders.columns[0]),
                                  compare("==", lines.columns[1], suppliers.columns[0])])),
    )  # fmt: skip
    assert "(customer supplier)" not in shape(reorder_joins(plan, None))


def test_equal_columns_may_be_joined_though_no_condition_names_both(tmp_path: Path) -> None:
    many = table(tmp_path, "many", 40_000, a=40_000)
    middle = table(tmp_path, "middle", 40_000, b=40_000)
    few = table(tmp_path, "few", 100, c=100)
    plan = joined(
        many.plan,
        (middle.plan, compare("==", many.columns[0], middle.columns[0])),
        (few.plan, compare("==", middle.columns[0], few.columns[0])),
    )
    reordered = reorder_joins(plan, None)
    assert shape(reordered) in ("(b (a c))", "(a (b c))")
    assert all(j.condition is not None for j in logical.walk(reordered) if isinstance(j, logical.Join))


def test_what_has_no_condition_comes_last_and_other_conditions_once_both_sides_are_there(tmp_path: Path) -> None:
    facts = table(tmp_path, "facts", 30_000, fact=300)
    keys = table(tmp_path, "keys", 300, key=300)
    single = table(tmp_path, "single", 1, one=1)
    less = compare("<", single.columns[0], facts.columns[0])
    plan = joined(facts.plan, (single.plan, None), (keys.plan, compare("==", facts.columns[0], keys.columns[0])))
    assert shape(reorder_joins(plan, None)) == "((fact key) one)"
    reordered = reorder_joins(logical.Filter(plan, less), None)
    assert shape(reordered) == "((fact key) one)"


def test_small_inputs_and_hinted_joins_stay_as_written(tmp_path: Path) -> None:
    small = [table(tmp_path, n, 100, **{n: 100}) for n in "abc"]
    (a, b, c) = (t.columns[0] for t in small)
    plan = joined(small[0].plan, (small[1].plan, compare("==", a, b)), (small[2].plan, compare("==", b, c)))
    assert reorder_joins(plan, None) is plan
    large = [table(tmp_path, n, 30_000, **{n: 30_000}) for n in "de"]
    (d, e) = (t.columns[0] for t in large)
    inner = logical.Join(large[0].plan, large[1].plan, "inner", compare("==", d, e), hint="broadcast_right")
    hinted = logical.Join(inner, small[0].plan, "inner", compare("==", e, a))
    assert reorder_joins(hinted, None) is hinted


def test_the_optimizer_reorders(tmp_path: Path) -> None:
    tables = [table(tmp_path, n, rows, **{n: rows}) for n, rows in (("a", 40_000), ("b", 40_000), ("c", 10))]
    (a, b, c) = (t.columns[0] for t in tables)
    plan = joined(tables[0].plan, (tables[1].plan, compare("==", a, b)), (tables[2].plan, compare("==", a, c)))
    assert shape(optimize(plan, None)) == "(b (a c))"
