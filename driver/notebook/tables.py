"""DataFrames as tables: one query serves both the HTML that notebooks show and the text that terminals show."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from weakref import WeakKeyDictionary

from pyspark.errors import PySparkException
from pyspark.sql.connect import plan
from pyspark.sql.connect.dataframe import DataFrame

from voltray.driver.notebook.errors import message_of

ENABLED = "spark.sql.repl.eagerEval.enabled"
MAX_ROWS = "spark.sql.repl.eagerEval.maxNumRows"
TRUNCATE = "spark.sql.repl.eagerEval.truncate"


@dataclass(slots=True)
class _Shown:
    """How a DataFrame is shown, and its rows until they have been."""

    limit: int
    truncate: int
    bundle: dict[str, str] | None


_shown: WeakKeyDictionary[DataFrame, _Shown] = WeakKeyDictionary()


def fetch_table(frame: DataFrame, limit: int | None = None, truncate: int | None = None) -> bool:
    """Run a query for the first rows, which the DataFrame then shows as a table; False where it has no columns."""
    rows, characters = frame.sparkSession.client.get_configs(MAX_ROWS, TRUNCATE)
    limit = int(rows or 0) if limit is None else limit
    truncate = int(characters or 0) if truncate is None else truncate
    bundle = _run(frame, limit, truncate)
    if bundle is not None:
        _shown[frame] = _Shown(limit, truncate, bundle)
    return bundle is not None


def bundle_of(frame: DataFrame) -> dict[str, str]:
    """What IPython shows of a DataFrame: rows for those of `%sql` and where the confs say so, else nothing of ours."""
    try:
        if (shown := _shown.get(frame)) is not None:
            # What is shown once more is run once more: tables change.
            bundle, shown.bundle = shown.bundle or _run(frame, shown.limit, shown.truncate), None
            return bundle or {}
        enabled, rows, truncate = frame.sparkSession.client.get_configs(ENABLED, MAX_ROWS, TRUNCATE)
        return (_run(frame, int(rows or 0), int(truncate or 0)) or {}) if enabled == "true" else {}
    except PySparkException as error:
        # Raised from here it would have PySpark run the query twice more, for its own two forms.
        message = f"{type(error).__name__}: {message_of(error)}"
        return {"text/plain": message, "text/html": f'<pre style="color: red">{html.escape(message)}</pre>'}


def _run(frame: DataFrame, limit: int, truncate: int) -> dict[str, str] | None:
    """The first rows as HTML made by the server, and as the text that ``show`` prints."""
    shown = DataFrame(plan.HtmlString(frame._plan, limit, truncate), frame.sparkSession)
    text = str(shown.collect()[0][0])
    table = _Table()
    table.feed(text)
    if table.rows == [[""]] and not frame.columns:
        return None
    return {"text/html": text, "text/plain": _text_of(table, align_right=truncate > 0)}


class _Table(HTMLParser):
    """Reads the cells of the table that the server wrote, and the line after it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.rest = ""
        self._within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a row or a cell."""
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self._within = True

    def handle_endtag(self, tag: str) -> None:
        """Close a cell."""
        self._within = False

    def handle_data(self, data: str) -> None:
        """Add to the cell, or to what follows the table."""
        if self._within:
            self.rows[-1][-1] += data
        else:
            self.rest += data


def _text_of(table: _Table, *, align_right: bool) -> str:
    """The table laid out as ``show`` does."""
    widths = [max(3, *map(_width, column)) for column in zip(*table.rows, strict=True)]
    border = "+".join(["", *["-" * width for width in widths], ""])

    def line(cells: list[str]) -> str:
        padded = [
            " " * (width - _width(cell)) + cell if align_right else cell + " " * (width - _width(cell))
            for cell, width in zip(cells, widths, strict=True)
        ]
        return "|".join(["", *padded, ""])

    header, *rows = table.rows
    lines = [border, line(header), border, *map(line, rows), border]
    return "\n".join([*lines, *filter(None, [table.rest.strip()])])


def _width(text: Any) -> int:
    """Columns of a terminal that a text takes: wide letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
