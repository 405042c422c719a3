"""``window`` and ``session_window`` as columns of a query that groups by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voltray.driver.analysis.expressions.attribute import find_attribute
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedAttribute, UnresolvedExtract, UnresolvedFunction
from voltray.proto.expressions import Expression, Literal
from voltray.proto.types import STRING

_WINDOWS = frozenset({"window", "session_window"})


def naming_windows(groups: Sequence[Expression], resolver: ExpressionResolver) -> ExpressionResolver:
    """A resolver that also knows the windows of time among grouping expressions by their names."""
    named: dict[str, Expression] = {}
    for group in groups:
        inner = group.child if isinstance(group, UnresolvedAlias) else group
        if isinstance(inner, UnresolvedFunction) and inner.name[-1].lower() in _WINDOWS:
            named[inner.name[-1].lower()] = inner
    if not named:
        return resolver

    def replaced(expression: Expression, current: ExpressionResolver) -> Typed | None:
        if not isinstance(expression, UnresolvedAttribute) or expression.parts[0].lower() not in named:
            return None
        if find_attribute(expression, replace(current, replaced=None)) is not None:
            return None
        found = named[expression.parts[0].lower()]
        for part in expression.parts[1:]:
            found = UnresolvedExtract(found, Literal(part, STRING), expression.origin)
        typed = replace(current, replaced=None).resolve(found)
        return Typed(typed.expression, ".".join(expression.parts), expression.parts[-1])

    return replace(resolver, replaced=replaced)
