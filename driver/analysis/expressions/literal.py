"""Constants, and expressions that are resolved already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.names import literal_name
from voltray.driver.analysis.resolver import Typed
from voltray.proto.expressions import Alias, Attribute, Expression, Literal

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def resolve_literal(expression: Literal, resolver: ExpressionResolver) -> Typed:
    """A constant."""
    return Typed(expression, literal_name(expression.value, expression.dtype, resolver.environment.time_zone))


def resolve_resolved(expression: Expression, resolver: ExpressionResolver) -> Typed:
    """A column or alias that was resolved before."""
    assert isinstance(expression, (Attribute, Alias))
    return Typed(expression, expression.name, expression.name)
