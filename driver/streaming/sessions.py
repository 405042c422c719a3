"""Aggregation by ``session_window``: the rows of sessions that are still open are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan.logical import Aggregate, Filter, Join, LogicalPlan, Project
from voltray.driver.plan.predicates import call_null_safe_equals, conjunction
from voltray.driver.streaming.tables import joined, local
from voltray.proto.expressions import Attribute, Call, Expression, new_id, references
from voltray.proto.types import BOOLEAN, StructType

if TYPE_CHECKING:
    from voltray.driver.streaming.state import OperatorState, StateContext


def run_session_aggregate(
    node: Aggregate, project: Project, context: StateContext, state: OperatorState
) -> LogicalPlan:
    """Sessions of all rows that are kept; in append mode those that have ended, whose rows go."""
    needed: frozenset[int] = frozenset().union(*[references(i) for i in project.items])
    columns = tuple([a for a in project.child.output if a.expr_id in needed])
    session = context.times.among(node.groups) if context.mode == "append" else None
    fresh: LogicalPlan = Project(project.child, columns)
    if session is not None:
        current = context.times.is_current(session, context.late_ms)
        fresh = Project(Filter(_beside(project, fresh, columns), current), columns)
    new = context.rows(fresh)
    rows = joined(state.tables[0] if state.tables else None, new)
    values = context.rows(replace(node, child=replace(project, child=local(columns, rows))))
    state.rows_updated, state.rows_removed, state.tables = new.num_rows, 0, (rows,)
    if session is None:
        return local(node.output, values)
    ended = context.rows(Filter(local(node.output, values), context.times.is_old(session, context.watermark_ms)))
    if ended.num_rows:
        own = tuple([replace(a, expr_id=new_id()) for a in node.output])
        condition = _in_session(node, session, own)
        open_rows = Join(_beside(project, local(columns, rows), columns), local(own, ended), "left_anti", condition)
        left = context.rows(Project(open_rows, columns))
        state.rows_removed, state.tables = rows.num_rows - left.num_rows, (left,)
    return local(node.output, ended)


def _beside(project: Project, child: LogicalPlan, columns: tuple[Attribute, ...]) -> Project:
    """The projection's columns, each row with a session of its own, beside the columns that are kept."""
    made = {i.expr_id for i in project.items}
    return Project(child, (*project.items, *[c for c in columns if c.expr_id not in made]))


def _in_session(node: Aggregate, session: Attribute, ended: tuple[Attribute, ...]) -> Expression | None:
    """Whether a row lies in a session that has ended."""
    pairs = list(zip(node.groups, ended[: len(node.groups)], strict=True))
    whole = next(other for own, other in pairs if own.expr_id == session.expr_id)
    moment = _bound(session, "start")
    parts: list[Expression] = [call_null_safe_equals(a, b) for a, b in pairs if a.expr_id != session.expr_id]
    parts.append(Call(">=", (moment, _bound(whole, "start")), BOOLEAN, True))
    parts.append(Call("<", (moment, _bound(whole, "end")), BOOLEAN, True))
    return conjunction(parts)


def _bound(session: Attribute, name: str) -> Expression:
    dtype = session.dtype
    assert isinstance(dtype, StructType)
    at = [f.name for f in dtype.fields].index(name)
    return Call("get_field", (session,), dtype.fields[at].dataType, True, options=(("field", at),))
