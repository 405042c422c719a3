"""window() and session_window(): rows without a time fall out, overlapping windows repeat rows, sessions merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan.logical import Aggregate, Filter, Generate, LogicalPlan, Project, Window
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    FrameKind,
    Literal,
    SortOrder,
    WindowCall,
    WindowFrame,
    dtype_of,
    new_id,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.expressions import transform_up as transform_expression
from voltray.proto.types import BOOLEAN, INTEGER, LONG, ArrayType, DataType, StructType


def rewrite_time_windows(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """The plan with windows of time made of filters, generators and window functions."""
    return transform_up(plan, _rewritten)


def _rewritten(plan: LogicalPlan) -> LogicalPlan:
    if isinstance(plan, Project):
        return _with_windows(plan)
    if isinstance(plan, Aggregate) and isinstance(plan.child, Project):
        return _with_sessions(plan, plan.child)
    return plan


def _calls(plan: Project, name: str) -> list[Call]:
    found = [n for item in plan.items for n in walk(item) if isinstance(n, Call) and n.name == name]
    return list(dict.fromkeys(found))


def _given(moment: Expression) -> Expression:
    return Call("isnotnull", (moment,), BOOLEAN, False)


def _struct(start: Attribute, end: Attribute, dtype: DataType) -> Expression:
    return Call("named_struct", (start, end), dtype, False, options=(("names", ("start", "end")),))


# ---- window ----------------------------------------------------------------------------------------
def _with_windows(plan: Project) -> LogicalPlan:
    child, replacements = plan.child, dict[Expression, Expression]()
    for call in _calls(plan, "window"):
        if call.option("slide") >= call.option("duration"):
            child = Filter(child, _given(call.args[0]))
            continue
        moment = dtype_of(call.args[0])
        start, end = [Attribute(new_id(), name, moment) for name in ("start", "end")]
        windows = replace(call, name="time_windows", dtype=ArrayType(call.dtype, False))
        child = Generate(child, windows, (start, end))
        replacements[call] = _struct(start, end, call.dtype)
    if child is plan.child:
        return plan

    def swapped(expression: Expression) -> Expression:
        return replacements.get(expression, expression) if isinstance(expression, Call) else expression

    items = tuple([transform_expression(i, swapped) for i in plan.items])
    return replace(plan, child=child, items=items)  # type: ignore[arg-type]


# ---- session_window --------------------------------------------------------------------------------
def _with_sessions(plan: Aggregate, below: Project) -> LogicalPlan:
    found = [
        i for i in below.items
        if isinstance(i, Alias) and isinstance(i.child, Call) and i.child.name == "session_window"
        and any(g.expr_id == i.expr_id for g in plan.groups)
    ]  # fmt: skip
    if not found:
        return plan
    session = found[0]
    assert isinstance(session.child, Call)
    source = replace(below, child=Filter(below.child, _given(session.child.args[0])))
    others = tuple([g for g in plan.groups if g.expr_id != session.expr_id])
    return replace(plan, child=_merged(source, session, others))


def _merged(source: Project, session: Alias, keys: tuple[Attribute, ...]) -> LogicalPlan:
    """Each row's session widened to all sessions that it overlaps with, directly or through others."""
    whole = to_attribute(session)
    kind = whole.dtype
    assert isinstance(kind, StructType)
    output = tuple([to_attribute(i) for i in source.items])
    bounds = [
        Alias(Call("get_field", (whole,), f.dataType, True, options=(("field", at),)), f.name, new_id())
        for at, f in enumerate(kind.fields)
    ]
    plan: LogicalPlan = Project(source, (*output, *bounds))
    start, end = [to_attribute(b) for b in bounds]
    order = (SortOrder(start),)
    before = Alias(_over("max", end, end.dtype, keys, order, -1), "before", new_id())
    plan = Window(plan, (before,))
    late = Call(">", (start, to_attribute(before)), BOOLEAN, True)
    opens = Call("coalesce", (late, Literal(True, BOOLEAN)), BOOLEAN, False)
    step = Alias(Call("if", (opens, Literal(1, INTEGER), Literal(0, INTEGER)), INTEGER, False), "step", new_id())
    plan = Project(plan, (*output, start, end, step))
    number = Alias(_over("sum", to_attribute(step), LONG, keys, order, 0), "number", new_id())
    plan = Window(plan, (number,))
    group = (*keys, to_attribute(number))
    first = Alias(_over("min", start, start.dtype, group, (), None), "start", new_id())
    last = Alias(_over("max", end, end.dtype, group, (), None), "end", new_id())
    plan = Window(plan, (first, last))
    merged = replace(session, child=_struct(to_attribute(first), to_attribute(last), kind))
    return Project(plan, tuple([merged if o.expr_id == session.expr_id else o for o in output]))


def _over(
    name: str, argument: Attribute, dtype: DataType, partition: tuple[Expression, ...], order: tuple[SortOrder, ...],
    upper: int | None,
) -> WindowCall:  # fmt: skip
    frame = WindowFrame(FrameKind.ROWS, None, upper)
    return WindowCall(AggregateCall(name, (argument,), dtype), partition, order, frame)
