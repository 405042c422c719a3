"""Runtime filters: the keys of a join's small side, once it ran, leave out rows of the large side where it is scanned.

Few keys become an IN list beside their bounds, more of them bounds and a Bloom filter. A scan of partitioned files
drops whole files by them (dynamic partition pruning), one of Parquet row groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import FALSE, conjunction, substitute
from voltray.driver.plan.recursion import RecursionReference
from voltray.driver.plan.row_estimates import estimated_rows
from voltray.driver.plan.statistics import file_bytes
from voltray.driver.planning.filter_targets import Place, leaves_below, placed_below
from voltray.driver.planning.fragment import StageResult
from voltray.driver.planning.join_keys import JoinKeys
from voltray.driver.planning.settings import (
    BLOOM_BITS,
    BLOOM_FILTERS,
    BLOOM_ITEMS,
    PARTITION_PRUNING,
    count_conf,
    flag_conf,
)
from voltray.executors.key_summaries import put_together
from voltray.executors.literals import internal_values
from voltray.proto.expressions import Attribute, Call, Cast, Expression, Literal
from voltray.proto.key_summaries import KeySummary, SummaryRequest
from voltray.proto.types import (
    BOOLEAN,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
    carrier,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

PLANNED = "dynamic_pruning"
"""Stands in a plan that is only shown for the filter that its run would find."""

# Kinds in which left rows that meet no right row are not needed, and the mirror image.
_LEFT_UNNEEDED = frozenset(("inner", "left_semi", "right"))
_RIGHT_UNNEEDED = frozenset(("inner", "left", "left_semi", "left_anti", "existence", "left_single"))
# Types whose equality as keys is that of their values as they are stored; not so floating point (NaN, -0.0).
_INTEGERS: tuple[type[DataType], ...] = (ByteType, ShortType, IntegerType, LongType)
_TYPES = (*_INTEGERS, DateType, TimestampType, TimestampNTZType, DecimalType, StringType)
_MOST_VALUES = 1000
_MOST_BITS = 1 << 26
_LEAST_BITS = 1 << 16
_BITS_A_ROW = 12
_MOST_ITEMS = 4_000_000
_LEAST_BYTES = 16 << 20
# A side pays as a source where conditions leave at most this share of it, or where it is that small beside the other.
_LARGEST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """The side of a join that runs first (0: left), and for its keys where they find rows of the other."""

    side: int
    keys: tuple[tuple[Attribute, Attribute], ...]
    """Key columns of the side, each with the column of the other side that it is compared with."""


def source_of(planner: Planner, node: logical.Join, keys: JoinKeys) -> Source | None:
    """Which side's keys are to thin out the other, if that may pay."""
    if planner.is_single_stage or node.null_aware or node.lateral or not keys.left:
        return None
    found = [source for side in (0, 1) if (source := _source(planner, node, keys, side)) is not None]
    plans = (node.left, node.right)
    return min(found, key=lambda source: estimated_rows(plans[source.side]).kept, default=None)


def _source(planner: Planner, node: logical.Join, keys: JoinKeys, side: int) -> Source | None:
    if node.kind not in (_RIGHT_UNNEEDED if side == 0 else _LEFT_UNNEEDED):
        return None
    if node.hint.startswith("broadcast_") and node.hint != ("broadcast_left", "broadcast_right")[side]:
        return None
    ours, theirs = (node.left, node.right) if side == 0 else (node.right, node.left)
    if not _may_pay(planner, ours, theirs) or any(isinstance(n, RecursionReference) for n in logical.walk(ours)):
        return None
    usable = tuple([pair for pair in _pairs(keys, side) if _is_wanted(planner, theirs, pair[1])])
    return Source(side, usable) if usable else None


def _may_pay(planner: Planner, ours: LogicalPlan, theirs: LogicalPlan) -> bool:
    if planner.forces_exchanges:
        return True
    rows, others = estimated_rows(ours), estimated_rows(theirs)
    is_thinned = rows.share <= _LARGEST_SHARE or any(isinstance(n, logical.LocalData) for n in logical.walk(ours))
    return is_thinned and rows.kept <= _LARGEST_SHARE * others.kept


def _pairs(keys: JoinKeys, side: int) -> Iterator[tuple[Attribute, Attribute]]:
    ours, theirs = (keys.left, keys.right) if side == 0 else (keys.right, keys.left)
    computed = {a.expr_id: a.child for a in (*keys.left_added, *keys.right_added)}
    for mine, other, is_safe in zip(ours, theirs, keys.null_safe, strict=True):
        column = _column_of(computed.get(other.expr_id, other))
        if not is_safe and column is not None and _is_usable(mine.dtype) and _are_alike(mine, other, column):
            yield mine, column


def _column_of(key: Expression) -> Attribute | None:
    """The column that a key is, or whose wider integer it is."""
    if isinstance(key, Cast) and isinstance(key.child, Attribute) and isinstance(key.dtype, _INTEGERS):
        narrow = key.child.dtype
        widens = isinstance(narrow, _INTEGERS) and _INTEGERS.index(type(narrow)) < _INTEGERS.index(type(key.dtype))
        return key.child if widens else None
    return key if isinstance(key, Attribute) else None


def _is_usable(dtype: DataType) -> bool:
    return type(dtype) in _TYPES and (not isinstance(dtype, StringType) or dtype == StringType())


def _are_alike(mine: Attribute, other: Attribute, column: Attribute) -> bool:
    return mine.dtype == other.dtype and (column.dtype == mine.dtype or isinstance(column.dtype, _INTEGERS))


def _is_wanted(planner: Planner, plan: LogicalPlan, column: Attribute) -> bool:
    least = 0 if planner.forces_exchanges else _LEAST_BYTES
    for leaf in leaves_below(plan, column):
        if isinstance(leaf, logical.FileScan):
            folders = {f.name.lower() for f in leaf.partition_schema.fields}
            name = PARTITION_PRUNING if column.name.lower() in folders else BLOOM_FILTERS
            if file_bytes(leaf) >= least and flag_conf(planner.context, name, True):
                return True
        elif planner.input_bytes >= least and flag_conf(planner.context, BLOOM_FILTERS, True):
            return True
    return False


def request_for(planner: Planner, source: Source, plan: LogicalPlan, *, bloom: bool) -> SummaryRequest:
    """What the side that runs first is to tell of its keys."""
    most = min(_MOST_BITS, count_conf(planner.context, BLOOM_BITS, _MOST_BITS))
    wanted = int(_BITS_A_ROW * estimated_rows(plan).kept)
    bits = max(min(_LEAST_BITS, most), min(most, 1 << wanted.bit_length()))
    items = count_conf(planner.context, BLOOM_ITEMS, _MOST_ITEMS)
    allowed = bloom and flag_conf(planner.context, BLOOM_FILTERS, True)
    return SummaryRequest(tuple([key for key, _ in source.keys]), _MOST_VALUES, bits if allowed else 0, items)


def thinned(source: Source, plan: LogicalPlan, result: StageResult, request: SummaryRequest) -> LogicalPlan:
    """The other side's plan with filters by the keys that the first side has."""
    for place, (key, column) in enumerate(source.keys):
        if result.is_guess:
            plan = placed_below(plan, column, _shown(key))
            continue
        if not result.summaries:
            continue
        summary = put_together([of_task[place] for of_task in result.summaries], request)
        filters = filters_of(summary, key.dtype, column)
        plan = placed_below(plan, column, filters.placed)
    return plan


def _shown(key: Attribute) -> Place:
    return lambda leaf, column: _with_conditions(leaf, (Call(PLANNED, (column, key), BOOLEAN),))


@dataclass(frozen=True, slots=True)
class KeyFilters:
    """Conditions on a column, and a Bloom filter of values of a type where there is one."""

    column: Attribute
    conditions: tuple[Expression, ...]
    dtype: DataType
    words: Any = None

    def placed(self, leaf: LogicalPlan, column: Attribute) -> LogicalPlan:
        """A leaf's rows that pass; ``column`` is what the leaf calls the column."""
        plan = _with_conditions(leaf, [substitute(c, {self.column.expr_id: column}) for c in self.conditions])
        if self.words is None:
            return plan
        return logical.BloomFilter(plan, column, self.dtype, pa.table({"words": self.words}))


def filters_of(summary: KeySummary, dtype: DataType, column: Attribute) -> KeyFilters:
    """The filters that a summary of keys of one type gives for a column of it, or of a narrower integer."""
    bounds = _internal(summary.bounds, dtype)
    if not bounds:
        return KeyFilters(column, (FALSE,), dtype)
    low, high = bounds[0], bounds[-1]
    if column.dtype != dtype:
        least, most = _limits(column.dtype)
        low, high = max(low, least), min(high, most)
        if low > high:
            return KeyFilters(column, (FALSE,), dtype)
    if summary.values is None:
        return KeyFilters(column, _between(column, low, high), dtype, summary.words)
    values = [v for v in sorted(_internal(summary.values, dtype)) if low <= v <= high]
    return KeyFilters(column, _among(column, values) if values else (FALSE,), dtype)


def _internal(values: Any, dtype: DataType) -> list[Any]:
    return internal_values(pl.Series(values).cast(carrier(dtype)), dtype)


def _limits(dtype: DataType) -> tuple[int, int]:
    bits = 8 << _INTEGERS.index(type(dtype))
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _between(column: Attribute, low: Any, high: Any) -> tuple[Expression, ...]:
    least, most = Literal(low, column.dtype), Literal(high, column.dtype)
    if low == high:
        return (Call("==", (column, least), BOOLEAN),)
    return Call(">=", (column, least), BOOLEAN), Call("<=", (column, most), BOOLEAN)


def _among(column: Attribute, values: list[Any]) -> tuple[Expression, ...]:
    bounds = _between(column, values[0], values[-1])
    if len(values) == 1:
        return bounds
    # The bounds say nothing new, but leave out row groups by what footers tell.
    return *bounds, Call("in", (column, *[Literal(v, column.dtype) for v in values]), BOOLEAN)


def _with_conditions(leaf: LogicalPlan, conditions: Sequence[Expression]) -> LogicalPlan:
    if isinstance(leaf, logical.FileScan):
        new = tuple([c for c in conditions if c not in leaf.runtime_filters])
        return replace(leaf, runtime_filters=(*leaf.runtime_filters, *new))
    condition = conjunction(conditions)
    return leaf if condition is None or is_planned(condition) else logical.Filter(leaf, condition)


def is_planned(condition: Expression) -> bool:
    """Whether a runtime filter only stands for one that a run would find."""
    return isinstance(condition, Call) and condition.name == PLANNED
