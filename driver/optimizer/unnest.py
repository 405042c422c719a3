"""Any correlated plan made independent: it is computed at once for every value of the columns it reads outside.

These values (the *domain*) are joined in where the plan has no outer references left, and kept through every
operator above; the caller then joins on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from voltray.driver.optimizer.pull_up import value_when_empty
from voltray.driver.optimizer.traversal import map_expressions, outer_attributes
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import (
    call_and,
    call_is_null,
    call_null_safe_equals,
    conjunction,
    conjuncts,
)  # fmt: skip
from voltray.proto.expressions import (
    Alias,
    Attribute,
    Call,
    Expression,
    FrameKind,
    Literal,
    OuterReference,
    SortOrder,
    WindowCall,
    WindowFrame,
    map_children,
    new_id,
    nullable_of,
    to_attribute,
)  # fmt: skip
from voltray.proto.failures import spark_error
from voltray.proto.types import BOOLEAN, INTEGER

Keys = Mapping[int, Attribute]
"""Outer attribute id -> the plan's own column with its value."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the values come from: the enclosing plan and its columns that are read."""

    outer: LogicalPlan
    attributes: tuple[Attribute, ...]

    def distinct(self) -> tuple[LogicalPlan, Keys]:
        """The values, each combination once, under fresh ids."""
        items = tuple([Alias(a, a.name, new_id()) for a in self.attributes])
        plan = logical.Project(self.outer, items)
        keys = tuple([to_attribute(i) for i in items])
        by_outer = {a.expr_id: k for a, k in zip(self.attributes, keys, strict=True)}
        return logical.Deduplicate(plan, keys), by_outer


@dataclass(frozen=True, slots=True)
class Unnested:
    """A plan without references to the domain's attributes outside, and its columns with their values."""

    plan: LogicalPlan
    keys: Keys


def unnest(plan: LogicalPlan, domain: Domain) -> Unnested:
    """Make a plan independent of an enclosing one."""
    wanted = {a.expr_id for a in domain.attributes}
    if not wanted.intersection(outer_attributes(plan)):
        values, keys = domain.distinct()
        return Unnested(logical.Join(values, plan, "cross"), keys)
    rule = _RULES.get(type(plan))
    if rule is None:
        raise spark_error(
            "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.ACCESSING_OUTER_QUERY_COLUMN_IS_NOT_ALLOWED",
            treeNode=type(plan).__name__,
        )
    return rule(plan, domain)


def inside(expression: Expression, keys: Keys) -> Expression:
    """The expression reading the plan's own columns instead of the domain's attributes outside."""
    if isinstance(expression, OuterReference):
        return keys.get(expression.attribute.expr_id, expression)
    return map_children(expression, lambda child: inside(child, keys))


def same_keys(left: Keys, right: Keys) -> Expression | None:
    """The condition that two unnested plans speak of the same outer row."""
    return conjunction([call_null_safe_equals(left[i], right[i]) for i in left])


def _unary(plan: LogicalPlan, domain: Domain) -> Unnested:
    inner = unnest(plan.child, domain)  # type: ignore[attr-defined]
    rewritten = map_expressions(plan, lambda e: inside(e, inner.keys))
    return Unnested(replace(rewritten, child=inner.plan), inner.keys)  # type: ignore[call-arg]


def _project(plan: logical.Project, domain: Domain) -> Unnested:
    inner = unnest(plan.child, domain)
    items = [_item(i, inner.keys) for i in plan.items]
    return Unnested(logical.Project(inner.plan, (*items, *inner.keys.values())), inner.keys)


def _item(item: Alias | Attribute, keys: Keys) -> Alias | Attribute:
    return replace(item, child=inside(item.child, keys)) if isinstance(item, Alias) else item


def _aggregate(plan: logical.Aggregate, domain: Domain) -> Unnested:
    inner = unnest(plan.child, domain)
    aggregates = tuple([_item(a, inner.keys) for a in plan.aggregates])
    groups = (*plan.groups, *inner.keys.values())
    grouped = logical.Aggregate(inner.plan, groups, aggregates)  # type: ignore[arg-type]
    if plan.groups:
        return Unnested(grouped, inner.keys)
    return _with_empty_groups(plan, grouped, inner.keys, domain)


def _with_empty_groups(plan: logical.Aggregate, grouped: LogicalPlan, keys: Keys, domain: Domain) -> Unnested:
    """A global aggregate has a row for no input too: also for values of the domain that met no rows."""
    values, outer_keys = domain.distinct()
    marker = Alias(Literal(True, BOOLEAN), "matched", new_id())
    fresh = [Alias(to_attribute(a), a.name, new_id()) for a in plan.aggregates]
    marked = logical.Project(grouped, (*fresh, *keys.values(), marker))
    joined = logical.Join(values, marked, "left", same_keys(outer_keys, keys))
    missing = call_is_null(replace(to_attribute(marker), nullable=True))
    items = []
    for alias, copy in zip(plan.aggregates, fresh, strict=True):
        value = replace(to_attribute(copy), nullable=True)
        default = value_when_empty(alias)
        chosen = Call("if", (missing, default, value), value.dtype, nullable_of(alias))
        items.append(Alias(chosen, alias.name, alias.expr_id))
    return Unnested(logical.Project(joined, (*items, *outer_keys.values())), outer_keys)


def _deduplicate(plan: logical.Deduplicate, domain: Domain) -> Unnested:
    inner = unnest(plan.child, domain)
    return Unnested(logical.Deduplicate(inner.plan, (*plan.keys, *inner.keys.values())), inner.keys)


def _window(plan: logical.Window, domain: Domain) -> Unnested:
    inner = unnest(plan.child, domain)
    keys = tuple(inner.keys.values())
    items = []
    for item in plan.items:
        call = inside(item.child, inner.keys)
        assert isinstance(call, WindowCall)
        items.append(replace(item, child=replace(call, partition_by=(*call.partition_by, *keys))))
    return Unnested(logical.Window(inner.plan, tuple(items)), inner.keys)


def _limit(plan: logical.Limit, domain: Domain) -> Unnested:
    """The first rows of each outer row: by row number."""
    sort = plan.child if isinstance(plan.child, logical.Sort) else None
    inner = unnest(plan.child.child if isinstance(plan.child, logical.Sort) else plan.child, domain)
    keys = tuple(inner.keys.values())
    orders = tuple([replace(o, child=inside(o.child, inner.keys)) for o in sort.orders]) if sort else ()
    child, order_keys = _ordered_columns(inner.plan, orders or ())
    frame = WindowFrame(FrameKind.ROWS, None, 0)
    number = Alias(WindowCall(Call("row_number", (), INTEGER, False), keys, order_keys, frame), "row_number", new_id())
    numbered = logical.Window(child, (number,))
    column = to_attribute(number)
    condition: Expression = Call(">", (column, Literal(plan.offset, INTEGER)), BOOLEAN, False)
    if plan.limit is not None:
        last = Literal(plan.limit + plan.offset, INTEGER)
        condition = call_and(condition, Call("<=", (column, last), BOOLEAN, False))
    kept = logical.Project(logical.Filter(numbered, condition), inner.plan.output)
    return Unnested(kept, inner.keys)


def _ordered_columns(plan: LogicalPlan, orders: tuple[SortOrder, ...]) -> tuple[LogicalPlan, tuple[SortOrder, ...]]:
    """Sort keys as columns of the plan."""
    added = [Alias(o.child, "order", new_id()) for o in orders if not isinstance(o.child, Attribute)]
    columns = iter(added)
    keys = [o if isinstance(o.child, Attribute) else replace(o, child=to_attribute(next(columns))) for o in orders]
    return (logical.Project(plan, (*plan.output, *added)) if added else plan), tuple(keys)


def _join(plan: logical.Join, domain: Domain) -> Unnested:
    wanted = {a.expr_id for a in domain.attributes}
    left_reads = bool(wanted.intersection(outer_attributes(plan.left)))
    right_reads = bool(wanted.intersection(outer_attributes(plan.right)))
    if plan.kind == "right":
        mirrored = logical.Join(plan.right, plan.left, "left", plan.condition)
        return _join(mirrored, domain)
    if plan.kind == "full":
        return _full_join(plan, domain)
    if not right_reads:
        left = unnest(plan.left, domain)
        condition = _condition(plan, left.keys)
        return Unnested(replace(plan, left=left.plan, condition=condition), left.keys)
    if not left_reads and plan.kind in ("inner", "cross"):
        right = unnest(plan.right, domain)
        condition = _condition(plan, right.keys)
        return Unnested(replace(plan, right=right.plan, condition=condition), right.keys)
    left, right = unnest(plan.left, domain), unnest(plan.right, domain)
    both = same_keys(left.keys, right.keys)
    parts = [*conjuncts(_condition(plan, left.keys)), *conjuncts(both)]
    kind = "inner" if plan.kind == "cross" else plan.kind
    joined = replace(plan, left=left.plan, right=right.plan, kind=kind, condition=conjunction(parts))
    return Unnested(joined, left.keys)


def _full_join(plan: logical.Join, domain: Domain) -> Unnested:
    """Rows of either side without a match keep the outer row that they were computed for."""
    left, right = unnest(plan.left, domain), unnest(plan.right, domain)
    parts = [*conjuncts(_condition(plan, left.keys)), *conjuncts(same_keys(left.keys, right.keys))]
    joined = replace(plan, left=left.plan, right=right.plan, condition=conjunction(parts))
    columns = {a.expr_id: a for a in joined.output}
    items: dict[int, Alias] = {}
    for outer_id, key in left.keys.items():
        either = (columns[key.expr_id], columns[right.keys[outer_id].expr_id])
        items[outer_id] = Alias(Call("coalesce", either, key.dtype, True), key.name, new_id())
    keys = {outer_id: to_attribute(item) for outer_id, item in items.items()}
    return Unnested(logical.Project(joined, (*joined.output, *items.values())), keys)


def _condition(plan: logical.Join, keys: Keys) -> Expression | None:
    return None if plan.condition is None else inside(plan.condition, keys)


def _union(plan: logical.Union, domain: Domain) -> Unnested:
    children = [unnest(child, domain) for child in plan.children]
    fresh = [replace(a, expr_id=new_id()) for a in domain.attributes]
    projected = []
    for child, inner in zip(plan.children, children, strict=True):
        keys = [inner.keys[a.expr_id] for a in domain.attributes]
        projected.append(logical.Project(inner.plan, (*child.output, *keys)))
    union = logical.Union(tuple(projected), (*plan.attributes, *fresh))
    return Unnested(union, {a.expr_id: f for a, f in zip(domain.attributes, fresh, strict=True)})


def _set_operation(plan: logical.SetOperation, domain: Domain) -> Unnested:
    left, right = unnest(plan.left, domain), unnest(plan.right, domain)
    sides = [
        logical.Project(u.plan, (*side.output, *[u.keys[a.expr_id] for a in domain.attributes]))
        for side, u in ((plan.left, left), (plan.right, right))
    ]
    return Unnested(replace(plan, left=sides[0], right=sides[1]), left.keys)


_RULES: dict[type[LogicalPlan], Callable[..., Unnested]] = {
    logical.Filter: _unary,
    logical.Generate: _unary,
    logical.TableFunctionInPython: _unary,
    logical.Sort: _unary,
    logical.Repartition: _unary,
    logical.Project: _project,
    logical.Aggregate: _aggregate,
    logical.Deduplicate: _deduplicate,
    logical.Window: _window,
    logical.Limit: _limit,
    logical.Join: _join,
    logical.Union: _union,
    logical.SetOperation: _set_operation,
}
