"""Correlated predicates taken out of a subquery, where that leaves a plan without outer references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from voltray.driver.optimizer.traversal import outer_attributes
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjunction, conjuncts, outer_references, substitute
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    Literal,
    OuterReference,
    new_id,
    references,
    to_attribute,
)  # fmt: skip
from voltray.proto.types import LONG, ArrayType

_ZERO_WHEN_EMPTY = frozenset(("count", "count_if", "regr_count", "approx_count_distinct"))


@dataclass(frozen=True, slots=True)
class PulledUp:
    """A plan without outer references and the predicates that were in it.

    ``defaults``: what output attributes are where no row matches, for a subquery that always has a row.
    """

    plan: LogicalPlan
    predicates: tuple[Expression, ...] = ()
    defaults: Mapping[int, Expression] = field(default_factory=dict)


def pull_up(plan: LogicalPlan) -> PulledUp | None:
    """Take correlated predicates out of a plan; None where another way is needed."""
    if not outer_attributes(plan):
        return PulledUp(plan)
    match plan:
        case logical.Filter():
            return _filter(plan)
        case logical.Project():
            return _project(plan)
        case logical.Aggregate():
            return _aggregate(plan)
        case logical.Deduplicate():
            return _deduplicate(plan)
        case logical.Join():
            return _join(plan)
        case logical.Sort():
            inner = pull_up(plan.child)
            return None if inner is None or _any_outer(o.child for o in plan.orders) else inner
    return None


def _any_outer(expressions: Iterable[Expression]) -> bool:
    return any(outer_references(e) for e in expressions)


def _filter(plan: logical.Filter) -> PulledUp | None:
    inner = pull_up(plan.child)
    if inner is None or inner.defaults:
        return None
    parts = conjuncts(plan.condition)
    correlated = tuple([p for p in parts if outer_references(p)])
    kept = conjunction([p for p in parts if not outer_references(p)])
    child = inner.plan if kept is None else logical.Filter(inner.plan, kept)
    return PulledUp(child, inner.predicates + correlated)


def _project(plan: logical.Project) -> PulledUp | None:
    inner = pull_up(plan.child)
    if inner is None or _any_outer(plan.items):
        return None
    items = with_columns_of(plan.items, inner)
    defaults = {
        item.expr_id: substitute(item.child if isinstance(item, Alias) else item, inner.defaults)
        for item in plan.items
        if inner.defaults
    }
    return PulledUp(logical.Project(inner.plan, items), inner.predicates, defaults)


def with_columns_of(items: tuple[Alias | Attribute, ...], inner: PulledUp) -> tuple[Alias | Attribute, ...]:
    """The items, and what the pulled-up predicates read."""
    present = {i.expr_id for i in items}
    needed = frozenset().union(*[references(p) for p in inner.predicates]) - present
    return (*items, *[a for a in inner.plan.output if a.expr_id in needed])


def _equality(predicate: Expression) -> tuple[Expression, Expression] | None:
    """(inner side, outer side) of an equality whose sides read one plan each."""
    if not isinstance(predicate, Call) or predicate.name not in ("==", "<=>"):
        return None
    first, second = predicate.args
    for inner, outer in ((first, second), (second, first)):
        if not outer_references(inner) and not references(outer):
            return inner, outer
    return None


def _keyed(inner: PulledUp) -> tuple[LogicalPlan, tuple[Attribute, ...], tuple[Expression, ...]] | None:
    """The plan with an attribute for the inner side of each predicate, all of which must be equalities."""
    keys: list[Attribute] = []
    added: list[Alias] = []
    predicates: list[Expression] = []
    for predicate in inner.predicates:
        pair = _equality(predicate)
        if pair is None:
            return None
        if isinstance(pair[0], Attribute):
            key = pair[0]
        else:
            alias = Alias(pair[0], "key", new_id())
            added.append(alias)
            key = to_attribute(alias)
        keys.append(key)
        assert isinstance(predicate, Call)
        predicates.append(replace(predicate, args=(key, pair[1])))
    plan = logical.Project(inner.plan, (*inner.plan.output, *added)) if added else inner.plan
    return plan, tuple(keys), tuple(predicates)


def _aggregate(plan: logical.Aggregate) -> PulledUp | None:
    inner = pull_up(plan.child)
    if inner is None or inner.defaults or _any_outer((*plan.aggregates, *plan.groups)):
        return None
    keyed = _keyed(inner)
    if keyed is None:
        return None
    child, keys, predicates = keyed
    groups = {a.expr_id: a for a in (*plan.groups, *keys)}
    defaults = {} if plan.groups else {a.expr_id: value_when_empty(a) for a in plan.aggregates}
    return PulledUp(logical.Aggregate(child, tuple(groups.values()), plan.aggregates), predicates, defaults)


def value_when_empty(alias: Alias) -> Expression:
    """What an aggregate gives for no rows."""
    call = alias.child
    assert isinstance(call, AggregateCall)
    if call.name in _ZERO_WHEN_EMPTY:
        return Literal(0, LONG)
    if isinstance(call.dtype, ArrayType) and not call.nullable:
        return Literal([], call.dtype)
    return Literal(None, call.dtype)


def _deduplicate(plan: logical.Deduplicate) -> PulledUp | None:
    inner = pull_up(plan.child)
    if inner is None or inner.defaults:
        return None
    keyed = _keyed(inner)
    if keyed is None:
        return None
    child, keys, predicates = keyed
    all_keys = {a.expr_id: a for a in (*plan.keys, *keys)}
    return PulledUp(logical.Deduplicate(child, tuple(all_keys.values())), predicates)


def _join(plan: logical.Join) -> PulledUp | None:
    if plan.lateral or plan.null_aware:
        return None
    left, right = pull_up(plan.left), pull_up(plan.right)
    if left is None or right is None or left.defaults or right.defaults:
        return None
    parts = conjuncts(plan.condition)
    correlated = tuple([p for p in parts if outer_references(p)])
    is_inner = plan.kind in ("inner", "cross")
    if not is_inner and (right.predicates or correlated or plan.kind in ("right", "full")):
        return None
    kept = conjunction([p for p in parts if not outer_references(p)])
    joined = replace(plan, left=left.plan, right=right.plan, condition=kept)
    return PulledUp(joined, left.predicates + right.predicates + correlated)


__all__ = ["OuterReference", "PulledUp", "pull_up", "value_when_empty", "with_columns_of"]
