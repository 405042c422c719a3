"""Event time in a plan: which columns carry it, and which rows a watermark leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.logical import LogicalPlan, Project, Union, children_of, walk
from voltray.driver.plan.predicates import call_is_null, call_or
from voltray.driver.plan.streaming import Watermark
from voltray.proto.expressions import Alias, Attribute, Call, Expression, Literal, dtype_of
from voltray.proto.expressions import walk as walk_expression
from voltray.proto.types import BOOLEAN, StructType

TIME, WINDOW = "time", "window"
_WINDOWS = frozenset(("window", "session_window"))


def event_times(plan: LogicalPlan) -> dict[int, str]:
    """Ids of the columns that carry event time: a time, or a window of it."""
    found: dict[int, str] = {}
    for node in reversed(list(walk(plan))):
        match node:
            case Watermark():
                found[node.column.expr_id] = TIME
            case Project():
                for item in node.items:
                    kind = _kind(item.child, found) if isinstance(item, Alias) else None
                    if kind is not None:
                        found[item.expr_id] = kind
            case Union():
                for child in children_of(node):
                    pairs = zip(child.output, node.attributes, strict=True)
                    found |= {b.expr_id: found[a.expr_id] for a, b in pairs if a.expr_id in found}
    return found


def _kind(expression: Expression, found: dict[int, str]) -> str | None:
    if isinstance(expression, Attribute):
        return found.get(expression.expr_id)
    if isinstance(expression, Call) and expression.args and _kind(expression.args[0], found) is not None:
        return WINDOW if expression.name in _WINDOWS else TIME if expression.name == "window_time" else None
    return None


@dataclass(frozen=True, slots=True)
class EventTimes:
    """The event time columns of a plan, and what a watermark says of rows that have them."""

    kinds: dict[int, str]

    @classmethod
    def of(cls, plan: LogicalPlan) -> EventTimes:
        """Those of a plan."""
        return cls(event_times(plan))

    def among(self, attributes: tuple[Attribute, ...]) -> Attribute | None:
        """The first column that carries event time."""
        return next((a for a in attributes if a.expr_id in self.kinds), None)

    def moment(self, attribute: Attribute) -> Expression:
        """The time that a watermark is compared with: a window's end, or the time itself."""
        if not isinstance(attribute.dtype, StructType):
            return attribute
        names = [f.name for f in attribute.dtype.fields]
        at = names.index("end")
        return Call("get_field", (attribute,), attribute.dtype.fields[at].dataType, True, options=(("field", at),))

    def is_old(self, attribute: Attribute, watermark_ms: int) -> Expression:
        """Whether a row's time has been passed by the watermark."""
        moment = self.moment(attribute)
        limit = Literal(watermark_ms * 1000, dtype_of(moment))
        return Call("<=", (moment, limit), BOOLEAN, True)

    def is_current(self, attribute: Attribute, watermark_ms: int) -> Expression:
        """Whether a row's time lies before the watermark still, or is not known."""
        moment = self.moment(attribute)
        limit = Literal(watermark_ms * 1000, dtype_of(moment))
        return call_or(call_is_null(moment), Call(">", (moment, limit), BOOLEAN, True))


def has_session_window(plan: LogicalPlan) -> bool:
    """Whether a projection makes windows that close where rows stay away."""
    if not isinstance(plan, Project):
        return False
    parts = (part for item in plan.items for part in walk_expression(item))
    return any(isinstance(part, Call) and part.name == "session_window" for part in parts)


__all__ = ["EventTimes", "event_times", "has_session_window"]
