"""How many rows plans give, about: from the sizes of files and rules of thumb for conditions."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjuncts
from voltray.driver.plan.statistics import range_rows, width_of
from voltray.proto.expressions import Call, Expression, to_attribute

_UNKNOWN_ROWS = 1_000_000.0
_EXPANSION = 3.0
# Shares of rows that conditions keep.
_SHARES = {"==": 0.05, "<=>": 0.05, "in": 0.15, "like": 0.1, "isnotnull": 1.0, "isnull": 0.05, "not": 0.9}
_OTHER_SHARE = 0.35
_ROWS_IN_A_GROUP = 4.0


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
            return Rows(rows * share_of(plan.predicate), rows)
        case logical.Filter():
            below = estimated_rows(plan.child)
            # A scan that takes a predicate exactly keeps it beside the filter.
            if isinstance(plan.child, logical.FileScan) and plan.child.predicate is not None:
                return below
            return Rows(below.kept * share_of(plan.condition), below.base)
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


def share_of(condition: Expression | None) -> float:
    """What a condition leaves of the rows."""
    share = 1.0
    for part in conjuncts(condition):
        share *= _SHARES.get(part.name, _OTHER_SHARE) if isinstance(part, Call) else _OTHER_SHARE
    return share


def _file_rows(scan: logical.FileScan) -> float:
    stored: int = sum(f.block_length for f in scan.files)
    fields = scan.schema.fields
    width = sum(width_of(to_attribute(a)) for a in scan.attributes) / max(1, len(scan.attributes)) * max(1, len(fields))
    return _EXPANSION * stored / max(1.0, width)


def _joined_rows(plan: logical.Join) -> Rows:
    """Joins are taken to follow foreign keys: the larger side's rows, less what conditions took from the other."""
    left, right = estimated_rows(plan.left), estimated_rows(plan.right)
    match plan.kind:
        case "left_semi":
            return Rows(left.kept * min(right.share, 0.5), left.base)
        case "inner":
            more, fewer = (left, right) if left.base >= right.base else (right, left)
            return Rows(more.kept * fewer.share, more.base)
        case "cross":
            return Rows(left.kept * right.kept, left.base * right.base)
    return left if plan.kind != "right" else right
