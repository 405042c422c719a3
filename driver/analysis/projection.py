"""From a resolved select list to plan nodes: generators, windows, and aliases that build on each other."""

from __future__ import annotations

from collections.abc import Sequence

from voltray.driver.analysis.canonical import Keys
from voltray.driver.analysis.exposing import exposed
from voltray.driver.analysis.select_list import Generated, Item, Named
from voltray.driver.plan import logical
from voltray.driver.plan.logical import Generate, LogicalPlan, Project, Window
from voltray.proto.expressions import (
    Alias,
    Attribute,
    ExistsSubquery,
    Expression,
    InSubquery,
    OuterReference,
    ScalarSubquery,
    SortOrder,
    WindowCall,
    map_children,
    new_id,
    references,
    to_attribute,
    walk,
)  # fmt: skip


def project(
    plan: LogicalPlan, available: tuple[Attribute, ...], items: Sequence[Item], lateral: bool = False
) -> tuple[LogicalPlan, tuple[Attribute, ...]]:
    """The plan that puts out the items over columns that ``plan`` has, and its output."""
    plan, available, named = _with_generators(plan, available, items)
    plan, available = exposed_for(plan, available, named, lateral)
    if lateral:
        plan, available, named = _stepwise(plan, available, named)
    plan, rewritten = with_windows(plan, available, named)
    result = Project(plan, tuple(rewritten))
    return result, tuple([to_attribute(i) for i in rewritten])


def exposed_for(
    plan: LogicalPlan, available: tuple[Attribute, ...], named: Sequence[Expression], lateral: bool = False
) -> tuple[LogicalPlan, tuple[Attribute, ...]]:
    """The plan with hidden columns that the expressions use brought up."""
    present = {a.expr_id for a in available}
    own = {n.expr_id for n in named if isinstance(n, Alias)} if lateral else set()
    missing: set[int] = set()
    for item in named:
        if isinstance(item, Attribute):
            if item.expr_id not in present:
                missing.add(item.expr_id)
        else:
            missing |= needed(item) - present - own
    if not missing:
        return plan, available
    raised = exposed(plan, frozenset(missing))
    return raised, raised.output


def needed(expression: Expression) -> set[int]:
    """Ids of the input's columns that an expression reads, its correlated subqueries included."""
    found = set(references(expression))
    for node in walk(expression):
        if isinstance(node, (ScalarSubquery, ExistsSubquery, InSubquery)):
            found |= outer_references(node.plan)
    return found


def outer_references(plan: LogicalPlan) -> set[int]:
    """Ids of OuterReferences in a subquery's plan that the plan itself does not provide."""
    outer: set[int] = set()
    made: set[int] = set()
    for node in logical.walk(plan):
        made.update(a.expr_id for a in node.output)
        for expression in logical.expressions_of(node):
            for part in walk(expression):
                if isinstance(part, OuterReference):
                    outer.add(part.attribute.expr_id)
                elif isinstance(part, (ScalarSubquery, ExistsSubquery, InSubquery)):
                    outer |= outer_references(part.plan)
    return outer - made


def _with_generators(
    plan: LogicalPlan, available: tuple[Attribute, ...], items: Sequence[Item]
) -> tuple[LogicalPlan, tuple[Attribute, ...], list[Named]]:
    generators = [i for i in items if isinstance(i, Generated)]
    if not generators:
        return plan, available, [i for i in items if not isinstance(i, Generated)]
    for made in generators:
        plan, available = exposed_for(plan, available, [made.generator])
        plan = Generate(plan, made.generator, made.attributes, made.outer)
        available = available + made.attributes
    named: list[Named] = []
    for item in items:
        named.extend(item.attributes if isinstance(item, Generated) else (item,))
    return plan, available, named


def _stepwise(
    plan: LogicalPlan, available: tuple[Attribute, ...], named: list[Named]
) -> tuple[LogicalPlan, tuple[Attribute, ...], list[Named]]:
    """Projections below for the aliases that others build on; the last level is left to the caller."""
    levels = alias_levels(named)
    last = max(levels, default=0)
    current = list(named)
    for level in range(last):
        chosen = [i for i, found in enumerate(levels) if found == level and isinstance(current[i], Alias)]
        plan, rewritten = with_windows(plan, available, [current[i] for i in chosen])
        plan = Project(plan, available + tuple(rewritten))
        made = tuple([to_attribute(r) for r in rewritten])
        available = available + made
        for i, attribute in zip(chosen, made, strict=True):
            current[i] = attribute
    return plan, available, current


def alias_levels(named: Sequence[Named]) -> list[int]:
    """For each item how many projections must stand below it for the aliases that it uses."""
    position = {n.expr_id: i for i, n in enumerate(named) if isinstance(n, Alias)}
    levels: list[int] = []
    for index, item in enumerate(named):
        used = references(item) if isinstance(item, Alias) else frozenset()
        below = [levels[position[r]] + 1 for r in used if r in position and position[r] < index]
        levels.append(max(below, default=0))
    return levels


# ---- windows -------------------------------------------------------------------------------------------
def has_window(expression: Expression) -> bool:
    """Whether a window function stands in an expression."""
    return any(isinstance(node, WindowCall) for node in walk(expression))


def with_windows(
    plan: LogicalPlan, available: tuple[Attribute, ...], named: Sequence[Named]
) -> tuple[LogicalPlan, list[Named]]:
    """Window functions taken out of the items into Window nodes below."""
    if not any(not isinstance(n, Attribute) and has_window(n) for n in named):
        return plan, list(named)
    return _Windows(plan, available).extract(named)


class _Windows:
    """Collects the windows of one select list."""

    def __init__(self, plan: LogicalPlan, available: tuple[Attribute, ...]) -> None:
        self.plan = plan
        self.available = available
        self.keys = Keys()
        self.computed: dict[int, Alias] = {}
        self.windows: dict[int, tuple[Alias, tuple[int, ...]]] = {}

    def extract(self, named: Sequence[Named]) -> tuple[LogicalPlan, list[Named]]:
        rewritten = [self._rewritten(n) for n in named]
        plan = self.plan
        if self.computed:
            plan = Project(plan, self.available + tuple(self.computed.values()))
        groups: dict[tuple[int, ...], list[Alias]] = {}
        for alias, group in self.windows.values():
            groups.setdefault(group, []).append(alias)
        for aliases in groups.values():
            plan = Window(plan, tuple(aliases))
        return plan, rewritten  # type: ignore[return-value]

    def _rewritten(self, expression: Expression) -> Expression:
        if isinstance(expression, WindowCall):
            return self._window(expression)
        return map_children(expression, self._rewritten)

    def _window(self, call: WindowCall) -> Attribute:
        function = map_children(call.function, self._rewritten)
        partitions = tuple([self._as_attribute(p) for p in call.partition_by])
        orders = tuple([SortOrder(self._as_attribute(o.child), o.ascending, o.nulls_first) for o in call.order_by])
        window = WindowCall(function, partitions, orders, call.frame, call.ignore_nulls)
        key = self.keys.of(window)
        if key not in self.windows:
            group = (*[self.keys.of(p) for p in partitions], -1, *[self.keys.of(o) for o in orders])
            self.windows[key] = (Alias(window, "_w", new_id()), group)
        return to_attribute(self.windows[key][0])

    def _as_attribute(self, expression: Expression) -> Attribute:
        expression = self._rewritten(expression)
        if isinstance(expression, Attribute):
            return expression
        key = self.keys.of(expression)
        if key not in self.computed:
            self.computed[key] = Alias(expression, "_k", new_id())
        return to_attribute(self.computed[key])
