"""Aliases of a select list that items further right may use (``SELECT a + 1 AS b, b * 2``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.identifiers import quoted
from voltray.proto.expressions import Alias, Attribute, to_attribute
from voltray.proto.failures import QueryContext

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


class LateralAliases:
    """Grows while a select list is resolved from left to right."""

    __slots__ = ("aliases", "used")

    def __init__(self) -> None:
        self.aliases: dict[str, list[Alias | Attribute]] = {}
        self.used = False

    def add(self, alias: Alias | Attribute) -> None:
        """Make an item known to those behind it."""
        self.aliases.setdefault(alias.name.lower(), []).append(alias)

    def _named(self, name: str, resolver: ExpressionResolver) -> list[Alias | Attribute]:
        found = self.aliases.get(name.lower(), [])
        return [a for a in found if a.name == name] if resolver.environment.case_sensitive else found

    def find(
        self, parts: tuple[str, ...], resolver: ExpressionResolver, origin: QueryContext | None
    ) -> Typed | None:
        """The alias that a name means."""
        from voltray.driver.analysis.expressions.extract import extract_field

        found = self._named(parts[0], resolver)
        if not found:
            return None
        if len(found) > 1:
            raise analysis_error(
                "AMBIGUOUS_LATERAL_COLUMN_ALIAS", origin, name=quoted(parts), n=len(found)
            )
        alias = found[0]
        if isinstance(alias, Attribute):  # a generator's column, which stands below the select list
            return self._of_generator(alias, parts, resolver, origin)
        self.used = True
        typed = Typed(to_attribute(alias), f"lateralAliasReference({alias.name})", alias.name)
        for part in parts[1:]:
            typed = extract_field(typed, part, resolver, origin)
        return typed if len(parts) == 1 else Typed(typed.expression, typed.name, parts[-1])


    @staticmethod
    def _of_generator(
        column: Attribute, parts: tuple[str, ...], resolver: ExpressionResolver, origin: QueryContext | None
    ) -> Typed:
        from voltray.driver.analysis.expressions.extract import extract_field

        typed = Typed(column, column.name, column.name)
        for part in parts[1:]:
            typed = extract_field(typed, part, resolver, origin)
        return typed


class GroupAliases(LateralAliases):
    """Aliases of a select list as GROUP BY sees them: names for what they stand for."""

    __slots__ = ()

    def __init__(self, aliases: Sequence[Alias]) -> None:
        super().__init__()
        for alias in aliases:
            self.add(alias)

    def find(
        self, parts: tuple[str, ...], resolver: ExpressionResolver, origin: QueryContext | None
    ) -> Typed | None:
        """What the first alias of a name stands for."""
        from voltray.driver.analysis.aggregation import has_aggregate

        found = self._named(parts[0], resolver)
        if not found or len(parts) > 1:
            return None
        if isinstance(found[0], Attribute):
            return Typed(found[0], found[0].name, found[0].name)
        if has_aggregate(found[0]):
            raise analysis_error("GROUP_BY_AGGREGATE", origin, sqlExpr=parts[0])
        return Typed(found[0].child, found[0].name, found[0].name)
