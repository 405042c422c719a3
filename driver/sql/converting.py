"""One expression of sqlglot's made into an unresolved one, by the converter of its class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.sql.context import SqlText
from voltray.proto.expressions import Expression

Converter = Callable[[Any, SqlText], Expression]


@lru_cache(maxsize=1)
def converters() -> Mapping[type[exp.Expression], Converter]:
    """Every class with its converter; the converters of parts come back here."""
    from voltray.driver.sql.expressions import CONVERTERS

    return CONVERTERS


def convert(node: exp.Expression | None, text: SqlText) -> Expression:
    """The unresolved expression of a node; PARSE_SYNTAX_ERROR for what Spark's grammar does not have."""
    if node is None:
        raise text.error()
    converter = converters().get(type(node))
    if converter is not None:
        return converter(node, text)
    raise text.error(node)


def convert_all(nodes: Iterable[exp.Expression], text: SqlText) -> tuple[Expression, ...]:
    """Several expressions in order."""
    return tuple([convert(n, text) for n in nodes])


def call(name: str, *args: Expression, origin: Any = None) -> u.UnresolvedFunction:
    """A call of a built-in function or operator."""
    return u.UnresolvedFunction((name,), args, is_operator=True, origin=origin)
