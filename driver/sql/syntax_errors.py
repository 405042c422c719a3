"""PARSE_SYNTAX_ERROR, its place shown in the message: Spark gives these errors no query context."""

from __future__ import annotations

import re

from voltray.proto.failures import ErrorKind, SparkError, spark_error

_WORD = re.compile(r"\w+|`[^`]*`|'[^']*'|\|>|[<>=!]=|<=>|<>|\S")


def syntax_error_at(text: str, offset: int, shown: str | None = None) -> SparkError:
    """The error at the first token behind a place in a text; ``shown`` where the token is known."""
    word = _WORD.search(text, offset)
    start = word.start() if word is not None else len(text)
    if shown is None:
        shown = f"'{word[0]}'" if word is not None else "end of input"
    failure = spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error=shown, hint="").failure
    message = f"{failure.message} {_shown_place(text, start)}"
    return spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, message=message, error=shown, hint="")


def _shown_place(text: str, start: int) -> str:
    """Line and position, and the text with a mark below them."""
    lines = text[:start].split("\n")
    position = len(lines[-1])
    shown = text.split("\n")
    marked = [*shown[: len(lines)], "-" * position + "^^^", *shown[len(lines) :]]
    return "\n".join([f"(line {len(lines)}, pos {position})", "", "== SQL ==", *marked])
