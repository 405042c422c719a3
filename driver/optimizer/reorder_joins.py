"""Inner joins of several inputs in the order that keeps what lies between them small.

Two inputs or joins at a time, always the two whose join is the smallest (greedy operator ordering). Sizes come from
row counts and ranges in the files' footers. Equalities are transitive here: with ``a = b`` and ``b = c``, ``a`` and
``c`` may be joined first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from voltray.driver.optimizer.join_order import join_inputs
from voltray.driver.optimizer.traversal import output_ids
from voltray.driver.plan import logical
from voltray.driver.plan.column_statistics import statistics_of
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import call_equals, conjunction, conjuncts, is_deterministic
from voltray.driver.plan.row_estimates import estimated_rows, share_of
from voltray.proto.expressions import Attribute, Call, Expression, references
from voltray.proto.types import DateType, IntegralType

# Smaller inputs are joined as they are written: their rows come in the order that users see elsewhere.
_FEWEST_ROWS = 20_000.0


def reorder_joins(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Put every tree of inner joins into its best order."""
    if isinstance(plan, logical.Join) and plan.kind in ("inner", "cross") and not plan.lateral and not plan.hint:
        inputs, conditions = join_inputs(plan)
        parts = [part for c in conditions for part in conjuncts(c)]
        if len(inputs) > 2 and all(map(is_deterministic, parts)):
            ordered = _ordered([reorder_joins(i, environment) for i in inputs], parts)
            if ordered is not None:
                return ordered if ordered.output == plan.output else logical.Project(ordered, plan.output)
    children = logical.children_of(plan)
    built = tuple([reorder_joins(c, environment) for c in children])
    return plan if all(a is b for a, b in zip(built, children, strict=True)) else logical.with_children(plan, built)


@dataclass(frozen=True, slots=True)
class _Range:
    """The least and the greatest value of a column, and how many whole numbers lie between them."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low + 1

    def within(self, other: _Range) -> _Range:
        """What both have; one point where they have nothing in common."""
        low = max(self.low, other.low)
        return _Range(low, max(low, min(self.high, other.high)))


@dataclass(frozen=True, slots=True)
class _Condition:
    expression: Expression
    reads: frozenset[int]
    is_equality: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Inputs that are joined already: their plan, and its rows with and without what conditions took.

    ``columns`` has a column of each class of equal columns that they have, ``values`` how many values that has, and
    ``ranges`` between which bounds, where that is known.
    """

    plan: LogicalPlan
    kept: float
    base: float
    ids: frozenset[int]
    columns: dict[int, Attribute]
    values: dict[int, float]
    ranges: dict[int, _Range]

    def share(self, key: int, other: _Part) -> float:
        """Which share of its values lies between the other part's bounds."""
        mine, theirs = self.ranges.get(key), other.ranges.get(key)
        if mine is None or theirs is None:
            return 1.0
        common = min(mine.high, theirs.high) - max(mine.low, theirs.low) + 1
        return min(1.0, max(common, 1.0) / mine.width)


@dataclass(frozen=True, slots=True)
class _Size:
    """The rows of a join to be; ``rank`` puts those without a condition last."""

    rank: int
    kept: float
    base: float


def _ordered(inputs: Sequence[LogicalPlan], parts: Sequence[Expression]) -> LogicalPlan | None:
    classes, conditions = _classes(parts)
    alive = dict(enumerate([_input(plan, classes) for plan in inputs]))
    if sum(part.base for part in alive.values()) < _FEWEST_ROWS:
        return None
    sizes = {(a, b): _size(alive[a], alive[b], conditions) for a, b in itertools.combinations(alive, 2)}
    for number in itertools.count(len(inputs)):
        first, second = min(sizes, key=lambda pair: (sizes[pair].rank, sizes[pair].kept, pair))
        size = sizes[first, second]
        joined, conditions = _join(alive.pop(first), alive.pop(second), size, conditions)
        if not alive:
            return joined.plan
        sizes = {pair: size for pair, size in sizes.items() if first not in pair and second not in pair}
        sizes |= {(other, number): _size(part, joined, conditions) for other, part in alive.items()}
        alive[number] = joined
    return None


def _classes(parts: Sequence[Expression]) -> tuple[dict[int, int], tuple[_Condition, ...]]:
    """The class of each column that equalities tie to others (its least id), and all other conditions."""
    classes: dict[int, int] = {}
    others = []
    for part in parts:
        if not _ties_columns(part):
            equality = isinstance(part, Call) and part.name in ("==", "<=>")
            others.append(_Condition(part, references(part), equality))
            continue
        assert isinstance(part, Call)
        mine, theirs = (classes.get(i, i) for i in (_id(part.args[0]), _id(part.args[1])))
        least = min(mine, theirs)
        classes |= {_id(part.args[0]): least, _id(part.args[1]): least}
        classes = {i: least if c in (mine, theirs) else c for i, c in classes.items()}
    return classes, tuple(others)


def _id(column: Expression) -> int:
    assert isinstance(column, Attribute)
    return column.expr_id


def _ties_columns(part: Expression) -> bool:
    if not isinstance(part, Call) or part.name != "==":
        return False
    left, right = part.args
    return isinstance(left, Attribute) and isinstance(right, Attribute) and left.dtype == right.dtype


def _input(plan: LogicalPlan, classes: dict[int, int]) -> _Part:
    rows = estimated_rows(plan)
    columns: dict[int, Attribute] = {}
    values: dict[int, float] = {}
    ranges: dict[int, _Range] = {}
    for attribute in plan.output:
        key = classes.get(attribute.expr_id)
        if key is None or key in columns:
            continue
        columns[key] = attribute
        known = statistics_of(plan, attribute)
        values[key] = rows.base if known.distinct is None else min(rows.base, known.distinct)
        if known.low is not None and known.high is not None and isinstance(attribute.dtype, IntegralType | DateType):
            ranges[key] = _Range(known.low, known.high)
            values[key] = min(values[key], ranges[key].width)
        values[key] = max(1.0, values[key])
    return _Part(plan, max(1.0, rows.kept), max(1.0, rows.base), output_ids(plan), columns, values, ranges)


def _size(left: _Part, right: _Part, conditions: Iterable[_Condition]) -> _Size:
    """Rows of a join: rows of both sides between their common bounds, one side's values being among the other's."""
    shared = left.columns.keys() & right.columns.keys()
    both = left.ids | right.ids
    ready = [c for c in conditions if c.reads <= both]
    ties = [c for c in ready if c.is_equality]
    rank = 0 if shared or ties else 1 if ready else 2
    ours = math.prod(left.share(k, right) for k in shared)
    theirs = math.prod(right.share(k, left) for k in shared)
    if shared:
        of_left = min(left.base, math.prod(left.values[k] for k in shared)) * ours
        of_right = min(right.base, math.prod(right.values[k] for k in shared)) * theirs
        values = max(1.0, min(of_left, of_right)) / (ours * theirs)
    else:
        values = min(left.base, right.base) if ties else 1.0
    share = math.prod(share_of(c.expression, left.plan) for c in ready if not c.is_equality)
    return _Size(rank, left.kept * right.kept / values * share, left.base * right.base / values)


def _join(
    left: _Part, right: _Part, size: _Size, conditions: tuple[_Condition, ...]
) -> tuple[_Part, tuple[_Condition, ...]]:
    """The two parts joined by what is known of both, and the conditions that are left."""
    if left.kept < right.kept:
        left, right = right, left
    both = left.ids | right.ids
    shared = sorted(left.columns.keys() & right.columns.keys())
    keys = [call_equals(left.columns[k], right.columns[k]) for k in shared]
    ready = [c.expression for c in conditions if c.reads <= both]
    condition = conjunction([*keys, *ready])
    plan = logical.Join(left.plan, right.plan, "cross" if condition is None else "inner", condition)
    values = left.values | right.values
    values |= {k: min(left.values[k], right.values[k]) for k in shared}
    ranges = left.ranges | right.ranges
    ranges |= {k: left.ranges[k].within(right.ranges[k]) for k in left.ranges.keys() & right.ranges.keys()}
    joined = _Part(plan, max(1.0, size.kept), max(1.0, size.base), both, right.columns | left.columns, values, ranges)
    return joined, tuple([c for c in conditions if not c.reads <= both])
