"""Sorting: within tasks, and globally by ranges of the leading key."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import polars as pl

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import advisory_bytes, gather, materialised, number_of_partitions, run_exchange
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.skew import largest_bytes, map_ranges, spans_around
from voltray.proto import operators
from voltray.proto.expressions import SortOrder, dtype_of, nullable_of, references
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
    if result.is_guess:
        boundaries: Any = range(wanted - 1)
    else:
        boundaries = boundaries_of(result, wanted, orders[0].ascending, repeats=1 if count else 2)
    if not len(boundaries):
        return gather(planner, kept)
    nulls_apart = count is None and nullable_of(orders[0].child)
    exchange = Exchange("range", len(boundaries) + 1 + nulls_apart, orders[:1], boundaries, nulls_apart)
    ranged = run_exchange(planner, kept, exchange)
    if count is None:
        tasks = _in_order(planner, child, ranged, orders, _of_equal_keys(exchange))
    else:
        tasks = tuple([ranged.read(child.output, i, i) for i in range(len(boundaries) + 1)])
    return Fragment(tasks, child.output, ranged.total_bytes)


def _in_order(
    planner: Planner, child: Fragment, ranged: StageResult, orders: tuple[SortOrder, ...], equal: frozenset[int]
) -> tuple[operators.Operator, ...]:
    """Tasks over the ranges, small ones together; a large one of rows with equal keys is spread over several tasks."""
    limit = largest_bytes(planner)
    target = advisory_bytes(planner)
    large = [p for p, size in enumerate(ranged.bytes) if p in equal and size > limit]
    ranges = {p: map_ranges(ranged.sizes_by_map(p), target) for p in large}
    ranges = {p: found for p, found in ranges.items() if len(found) > 1}
    tasks: list[operators.Operator] = []
    for first, last in spans_around(planner, ranged.bytes, list(ranges)):
        if first not in ranges:
            tasks.append(ranged.read(child.output, first, last))
            continue
        parts = tuple([ranged.read(child.output, first, first, maps) for maps in ranges[first]])
        same = Fragment(parts, child.output, ranged.bytes[first])
        # What the leading key leaves undecided is for the other keys, or for nobody: then the rows stay as they are.
        tasks.extend(spread_by_range(planner, same, orders[1:], None).tasks if len(orders) > 1 else parts)
    return tuple(tasks)


def _of_equal_keys(exchange: Exchange) -> frozenset[int]:
    """Partitions of a range exchange all of whose rows have one and the same key, or NULL."""
    (order,) = exchange.keys
    assert isinstance(order, SortOrder)
    last = len(exchange.boundaries)
    values = [] if isinstance(exchange.boundaries, range) else exchange.boundaries.to_pylist()
    places = [i + 1 for i, (a, b) in enumerate(itertools.pairwise(values)) if a == b]
    partitions = [p if order.ascending else last - p for p in places]
    if not exchange.nulls_apart:
        return frozenset(partitions)
    return frozenset([0, *[p + 1 for p in partitions]] if order.nulls_first else [*partitions, last + 1])


def _is_cheap(task: operators.Operator) -> bool:
    """Whether rows may as well be read twice as be kept in between."""
    return all(isinstance(node, _CHEAP) for node in operators.walk(task))


def _sampled(planner: Planner, child: Fragment, order: SortOrder) -> StageResult:
    """A sample of the leading key, from a look at its columns alone."""
    needed = references(order.child)
    columns = tuple([a for a in child.output if a.expr_id in needed])
    narrow = child.map(lambda task: operators.Project(task, columns), columns)
    return run_exchange(planner, narrow, Exchange("sample", 1, (order,)))


def boundaries_of(result: StageResult, count: int, ascending: bool, *, repeats: int = 1) -> Any:
    """Values of the leading key that cut the sample into ``count`` parts, ascending, as an Arrow array.

    One that comes more often stands there up to ``repeats`` times: twice, it gets a range of its own.
    """
    tables = [table for table in result.samples if table is not None and table.num_rows]
    if not tables:
        return ()
    keys = pl.concat([pl.DataFrame(t) for t in tables]).get_column("key").sort(descending=not ascending)
    places = [-(-i * len(keys) // count) - 1 for i in range(1, count)]
    cuts = keys.gather(places).sort().to_frame()
    kept = cuts.filter(pl.col("key").cum_count().over("key") <= repeats)
    return kept.get_column("key").to_arrow(compat_level=pl.CompatLevel.oldest())
