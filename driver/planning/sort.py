"""Sorting: within tasks, and globally by ranges of the leading key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import gather, groups_of, materialised, number_of_partitions, run_exchange
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.proto import operators
from voltray.proto.expressions import SortOrder, dtype_of, references
from voltray.proto.stages import Exchange
from voltray.proto.types import (
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

# Keys whose engine order is Spark's and which a boundary search can compare.
_RANGE_TYPES: tuple[type[DataType], ...] = (
    ByteType, ShortType, IntegerType, LongType, FloatType, DoubleType, DecimalType, StringType, DateType,
    TimestampType, TimestampNTZType,
)  # fmt: skip
_ONE_TASK_BYTES = 32 << 20
_CHEAP = (operators.FileScan, operators.PartitionRead, operators.RangeScan, operators.Filter, operators.Project)


def plan_sort(planner: Planner, node: logical.Sort) -> Fragment:
    """Each task sorts its rows; for a global sort of several tasks, rows are spread by range before."""
    child = planner.plan(node.child)
    if node.is_global and not child.is_single:
        child = spread_by_range(planner, child, node.orders, None)
    return child.map(lambda task: operators.Sort(task, node.orders), node.output)


def spread_by_range(planner: Planner, child: Fragment, orders: tuple[SortOrder, ...], count: int | None) -> Fragment:
    """Rows in as many ranges as ``count`` says or their size suggests; task i's rows come before task i + 1's."""
    if not orders or not isinstance(dtype_of(orders[0]), _RANGE_TYPES):
        return gather(planner, child)
    if planner.spills and count is None and all(_is_cheap(task) for task in child.tasks):
        kept, result = child, _sampled(planner, child, orders[0])
    else:
        kept, result = materialised(planner, child, orders[:1])
    if kept is not child and count is None and result.total_bytes <= _ONE_TASK_BYTES and not planner.forces_exchanges:
        everything = result.read_maps(child.output, 0, len(child.tasks) - 1)
        return Fragment((everything,), child.output, result.total_bytes)
    wanted = count or number_of_partitions(planner, max(result.total_bytes, kept.bytes))
    boundaries = range(wanted - 1) if result.is_guess else boundaries_of(result, wanted, orders[0].ascending)
    if not len(boundaries):
        return gather(planner, kept)
    exchange = Exchange("range", len(boundaries) + 1, orders[:1], boundaries)
    ranged = run_exchange(planner, kept, exchange)
    spans = groups_of(planner, ranged.bytes) if count is None else _one_each(len(boundaries) + 1)
    return Fragment(tuple([ranged.read(child.output, a, b) for a, b in spans]), child.output, ranged.total_bytes)


def _is_cheap(task: operators.Operator) -> bool:
    """Whether rows may as well be read twice as be kept in between."""
    return all(isinstance(node, _CHEAP) for node in operators.walk(task))


def _sampled(planner: Planner, child: Fragment, order: SortOrder) -> StageResult:
    """A sample of the leading key, from a look at its columns alone."""
    needed = references(order.child)
    columns = tuple([a for a in child.output if a.expr_id in needed])
    narrow = child.map(lambda task: operators.Project(task, columns), columns)
    return run_exchange(planner, narrow, Exchange("sample", 1, (order,)))


def _one_each(count: int) -> tuple[tuple[int, int], ...]:
    return tuple([(i, i) for i in range(count)])


def boundaries_of(result: StageResult, count: int, ascending: bool) -> Any:
    """Values of the leading key that cut the sample into ``count`` parts, each once, ascending, as an Arrow array."""
    tables = [table for table in result.samples if table is not None and table.num_rows]
    if not tables:
        return ()
    keys = pl.concat([pl.DataFrame(t) for t in tables]).get_column("key").sort(descending=not ascending)
    places = [-(-i * len(keys) // count) - 1 for i in range(1, count)]
    return keys.gather(places).unique().sort().to_arrow(compat_level=pl.CompatLevel.oldest())
