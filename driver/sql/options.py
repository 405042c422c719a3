"""What a session's settings change in the grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrammarOptions:
    """``spark.sql.ansi.doubleQuotedIdentifiers``, ``spark.sql.ansi.enforceReservedKeywords``,
    ``spark.sql.legacy.consecutiveStringLiterals.enabled`` and whether TIMESTAMP is TIMESTAMP_NTZ."""

    double_quoted_identifiers: bool = False
    reserved_keywords: bool = False
    consecutive_strings: bool = False
    plain_timestamps: bool = False


# Text is parsed far below the session that it came from (views, expressions, bodies of functions), so the
# options travel with the thread that works for the session.
_CURRENT: ContextVar[GrammarOptions] = ContextVar("grammar_options", default=GrammarOptions())  # noqa: B039

def current_options() -> GrammarOptions:
    """The options of the session that text is parsed for."""
    return _CURRENT.get()


@contextmanager
def parsing_for(conf: Callable[[str], str]) -> Iterator[None]:
    """Parse what is parsed inside as a session's settings say."""

    def on(key: str) -> bool:
        return conf(key).lower() == "true"

    options = GrammarOptions(
        on("spark.sql.ansi.doubleQuotedIdentifiers"), on("spark.sql.ansi.enforceReservedKeywords"),
        on("spark.sql.legacy.consecutiveStringLiterals.enabled"),
        conf("spark.sql.timestampType").upper() == "TIMESTAMP_NTZ",
    )  # fmt: skip
    token = _CURRENT.set(options)
    try:
        yield
    finally:
        _CURRENT.reset(token)
