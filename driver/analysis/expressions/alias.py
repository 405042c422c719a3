"""Aliases: ``child AS name``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.names import rope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedAlias
from voltray.proto.expressions import Alias, Attribute, new_id

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def resolve_alias(expression: UnresolvedAlias, resolver: ExpressionResolver) -> Typed:
    """An alias inside another expression: only its name matters there (a struct's field)."""
    if len(expression.names) != 1:
        raise analysis_error("MULTI_ALIAS_WITHOUT_GENERATOR", expression.origin, names=_shown(expression.names),
                             expr=f'"{resolver.resolve(expression.child).text}"')  # fmt: skip
    child = resolver.resolve(expression.child)
    name = expression.names[0]
    return Typed(child.expression, rope(child.name, " AS ", name), name, expression.metadata or _inherited(child))


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _inherited(child: Typed) -> tuple[tuple[str, object], ...]:
    return child.expression.metadata if isinstance(child.expression, (Attribute, Alias)) else child.metadata


def top_level_alias(child: Typed, expression: UnresolvedAlias) -> Alias:
    """An output column of a name of its own."""
    metadata = expression.metadata or _inherited(child)
    inner = child.expression.child if isinstance(child.expression, Alias) else child.expression
    return Alias(inner, expression.names[0], new_id(), metadata)


def renamed(named: Alias | Attribute, name: str) -> Alias | Attribute:
    """The same column under another name (an attribute stays itself where it has that name)."""
    if named.name == name:
        return named
    if isinstance(named, Alias):
        return replace(named, name=name)
    return Alias(named, name, new_id(), named.metadata)
