"""Small helpers of relations that are written as others: calls, columns by name, a resolved child."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedFunction
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.plan.relations import Analyzed
from voltray.proto.expressions import Attribute, Expression

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def call(name: str, *args: Expression) -> UnresolvedFunction:
    """A call of a built-in function or operator."""
    return UnresolvedFunction((name,), args, is_operator=True)


def over(child: Resolved) -> Analyzed:
    """A resolved relation as the child of an unresolved one."""
    return Analyzed(child)


def resolve_analyzed(relation: Analyzed, analysis: Analysis) -> Resolved:
    """A relation that is resolved already."""
    resolved: Resolved = relation.resolved
    return resolved


def named_columns(names: tuple[str, ...], child: Resolved, analysis: Analysis) -> list[Attribute]:
    """The columns of these names, all where none is named; UNRESOLVED_COLUMN for those that are not there."""
    if not names:
        return list(child.scope.attributes)
    resolver = analysis.over(child.scope)
    found: list[Attribute] = []
    for name in names:
        expression = resolver.resolve(UnresolvedAttribute(split_identifier(name))).expression
        if isinstance(expression, Attribute):
            found.append(expression)
    return found
