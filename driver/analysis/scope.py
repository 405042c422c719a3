"""What names mean above a resolved relation: its columns, hidden ones, and the DataFrames it was made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import Attribute, Expression

NameParts = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a DataFrame stands in a relation's tree. ``gates`` are ids that its branches put out where they met
    another branch with the same DataFrame: a column that passes them all competes with that other branch's."""

    height: int
    scope: Scope
    gates: tuple[frozenset[int], ...] = ()


class PlanIndex:
    """Scopes of the DataFrames (plan ids) that a relation was made of, with their heights in its tree.

    Each relation takes over its child's index and adds to it (a child has one parent, so nobody else sees
    the change); the smaller index of a join goes into the larger one.
    """

    __slots__ = ("entries", "height")

    def __init__(self) -> None:
        self.entries: dict[int, list[Origin]] = {}
        self.height = 0

    def raised(self, plan_id: int | None, scope: Scope) -> PlanIndex:
        """The index one relation further up."""
        self.height += 1
        if plan_id is not None:
            self.entries.setdefault(plan_id, []).append(Origin(self.height, scope))
        return self

    def copy(self) -> PlanIndex:
        """An index of its own with the same entries."""
        copied = PlanIndex()
        copied.height = self.height
        copied.entries = {plan_id: list(found) for plan_id, found in self.entries.items()}
        return copied


def merged_plans(left: Scope, right: Scope) -> PlanIndex:
    """The index of a relation over two inputs, which lose theirs."""
    bigger = len(left.plans.entries) >= len(right.plans.entries)
    larger, smaller = (left, right) if bigger else (right, left)
    index = larger.plans
    shift = max(0, smaller.plans.height - index.height)
    if shift:
        index.entries = {
            plan_id: [Origin(o.height + shift, o.scope, o.gates) for o in found]
            for plan_id, found in index.entries.items()
        }
        index.height += shift
    shift = index.height - smaller.plans.height
    for plan_id, found in smaller.plans.entries.items():
        if plan_id not in index.entries:
            index.entries[plan_id] = [Origin(o.height + shift, o.scope, o.gates) for o in found]
            continue
        met = [Origin(o.height, o.scope, (*o.gates, larger.ids)) for o in index.entries[plan_id]]
        met += [Origin(o.height + shift, o.scope, (*o.gates, smaller.ids)) for o in found]
        index.entries[plan_id] = met
    return index


@dataclass(frozen=True, eq=False)
class AggregateInfo:
    """The grouping below a select list, for HAVING and ORDER BY: see ``aggregation.py``.

    ``is_direct``: nothing else stands between; else ORDER BY may name columns that are grouped by, and no aggregates.
    """

    frame: object
    is_direct: bool = True


@dataclass(frozen=True, eq=False)
class Scope:
    """``attributes`` are the output; ``hidden`` may be named too (the other side's join keys, ``_metadata``).

    ``inner`` is what the relation was selected from: a sort or filter above may still use its columns.
    """

    attributes: tuple[Attribute, ...]
    hidden: tuple[Attribute, ...] = ()
    qualified_only: frozenset[int] = frozenset()
    """Ids of hidden columns that answer to qualified names alone."""
    plans: PlanIndex = field(default_factory=PlanIndex)
    inner: Scope | None = None
    aggregate: AggregateInfo | None = None

    @cached_property
    def ids(self) -> frozenset[int]:
        """Ids of the output."""
        return frozenset([a.expr_id for a in self.attributes])

    @cached_property
    def by_id(self) -> dict[int, tuple[Attribute, ...]]:
        """Output and hidden columns by id."""
        return {a.expr_id: (a,) for a in (*self.hidden, *self.attributes)}

    @cached_property
    def _folded(self) -> dict[str, list[Attribute]]:
        return _index(self.attributes)

    @cached_property
    def _folded_hidden(self) -> dict[str, list[Attribute]]:
        return _index(self.hidden)

    @cached_property
    def _qualifiers(self) -> frozenset[str]:
        names = [a.qualifier[-1].lower() for a in self.attributes if a.qualifier]
        return frozenset(names + [a.qualifier[-1].lower() for a in self.hidden if a.qualifier])

    def find(self, parts: NameParts, case_sensitive: bool) -> tuple[list[Attribute], NameParts]:
        """The columns that a name may mean, and the parts of the name behind them (nested fields)."""
        found = self._among(self._folded, parts, case_sensitive, frozenset())
        if found[0] or not self.hidden:
            return found
        return self._among(self._folded_hidden, parts, case_sensitive, self.qualified_only)

    def _among(
        self, index: dict[str, list[Attribute]], parts: NameParts, case_sensitive: bool, qualified: frozenset[int]
    ) -> tuple[list[Attribute], NameParts]:
        for length in range(min(4, len(parts)), 1, -1):
            prefix, name = parts[: length - 1], parts[length - 1]
            if prefix[-1].lower() not in self._qualifiers:
                continue
            found = [
                a
                for a in _named(index, name, case_sensitive)
                if _qualified_by(a.qualifier, prefix, case_sensitive)
            ]
            if found:
                return found, parts[length:]
        found = [a for a in _named(index, parts[0], case_sensitive) if a.expr_id not in qualified]
        return found, parts[1:]

    def of_qualifier(self, target: NameParts, case_sensitive: bool) -> list[Attribute]:
        """Columns under ``target.*``."""
        keys = [a for a in self.hidden if a.expr_id in self.qualified_only and a.expr_id not in self.ids]
        found = [a for a in (*keys, *self.attributes) if _qualified_by(a.qualifier, target, case_sensitive)]
        if found:
            return found
        return [a for a in self.hidden if _qualified_by(a.qualifier, target, case_sensitive)]


def _index(attributes: Iterable[Attribute]) -> dict[str, list[Attribute]]:
    index: dict[str, list[Attribute]] = {}
    seen: set[tuple[int, NameParts]] = set()
    for attribute in attributes:
        key = (attribute.expr_id, attribute.qualifier)
        if key in seen:
            continue
        seen.add(key)
        index.setdefault(attribute.name.lower(), []).append(attribute)
    return index


def _named(index: dict[str, list[Attribute]], name: str, case_sensitive: bool) -> list[Attribute]:
    found = index.get(name.lower(), [])
    return [a for a in found if a.name == name] if case_sensitive else found


def _qualified_by(qualifier: NameParts, prefix: NameParts, case_sensitive: bool) -> bool:
    if not prefix or len(prefix) > len(qualifier):
        return False
    tail = qualifier[len(qualifier) - len(prefix) :]
    if case_sensitive:
        return tail == prefix
    return [t.lower() for t in tail] == [p.lower() for p in prefix]


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """A relation's resolved plan with the scope above it."""

    plan: LogicalPlan
    scope: Scope


def scope_over(
    attributes: tuple[Attribute, ...],
    child: Scope,
    *,
    hidden: tuple[Attribute, ...] | None = None,
    inner: Scope | None = None,
    aggregate: AggregateInfo | None = None,
) -> Scope:
    """The scope of a relation over one input, whose hidden columns stay reachable unless others are given."""
    return Scope(
        attributes,
        child.hidden if hidden is None else hidden,
        child.qualified_only,
        child.plans,
        inner,
        aggregate,
    )


def same_scope(child: Resolved, plan: LogicalPlan) -> Resolved:
    """A relation that passes its input's columns on."""
    scope = child.scope
    return Resolved(plan, Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans, scope.inner,
                                scope.aggregate))  # fmt: skip


def leaf_scope(plan: LogicalPlan, hidden: tuple[Attribute, ...] = ()) -> Resolved:
    """A relation without inputs."""
    return Resolved(plan, Scope(plan.output, hidden))


def ids_of(expressions: Iterable[Expression]) -> set[int]:
    """Ids of attributes that expressions read."""
    from voltray.proto.expressions import references

    found: set[int] = set()
    for expression in expressions:
        found |= references(expression)
    return found
