"""How many rows plans give, about: from statistics where there are some, else by sizes of files and rules of thumb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voltray.driver.plan import logical
from voltray.driver.plan.column_statistics import ColumnStatistics, number_of, rows_of_scan, statistics_of
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjuncts
from voltray.driver.plan.statistics import range_rows, width_of
from voltray.proto.expressions import Attribute, Call, Expression, Literal, to_attribute

_UNKNOWN_ROWS = 1_000_000.0
_EXPANSION = 3.0
# Shares of rows that conditions keep.
_SHARES = {"==": 0.05, "<=>": 0.05, "in": 0.15, "like": 0.1, "isnotnull": 1.0, "isnull": 0.05, "not": 0.9}
_OTHER_SHARE = 0.35
_ROWS_IN_A_GROUP = 4.0
_LEAST_SHARE = 1e-6
# What statistics of a column tell of.
_RANGES = ("<", "<=", ">", ">=", "between")
_KNOWN = frozenset((*_RANGES, "==", "in", "isnull"))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a plan, and those that there would be without its conditions."""

    kept: float
    base: float

    @property
    def share(self) -> float:
        """What conditions leave of the rows."""
        return self.kept / self.base if self.base else 1.0


def estimated_rows(plan: LogicalPlan) -> Rows:
    """Estimate a plan's rows."""
    match plan:
        case logical.FileScan():
            rows = _file_rows(plan)
            return Rows(rows * share_of(plan.predicate, plan), rows)
        case logical.Filter():
            below = estimated_rows(plan.child)
            # A scan that takes a predicate exactly keeps it beside the filter.
            if isinstance(plan.child, logical.FileScan) and plan.child.predicate is not None:
                return below
            return Rows(below.kept * share_of(plan.condition, plan), below.base)
        case logical.Aggregate():
            if not plan.groups:
                return Rows(1.0, 1.0)
            below = estimated_rows(plan.child)
            return Rows(below.kept / _ROWS_IN_A_GROUP, below.base / _ROWS_IN_A_GROUP)
        case logical.Join():
            return _joined_rows(plan)
        case logical.Limit():
            return estimated_rows(plan.child)
        case logical.Union():
            parts = [estimated_rows(child) for child in plan.children]
            return Rows(sum(p.kept for p in parts), sum(p.base for p in parts))
        case logical.LocalData():
            count = float(getattr(plan.data, "num_rows", None) or plan.num_rows or 1)
            return Rows(count, count)
        case logical.Range():
            return Rows(float(range_rows(plan)), float(range_rows(plan)))
    children = logical.children_of(plan)
    return estimated_rows(children[0]) if len(children) == 1 else Rows(_UNKNOWN_ROWS, _UNKNOWN_ROWS)


def share_of(condition: Expression | None, plan: LogicalPlan) -> float:
    """What a condition leaves of a plan's rows."""
    share = 1.0
    ranges: dict[int, tuple[ColumnStatistics, float, float]] = {}
    for part in conjuncts(condition):
        name = part.name if isinstance(part, Call) else ""
        column, values = _compared(part)
        known = statistics_of(plan, column) if column is not None and name in _KNOWN else ColumnStatistics()
        span = _range_of(name, known, values)
        if column is not None and span is not None:
            _, low, high = ranges.get(column.expr_id, (known, *span))
            ranges[column.expr_id] = known, max(low, span[0]), min(high, span[1])
        elif known.distinct and name in ("==", "in"):
            share *= min(1.0, len(set(values)) / known.distinct)
        elif known.null_share is not None and name == "isnull":
            share *= known.null_share
        else:
            share *= _SHARES.get(name, _OTHER_SHARE)
    for known, low, high in ranges.values():
        assert known.low is not None and known.high is not None
        share *= max(0.0, high - low) / (known.high - known.low)
    return max(_LEAST_SHARE, share)


def _compared(part: Expression) -> tuple[Attribute | None, tuple[Any, ...]]:
    """The column and the constants of a comparison of the one with the others."""
    if not isinstance(part, Call) or not part.args or not isinstance(part.args[0], Attribute):
        return None, ()
    values = tuple([a.value for a in part.args[1:] if isinstance(a, Literal)])
    return (part.args[0], values) if len(values) == len(part.args) - 1 else (None, ())


def _range_of(name: str, known: ColumnStatistics, values: tuple[Any, ...]) -> tuple[float, float] | None:
    """What part of a column's range a comparison keeps, where the range is known."""
    ends = [number_of(value) for value in values]
    if name not in _RANGES or known.low is None or known.high is None or not known.low < known.high or None in ends:
        return None
    low = known.low if name in ("<", "<=") else max(ends[0] or 0.0, known.low)
    high = known.high if name in (">", ">=") else min(ends[-1] or 0.0, known.high)
    return low, high


def _file_rows(scan: logical.FileScan) -> float:
    known = rows_of_scan(scan)
    if known is not None:
        return known
    stored: int = sum(f.block_length for f in scan.files)
    fields = scan.schema.fields
    width = sum(width_of(to_attribute(a)) for a in scan.attributes) / max(1, len(scan.attributes)) * max(1, len(fields))
    return _EXPANSION * stored / max(1.0, width)


def _joined_rows(plan: logical.Join) -> Rows:
    """Joins whose keys' different values are not known are taken to follow foreign keys: the larger side's rows, less
    what conditions took from the other."""
    left, right = estimated_rows(plan.left), estimated_rows(plan.right)
    match plan.kind:
        case "left_semi":
            return Rows(left.kept * min(right.share, 0.5), left.base)
        case "inner":
            matches = _matches(plan)
            if matches is not None:
                return Rows(left.kept * right.kept / matches, left.base * right.base / matches)
            more, fewer = (left, right) if left.base >= right.base else (right, left)
            return Rows(more.kept * fewer.share, more.base)
        case "cross":
            return Rows(left.kept * right.kept, left.base * right.base)
    return left if plan.kind != "right" else right


def _matches(plan: logical.Join) -> float | None:
    """Of how many pairs of rows one is joined: the different values of the key that has most, where they are known."""
    found: list[float] = []
    for part in conjuncts(plan.condition):
        if isinstance(part, Call) and part.name == "==" and all(isinstance(a, Attribute) for a in part.args):
            sides = [_distinct(plan, a) for a in part.args if isinstance(a, Attribute)]
            if len(sides) == 2 and all(sides):
                found.append(max(d for d in sides if d is not None))
    return max(found, default=None)


def _distinct(plan: logical.Join, key: Attribute) -> float | None:
    side = plan.left if any(a.expr_id == key.expr_id for a in plan.left.output) else plan.right
    return statistics_of(side, key).distinct
