"""Where rows of a plan can be left out early whose value of one column is known to meet nothing above.

A filter of such a column moves down the same way as any condition on it, and across equalities of joins, but not
into what several places share or observe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjuncts, is_deterministic
from voltray.proto.expressions import Alias, Attribute, Call, Expression, WindowCall, references

Place = Callable[[LogicalPlan, Attribute], LogicalPlan]
"""What becomes of a leaf that gives the column."""

_FROM_LEFT = frozenset(("inner", "cross", "left", "left_semi", "left_anti", "existence"))
_FROM_RIGHT = frozenset(("inner", "cross", "right"))


def placed_below(plan: LogicalPlan, column: Attribute, place: Place) -> LogicalPlan:
    """The plan with ``place`` applied to each leaf whose rows give the column; itself where there is none."""
    if not any(a.expr_id == column.expr_id for a in plan.output):
        return plan
    if isinstance(plan, logical.FileScan | logical.CachedData):
        return place(plan, column) if getattr(plan, "limit", None) is None else plan
    rule = _RULES.get(type(plan))
    return plan if rule is None else rule(plan, column, place)


def leaves_below(plan: LogicalPlan, column: Attribute) -> tuple[LogicalPlan, ...]:
    """The leaves at which a filter of the column would end up."""
    found: list[LogicalPlan] = []

    def note(leaf: LogicalPlan, _: Attribute) -> LogicalPlan:
        found.append(leaf)
        return leaf

    placed_below(plan, column, note)
    return tuple(found)


def _project(node: logical.Project, column: Attribute, place: Place) -> LogicalPlan:
    if not all(is_deterministic(item) for item in node.items):
        return node
    (item,) = [i for i in node.items if i.expr_id == column.expr_id][:1]
    source = item.child if isinstance(item, Alias) else item
    return _over_child(node, source, place) if isinstance(source, Attribute) else node


def _filter(node: logical.Filter, column: Attribute, place: Place) -> LogicalPlan:
    return _over_child(node, column, place) if is_deterministic(node.condition) else node


def _over_child(
    node: logical.Project | logical.SameOutput | logical.Aggregate | logical.Window | logical.Generate,
    column: Attribute,
    place: Place,
) -> LogicalPlan:
    child = placed_below(node.child, column, place)
    return node if child is node.child else replace(node, child=child)


def _aggregate(node: logical.Aggregate, column: Attribute, place: Place) -> LogicalPlan:
    return _over_child(node, column, place) if any(g.expr_id == column.expr_id for g in node.groups) else node


def _window(node: logical.Window, column: Attribute, place: Place) -> LogicalPlan:
    """Whole partitions of every window may go."""
    calls = [item.child for item in node.items]
    keys = [c.partition_by if isinstance(c, WindowCall) else () for c in calls]
    whole = all(any(isinstance(k, Attribute) and k.expr_id == column.expr_id for k in of_one) for of_one in keys)
    return _over_child(node, column, place) if whole else node


def _deduplicate(node: logical.Deduplicate, column: Attribute, place: Place) -> LogicalPlan:
    return _over_child(node, column, place) if any(k.expr_id == column.expr_id for k in node.keys) else node


def _union(node: logical.Union, column: Attribute, place: Place) -> LogicalPlan:
    (position,) = [i for i, a in enumerate(node.attributes) if a.expr_id == column.expr_id][:1]
    children = tuple([placed_below(c, c.output[position], place) for c in node.children])
    same = all(a is b for a, b in zip(children, node.children, strict=True))
    return node if same else replace(node, children=children)


def _join(node: logical.Join, column: Attribute, place: Place) -> LogicalPlan:
    if node.lateral or (node.condition is not None and not is_deterministic(node.condition)):
        return node
    on_left = any(a.expr_id == column.expr_id for a in node.left.output)
    if node.kind not in (_FROM_LEFT if on_left else _FROM_RIGHT):
        return node
    ours, theirs = (node.left, node.right) if on_left else (node.right, node.left)
    ours = placed_below(ours, column, place)
    # Rows of the other side that meet such rows alone are not needed either. NOT IN asks for all of them.
    for twin in () if node.null_aware else _equal_columns(node.condition, column):
        theirs = placed_below(theirs, twin, place)
    left, right = (ours, theirs) if on_left else (theirs, ours)
    return node if left is node.left and right is node.right else replace(node, left=left, right=right)


def _equal_columns(condition: Expression | None, column: Attribute) -> list[Attribute]:
    """Columns of the same type that a condition says to be equal to one."""
    found = []
    for part in conjuncts(condition):
        if not isinstance(part, Call) or part.name != "==" or column.expr_id not in references(part):
            continue
        pair = [a for a in part.args if isinstance(a, Attribute)]
        others = [a for a in pair if a.expr_id != column.expr_id and a.dtype == column.dtype]
        if len(pair) == 2 and len(others) == 1:
            found.append(others[0])
    return found


_RULES: dict[type[LogicalPlan], Callable[..., LogicalPlan]] = {
    logical.Project: _project,
    logical.Filter: _filter,
    logical.BloomFilter: _over_child,
    logical.Join: _join,
    logical.Aggregate: _aggregate,
    logical.Window: _window,
    logical.Union: _union,
    logical.Sort: _over_child,
    logical.Repartition: _over_child,
    logical.Deduplicate: _deduplicate,
}
