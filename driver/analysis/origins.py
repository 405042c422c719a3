"""Where expressions that may fail were written: noted at them, for the errors of their evaluation."""

from __future__ import annotations

from dataclasses import replace

from voltray.executors.functions.raising import node_may_raise
from voltray.proto.expressions import AggregateCall, Call, Cast, Expression, map_children
from voltray.proto.failures import QueryContext

_DEPTH = 3
"""How far below a call analysis itself puts calls and casts of its own."""


def with_origin(expression: Expression, origin: QueryContext) -> Expression:
    """The expression with its place at it and at whatever analysis put between it and its arguments."""
    return _noted(expression, _lean(origin), _DEPTH)


def _noted(expression: Expression, origin: QueryContext, depth: int) -> Expression:
    if depth == 0 or not isinstance(expression, (Call, Cast, AggregateCall)) or expression.origin is not None:
        return expression
    noted = map_children(expression, lambda child: _noted(child, origin, depth - 1))
    assert isinstance(noted, (Call, Cast, AggregateCall))
    return replace(noted, origin=origin) if node_may_raise(noted) else noted


def _lean(origin: QueryContext) -> QueryContext:
    """Without the fragment, which can be cut from the text again: one text travels for all its places."""
    return replace(origin, fragment="") if origin.text and origin.fragment else origin
