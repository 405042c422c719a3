"""Small plans for tests of optimizer rules, and a text of a plan that names columns rather than ids."""

from __future__ import annotations

import re

import pyarrow as pa

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.text import plan_text
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    Literal,
    OuterReference,
    new_id,
)
from voltray.proto.types import BOOLEAN, INTEGER, LONG, DataType


def column(name: str, dtype: DataType = LONG, nullable: bool = True) -> Attribute:
    """A column under a fresh id."""
    return Attribute(new_id(), name, dtype, nullable)


def table(*names: str) -> tuple[logical.LocalData, tuple[Attribute, ...]]:
    """A table of long columns without rows."""
    columns = tuple([column(n) for n in names])
    data = pa.table({n: pa.array([], pa.int64()) for n in names})
    return logical.LocalData(columns, data, 0), columns


def number(value: int) -> Literal:
    """An integer."""
    return Literal(value, LONG)


def compare(name: str, left: Expression, right: Expression) -> Call:
    """A comparison."""
    return Call(name, (left, right), BOOLEAN, True)


def plus(left: Expression, right: Expression) -> Call:
    """A sum."""
    return Call("+", (left, right), LONG, True)


def alias(expression: Expression, name: str) -> Alias:
    """A named expression."""
    return Alias(expression, name, new_id())


def count_all(name: str = "n") -> Alias:
    """count(1)."""
    return alias(AggregateCall("count", (Literal(1, INTEGER),), LONG, False), name)


def outer(attribute: Attribute) -> OuterReference:
    """A reference to an enclosing query."""
    return OuterReference(attribute)


def shape(plan: LogicalPlan) -> list[str]:
    """The lines of a plan's text without ids."""
    text = re.sub(r"#\d+L?", "", plan_text(plan))
    return [line.rstrip() for line in text.splitlines()]


def kinds(plan: LogicalPlan) -> list[str]:
    """The kinds of a plan's nodes, joins with their kind, from the top."""
    return [
        f"{type(n).__name__}:{n.kind}" if isinstance(n, logical.Join) else type(n).__name__ for n in logical.walk(plan)
    ]
