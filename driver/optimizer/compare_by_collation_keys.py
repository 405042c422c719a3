"""Collated texts are compared, grouped, joined and sorted by their keys: what runs below knows bytes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from voltray.driver.optimizer.traversal import map_expressions, transform_up
from voltray.driver.plan.logical import (
    Aggregate,
    Deduplicate,
    Join,
    LogicalPlan,
    Project,
    Repartition,
    SetOperation,
    Window,
    expressions_of,
    walk,
)  # fmt: skip
from voltray.driver.plan.predicates import conjunction
from voltray.executors.functions.collated import COMPARING, keyed
from voltray.proto.collations import is_collated
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    FrameKind,
    Lambda,
    SortOrder,
    WindowCall,
    WindowFrame,
    dtype_of,
    new_id,
    nullable_of,
    to_attribute,
)  # fmt: skip
from voltray.proto.expressions import transform_up as transform_expression
from voltray.proto.expressions import walk as walk_expression
from voltray.proto.types import BOOLEAN, INTEGER, STRING, DataType, StringType

_COUNTING = frozenset(("count", "approx_count_distinct"))
_SKETCHING = frozenset(("theta_sketch_agg", "hll_sketch_agg"))
_EXTREMES = {"max": "max_by", "min": "min_by"}
_WHOLE = WindowFrame(FrameKind.ROWS, None, None)


def compare_by_collation_keys(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """The plan with keys in place of collated texts wherever they are compared."""
    return transform_up(plan, _node) if _is_needed(plan) else plan


def _is_needed(plan: LogicalPlan) -> bool:
    """Whether anything in a plan is collated: most plans are left alone after this look."""
    return any(is_collated(dtype) for node in walk(plan) for dtype in _types(node))


def _types(node: LogicalPlan) -> Iterator[DataType]:
    yield from [a.dtype for a in node.output]
    for expression in expressions_of(node):
        yield from [dtype_of(part) for part in walk_expression(expression) if not isinstance(part, Lambda)]


def _node(plan: LogicalPlan) -> LogicalPlan:
    plan = map_expressions(plan, lambda e: transform_expression(e, _expression))
    rule = _RULES.get(type(plan))
    return plan if rule is None else rule(plan)


def _collated(expression: Expression) -> bool:
    return is_collated(dtype_of(expression))


def _expression(expression: Expression) -> Expression:
    match expression:
        case Call() if expression.name in COMPARING and any(_collated(a) for a in expression.args):
            return replace(expression, args=tuple([keyed(a) for a in expression.args]))
        case SortOrder() if _collated(expression.child):
            return replace(expression, child=keyed(expression.child))
        case WindowCall() if any(_collated(k) for k in expression.partition_by):
            return replace(expression, partition_by=tuple([keyed(k) for k in expression.partition_by]))
        case AggregateCall() if any(_collated(a) for a in expression.args):
            return _aggregate(expression)
    return expression


def _aggregate(call: AggregateCall) -> Expression:
    if call.name in _EXTREMES and _collated(call.args[0]):
        return replace(call, name=_EXTREMES[call.name], args=(call.args[0], keyed(call.args[0])), distinct=False)
    if call.name in _EXTREMES.values() and _collated(call.args[1]):
        return replace(call, args=(call.args[0], keyed(call.args[1])))
    if call.name in _COUNTING and (call.distinct or call.name != "count"):
        return replace(call, args=tuple([keyed(a) for a in call.args]))
    if call.name in _SKETCHING:
        key = keyed(call.args[0])
        text = key if isinstance(dtype_of(key), StringType) else Call("hex", (key,), STRING, nullable_of(key))
        return replace(call, args=(text, *call.args[1:]))
    return call


# ---- operators ---------------------------------------------------------------------------------------
def _keys(attributes: tuple[Attribute, ...]) -> dict[int, Alias]:
    """The keys of collated columns, by the columns' ids."""
    return {a.expr_id: Alias(keyed(a), f"key of {a.name}", new_id()) for a in attributes if _collated(a)}


def _as_keys(attributes: tuple[Attribute, ...], keys: dict[int, Alias]) -> tuple[Attribute, ...]:
    return tuple([to_attribute(keys[a.expr_id]) if a.expr_id in keys else a for a in attributes])


def _with_keys(plan: LogicalPlan, keys: dict[int, Alias]) -> LogicalPlan:
    return Project(plan, (*plan.output, *keys.values())) if keys else plan


def _aggregated(plan: Aggregate) -> LogicalPlan:
    """Groups are keys; of each group the first text is shown."""
    keys = _keys(plan.groups)
    if not keys:
        return plan
    shown = tuple([
        Alias(AggregateCall("first", (g,), g.dtype, g.nullable, options=(("ignore_nulls", False),)), g.name, new_id())
        for g in plan.groups if g.expr_id in keys
    ])  # fmt: skip
    below = _with_keys(plan.child, keys)
    grouped = Aggregate(below, _as_keys(plan.groups, keys), (*plan.aggregates, *shown))
    collated = [g for g in plan.groups if g.expr_id in keys]
    back = {g.expr_id: Alias(to_attribute(s), g.name, g.expr_id, g.metadata)
            for g, s in zip(collated, shown, strict=True)}  # fmt: skip
    return Project(grouped, tuple([back.get(a.expr_id, a) for a in plan.output]))


def _deduplicated(plan: Deduplicate) -> LogicalPlan:
    keys = _keys(plan.keys)
    if not keys:
        return plan
    return Project(Deduplicate(_with_keys(plan.child, keys), _as_keys(plan.keys, keys)), plan.child.output)


def _windowed(plan: Window) -> LogicalPlan:
    """Partitions and orders of a window are columns below it."""
    computed: dict[Expression, Alias] = {}

    def column(expression: Expression) -> Expression:
        if isinstance(expression, Call) and expression.name == "collation_key":
            return to_attribute(computed.setdefault(expression, Alias(expression, "key", new_id())))
        return expression

    items = []
    for item in plan.items:
        call = item.child
        assert isinstance(call, WindowCall)
        parts, orders = (
            tuple([column(k) for k in call.partition_by]),
            tuple([replace(o, child=column(o.child)) for o in call.order_by]),
        )
        items.append(replace(item, child=replace(call, partition_by=parts, order_by=orders)))
    if not computed:
        return plan
    below = Project(plan.child, (*plan.child.output, *computed.values()))
    return Project(Window(below, tuple(items)), plan.output)


def _set_operation(plan: SetOperation) -> LogicalPlan:
    """A semi or anti join on keys; with multiplicities each row takes its number among its equals along."""
    left_keys, right_keys = _keys(plan.left.output), _keys(plan.right.output)
    if not left_keys:
        return plan
    left, right = _with_keys(plan.left, left_keys), _with_keys(plan.right, right_keys)
    on_left, on_right = _as_keys(plan.left.output, left_keys), _as_keys(plan.right.output, right_keys)
    shown: tuple[Alias | Attribute, ...] = plan.left.output
    if plan.is_all:
        left, number, firsts = _numbered(left, on_left, tuple([a for a in plan.left.output if a.expr_id in left_keys]))
        right, other, _ = _numbered(right, on_right, ())
        on_left, on_right = (*on_left, number), (*on_right, other)
        shown = tuple([firsts.get(a.expr_id, a) for a in shown])
    else:
        left = Deduplicate(left, on_left)
    equal: list[Expression] = [
        Call("<=>", (a, b), BOOLEAN, False) for a, b in zip(on_left, on_right, strict=True)
    ]  # fmt: skip
    kind = "left_semi" if plan.kind == "intersect" else "left_anti"
    return Project(Join(left, right, kind, conjunction(equal)), shown)


def _numbered(
    plan: LogicalPlan, keys: tuple[Attribute, ...], collated: tuple[Attribute, ...]
) -> tuple[LogicalPlan, Attribute, dict[int, Alias]]:
    orders = tuple([SortOrder(k) for k in keys])
    frame = WindowFrame(FrameKind.ROWS, None, 0)
    number = Alias(WindowCall(Call("row_number", (), INTEGER, False), keys, orders, frame), "number", new_id())
    options = (("ignore_nulls", False),)
    firsts = {
        a.expr_id: Alias(
            WindowCall(AggregateCall("first", (a,), a.dtype, a.nullable, options=options), keys, (), _WHOLE),
            a.name, new_id(),
        )
        for a in collated
    }  # fmt: skip
    numbered: LogicalPlan = Window(plan, (number,))
    if firsts:
        numbered = Window(numbered, tuple(firsts.values()))
    back = {i: Alias(to_attribute(f), f.name, i) for i, f in firsts.items()}
    return numbered, to_attribute(number), back


def _repartitioned(plan: Repartition) -> LogicalPlan:
    if not any(_collated(e) for e in plan.expressions if not isinstance(e, SortOrder)):
        return plan
    found = [e if isinstance(e, SortOrder) else keyed(e) for e in plan.expressions]
    keys = {e: Alias(e, "key", new_id()) for e in found if isinstance(e, Call) and e.name == "collation_key"}
    below = Project(plan.child, (*plan.child.output, *keys.values()))
    expressions = tuple([to_attribute(keys[e]) if e in keys else e for e in found])
    return Project(replace(plan, child=below, expressions=expressions), plan.child.output)


_RULES: dict[type[LogicalPlan], Any] = {
    Aggregate: _aggregated,
    Deduplicate: _deduplicated,
    Window: _windowed,
    SetOperation: _set_operation,
    Repartition: _repartitioned,
}
