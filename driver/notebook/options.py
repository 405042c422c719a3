"""What may stand before a statement: `%%sql NAME --limit 50 --truncate 0`, `%sql --limit 50 SELECT …`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from IPython.core.error import UsageError

USAGE = "%%sql [NAME] [--limit ROWS] [--truncate CHARACTERS]"
_OPTION = re.compile(r"\s*--(limit|truncate)(?:\s*=\s*|\s+)(\d+)(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Options:
    """How a statement's result is shown, and under what name it is kept; None leaves it to the session's confs."""

    name: str | None = None
    limit: int | None = None
    truncate: int | None = None


def of_line(line: str) -> tuple[Options, str]:
    """The options that begin a line, and the statement that follows them."""
    options = Options()
    while option := _OPTION.match(line):
        options = replace(options, **{option[1]: int(option[2])})  # type: ignore[arg-type]
        line = line[option.end() :]
    return options, line.strip()


def of_cell(line: str) -> Options:
    """The options on a cell's first line; raises UsageError for anything else there."""
    options, rest = of_line(line)
    if not rest:
        return options
    name, _, further = rest.partition(" ")
    after, left_over = of_line(further)
    if left_over or not name.isidentifier():
        raise UsageError(f"{USAGE}: cannot read {rest!r}; the statement begins on the next line")
    given = {key: value for key in ("limit", "truncate") if (value := getattr(after, key)) is not None}
    return replace(options, name=name, **given)
