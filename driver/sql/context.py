"""What converters know of the SQL text they work on: its source, its parameters, and how to convert a query."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from voltray.driver.plan.expressions import UnresolvedCast
from voltray.driver.plan.relations import Relation
from voltray.driver.sql.schema import parse_schema
from voltray.driver.sql.syntax_errors import syntax_error_at
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import QueryContext, SparkError, spark_error
from voltray.proto.types import BINARY, STRING, TIMESTAMP, TIMESTAMP_NTZ

_ZONE = re.compile(r":\d[\d.]*\s*([A-Za-z]|[+-]\d)")
"""A time with a zone behind it."""


@dataclass(frozen=True, slots=True)
class SqlText:
    """One SQL text under conversion."""

    text: str
    convert_query: Callable[[exp.Expression, SqlText], Relation] = field(repr=False)
    named: tuple[tuple[str, Expression], ...] = ()
    positional: tuple[Expression, ...] = ()
    shift: int = 0
    """How much stands before the user's own text in what was parsed: places do not count it."""

    def query(self, node: exp.Expression) -> Relation:
        """The relation of a query node."""
        return self.convert_query(node, self)

    def origin(self, node: exp.Expression) -> QueryContext | None:
        """Where a node stands in the text: from its first to its last token that knows its place."""
        start, stop = _span(node)
        return self.fragment(start, stop) if stop >= 0 else None

    def fragment(self, start: int, stop: int) -> QueryContext:
        """The place from one offset to another."""
        first, last = max(start + self.shift, 0), stop + self.shift
        return QueryContext(self.text[first : last + 1], first, last, text=self.text)

    def place(self, node: exp.Expression) -> QueryContext | None:
        """Where a clause stands from its first token to its last, where the grammar noted it."""
        place = node.meta.get("place")
        return self.fragment(*place) if place is not None else self.origin(node)

    def source(self, node: exp.Expression) -> str:
        """A node as SQL, for messages."""
        try:
            return node.sql(dialect="spark")
        except ValueError:  # a node of ours, which sqlglot cannot write
            place = self.place(node)
            return place.fragment if place is not None else self.text

    def error(self, node: exp.Expression | None = None) -> SparkError:
        """PARSE_SYNTAX_ERROR at a construct that Spark's grammar does not have."""
        origin = self.origin(node) if node is not None else None
        return syntax_error_at(self.text, len(self.text) if origin is None else origin.start_index)

    def refused_word(self, word: str, node: exp.Expression) -> SparkError:
        """PARSE_SYNTAX_ERROR at a word that Spark's grammar does not have where it stands."""
        origin = self.origin(node)
        start = self.text.lower().find(word.lower(), 0 if origin is None else origin.start_index)
        return syntax_error_at(self.text, max(start, 0), f"'{word}'")

    def parameter(self, name: str | None, node: exp.Expression) -> Expression:
        """The argument bound to a parameter marker (``:name``, or ``?`` by its place)."""
        if name:
            for known, value in self.named:
                if known == name:
                    return value
            raise spark_error("UNBOUND_SQL_PARAMETER", name=name)
        root = node.root()
        markers = [n for n in root.find_all(exp.Placeholder, bfs=False) if not n.this]
        place = next(i for i, n in enumerate(markers) if n is node)
        if place >= len(self.positional):
            found = self.origin(node)
            raise spark_error("UNBOUND_SQL_PARAMETER", name=f"_{place if found is None else found.start_index}")
        return self.positional[place]

    def typed_literal(self, type_name: str, value: exp.Expression, node: exp.Expression) -> Expression:
        """``DATE '...'`` and its kin; ``X'...'`` for binary."""
        literal: Any = Literal(value.name, STRING)
        dtype = parse_schema(type_name)
        if dtype == TIMESTAMP_NTZ and type_name.upper() == "TIMESTAMP" and _ZONE.search(value.name):
            dtype = TIMESTAMP  # a literal that names its zone keeps it, whatever TIMESTAMP means
        if dtype == BINARY:
            return Literal(bytes.fromhex(value.name), BINARY)
        return UnresolvedCast(literal, dtype, "literal", self.origin(node))


_NOWHERE = (2**62, -1)


def _span(node: exp.Expression) -> tuple[int, int]:
    """First and last offset of a node's tokens; kept in the node, so that all spans of a tree cost one walk."""
    known = node.meta.get("span")
    if known is None:
        own = (node.meta["start"], node.meta["end"]) if "start" in node.meta else _NOWHERE
        spans = [own, *[_span(child) for child in node.iter_expressions()]]
        known = (min(s[0] for s in spans), max(s[1] for s in spans))
        node.meta["span"] = known
    return known
