"""Small expressions that rewriting plans needs: conjunctions, equalities, substitution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

from voltray.proto.expressions import (
    Alias,
    Attribute,
    Call,
    Expression,
    Literal,
    OuterReference,
    PythonCall,
    WindowCall,
    map_children,
    new_id,
    nullable_of,
    walk,
)  # fmt: skip
from voltray.proto.types import BOOLEAN

# More parts than this are paired up rather than chained.
_FLAT = 16
TRUE = Literal(True, BOOLEAN)
FALSE = Literal(False, BOOLEAN)


def conjuncts(condition: Expression | None) -> tuple[Expression, ...]:
    """The parts of a condition that must all hold, in order."""
    if condition is None:
        return ()
    parts: list[Expression] = []
    stack = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, Call) and node.name == "and":
            stack.extend(reversed(node.args))
        elif node != TRUE:
            parts.append(node)
    return tuple(parts)


def conjunction(parts: Iterable[Expression]) -> Expression | None:
    """All of the parts in order, or None where there are none; many of them as a tree that is not deep."""
    level = list(parts)
    if len(level) <= _FLAT:
        return reduce(call_and, level) if level else None
    while len(level) > 1:
        pairs = [call_and(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def call_and(left: Expression, right: Expression) -> Expression:
    """``left and right``."""
    return Call("and", (left, right), BOOLEAN, nullable_of(left) or nullable_of(right))


def call_or(left: Expression, right: Expression) -> Expression:
    """``left or right``."""
    return Call("or", (left, right), BOOLEAN, nullable_of(left) or nullable_of(right))


def call_not(child: Expression) -> Expression:
    """``not child``."""
    return Call("not", (child,), BOOLEAN, nullable_of(child))


def call_is_null(child: Expression) -> Expression:
    """``child is null``."""
    return Call("isnull", (child,), BOOLEAN, False)


def call_equals(left: Expression, right: Expression) -> Expression:
    """``left = right``."""
    return Call("==", (left, right), BOOLEAN, nullable_of(left) or nullable_of(right))


def call_null_safe_equals(left: Expression, right: Expression) -> Expression:
    """``left <=> right``."""
    return Call("<=>", (left, right), BOOLEAN, False)


def substitute(expression: Expression, values: Mapping[int, Expression]) -> Expression:
    """The expression with attributes replaced by id; outer references stay."""
    if isinstance(expression, Attribute):
        return values.get(expression.expr_id, expression)
    if isinstance(expression, OuterReference):
        return expression
    return map_children(expression, lambda child: substitute(child, values))


def outer_references(expression: Expression) -> frozenset[int]:
    """Ids of the outer attributes that an expression reads."""
    return frozenset(n.attribute.expr_id for n in walk(expression) if isinstance(n, OuterReference))


def without_outer(expression: Expression) -> Expression:
    """The expression with outer references turned into the attributes that they are."""
    if isinstance(expression, OuterReference):
        return expression.attribute
    return map_children(expression, without_outer)


def named(expression: Expression, name: str = "key") -> Alias | Attribute:
    """An attribute as it is, anything else under a fresh id."""
    return expression if isinstance(expression, Attribute | Alias) else Alias(expression, name, new_id())


def is_deterministic(expression: Expression) -> bool:
    """Whether an expression gives the same value for the same row, wherever and however often it is computed."""
    from voltray.executors.functions.catalogue import lookup

    for part in walk(expression):
        if isinstance(part, WindowCall):
            return False
        if isinstance(part, PythonCall) and not part.deterministic:
            return False
        if isinstance(part, Call):
            function = lookup(part.name)
            if function is not None and not function.deterministic:
                return False
    return True
