"""Equality of expressions but for what does not matter: names, aliases, the order of commutative operands."""

from __future__ import annotations

from dataclasses import fields

import pyarrow as pa

from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Cast,
    ExistsSubquery,
    Expression,
    InSubquery,
    Lambda,
    LambdaVariable,
    Literal,
    OuterReference,
    PythonCall,
    ScalarSubquery,
    SortOrder,
    WindowCall,
    children_of,
)  # fmt: skip
from voltray.proto.types import DataType

_COMMUTATIVE = frozenset({"+", "*", "and", "or", "==", "<=>", "&", "|", "^"})


class Keys:
    """Numbers expressions so that equal ones get equal numbers; linear in the size of what it is given."""

    __slots__ = ("_held", "_known", "_numbers", "_variables")

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._held: list[Expression] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        self._variables: dict[int, int] = {}

    def of(self, expression: Expression) -> int:
        """The expression's number."""
        known = self._known.get(id(expression))
        if known is not None:
            return known
        if isinstance(expression, Alias):
            return self.of(expression.child)
        if isinstance(expression, Lambda):
            for position, variable in enumerate(expression.parameters):
                self._variables.setdefault(variable.expr_id, position)
        children = [self.of(c) for c in children_of(expression)]
        key = (type(expression), *self._own(expression), *children)
        if isinstance(expression, Call) and expression.name in _COMMUTATIVE:
            key = (type(expression), *self._own(expression), *sorted(children))
        number = self._numbers.setdefault(key, len(self._numbers))
        self._known[id(expression)] = number
        self._held.append(expression)  # an id is only good while its object lives
        return number

    def _own(self, expression: Expression) -> tuple[object, ...]:
        match expression:
            case Attribute():
                return (expression.expr_id,)
            case OuterReference():
                return (expression.attribute.expr_id,)
            case Literal():
                return (repr(expression.value), expression.dtype.simpleString())
            case Call():
                return (expression.name, expression.mode, repr(expression.options))
            case AggregateCall():
                shape = (len(expression.args), len(expression.order_by), expression.filter is not None)
                return (expression.name, expression.distinct, expression.mode, repr(expression.options), *shape)
            case PythonCall() if expression.deterministic:
                dtype = expression.dtype.simpleString()
                return (expression.name, expression.command, expression.eval_type, expression.arg_names, dtype)
            case Cast():
                return (expression.dtype.simpleString(), expression.mode)
            case SortOrder():
                return (expression.ascending, expression.nulls_first)
            case LambdaVariable():
                return (self._variables.get(expression.expr_id, -expression.expr_id),)
            case WindowCall():
                counts = (len(expression.partition_by), len(expression.order_by))
                return (repr(expression.frame), expression.ignore_nulls, *counts)
            case Lambda():
                return (len(expression.parameters),)
            case ScalarSubquery() | ExistsSubquery() | InSubquery():
                return (_PlanShape().of(expression.plan),)
        return (id(expression),)


class _PlanShape:
    """A subquery's plan as nested tuples, equal for plans that differ in their own ids alone."""

    def __init__(self) -> None:
        self._ids: dict[int, int] = {}

    def of(self, value: object) -> object:
        """The shape of a plan, of an expression in it or of anything else that a node holds."""
        match value:
            case tuple():
                return tuple([self.of(v) for v in value])
            case OuterReference():
                return ("outer", value.attribute.expr_id)
            case Attribute():
                return ("column", self._number(value.expr_id))
            case Alias():
                return (self.of(value.child), self._number(value.expr_id))
            case LogicalPlan() | Expression():
                held = [f.name for f in fields(value) if f.compare]
                return (type(value).__name__, *[self.of(getattr(value, name)) for name in held])
            case DataType():
                return value.simpleString()
            case pa.Table():
                buffers = [b for column in value.columns for chunk in column.chunks for b in chunk.buffers()]
                return tuple([b.address for b in buffers if b is not None])
            case None | bool() | int() | str() | float():
                return value
        return id(value)

    def _number(self, expr_id: int) -> int:
        return self._ids.setdefault(expr_id, len(self._ids))
