"""A resolved plan again, under ids of its own: what a second occurrence of a view or cached plan needs."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from voltray.driver.plan.logical import Leaf, LocalData, LogicalPlan, children_of
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Cast,
    ExistsSubquery,
    Expression,
    InSubquery,
    LambdaVariable,
    OuterReference,
    ScalarSubquery,
    WindowFrame,
    column_name,
    map_children,
    new_id,
)  # fmt: skip
from voltray.proto.failures import QueryContext


def with_fresh_ids(plan: LogicalPlan, place: QueryContext | None = None) -> LogicalPlan:
    """The same plan with every id that it makes replaced by a new one.

    ``place`` is what its failing expressions are told to be written at: where a view is named.
    """
    return _Renewal({}, place).plan(plan)


class _Renewal:
    """Old ids and their new ones, while one plan is copied bottom-up."""

    def __init__(self, ids: dict[int, int], place: QueryContext | None = None) -> None:
        self.ids = ids
        self.place = place

    def plan(self, root: LogicalPlan) -> LogicalPlan:
        """Copies a plan without recursion over its depth."""
        done: dict[int, LogicalPlan] = {}
        stack: list[tuple[LogicalPlan, bool]] = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if not ready:
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(children_of(node)))
            else:
                done[id(node)] = self._node(node, done)
        return done[id(root)]

    def _node(self, node: LogicalPlan, done: dict[int, LogicalPlan]) -> LogicalPlan:
        changes: dict[str, Any] = {}
        for f in fields(node):
            value = getattr(node, f.name)
            renewed = self._value(value, done)
            if renewed is not value:
                changes[f.name] = renewed
        if isinstance(node, LocalData) and hasattr(node.data, "rename_columns"):
            attributes = changes.get("attributes", node.attributes)
            changes["data"] = node.data.rename_columns([column_name(a.expr_id) for a in attributes])
        if isinstance(node, Leaf) and hasattr(node, "column_ids"):
            changes.pop("column_ids", None)
        return replace(node, **changes) if changes else node

    def _value(self, value: Any, done: dict[int, LogicalPlan]) -> Any:
        if isinstance(value, LogicalPlan):
            return done[id(value)]
        if isinstance(value, Expression):
            return self.expression(value)
        if isinstance(value, tuple) and value and isinstance(value[0], (Expression, LogicalPlan, tuple)):
            return tuple([self._value(v, done) for v in value])
        return value

    def _id(self, expr_id: int) -> int:
        if expr_id not in self.ids:
            self.ids[expr_id] = new_id()
        return self.ids[expr_id]

    def expression(self, expression: Expression) -> Expression:
        """Copies an expression."""
        match expression:
            case Attribute() | LambdaVariable():
                return replace(expression, expr_id=self._id(expression.expr_id))
            case Alias():
                return replace(
                    expression, child=self.expression(expression.child), expr_id=self._id(expression.expr_id)
                )
            case OuterReference():
                known = self.ids.get(expression.attribute.expr_id)
                if known is None:
                    return expression
                return OuterReference(replace(expression.attribute, expr_id=known))
            case ScalarSubquery() | ExistsSubquery() | InSubquery():
                inner = replace(expression, plan=_Renewal(self.ids, self.place).plan(expression.plan))
                return map_children(inner, self.expression)
        copied = map_children(expression, self.expression)
        if self.place is not None and isinstance(copied, (Call, Cast, AggregateCall)) and copied.origin is not None:
            copied = replace(copied, origin=self.place)
        if hasattr(copied, "parameters"):
            parameters = tuple([self.expression(p) for p in copied.parameters])
            copied = replace(copied, parameters=parameters)  # type: ignore[call-arg]
        return copied


__all__ = ["WindowFrame", "with_fresh_ids"]
