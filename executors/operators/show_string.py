"""Draws rows as text, as ``DataFrame.show`` prints them, or as HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html.entities import codepoint2name

import polars as pl

from voltray.executors.operators.columns import names_of
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import ShowString

_MINIMUM_WIDTH = 3
_META = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b", "\x0b": "\\v", "\x07": "\\a"})
_FULL_WIDTH = re.compile(
    "[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]"
)
# Spark names every character that has a name in HTML 4.
_ENTITIES = {point: f"&{name};" for point, name in codepoint2name.items()}
Row = Sequence[str]


def compile_show_string(operator: ShowString, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """One row, one column: the picture of at most ``num_rows`` rows."""
    output = operator.attributes[0].column
    columns = [a.column for a in operator.child_output]
    count = max(0, operator.num_rows)

    def draw(frame: pl.DataFrame) -> pl.DataFrame:
        cells = [_cells(frame.get_column(c), count, operator.truncate) for c in columns]
        rows = list(zip(*cells, strict=True)) if cells else [()] * min(count, frame.height)
        text = _STYLES[operator.style](
            [_escape(n) for n in operator.names], rows, count, frame.height > count, operator.truncate
        )
        return pl.DataFrame({output: [text]}, schema={output: pl.String})

    names = names_of(operator.child_output)
    frame = children[0].select(names) if names else children[0]
    return frame.head(count + 1).map_batches(draw, schema={output: pl.String()})


def _escape(text: str) -> str:
    return text.translate(_META)


def _cells(column: pl.Series, count: int, truncate: int) -> list[str]:
    values = column.head(count).to_list()
    return [_shortened(_escape("NULL" if v is None else str(v)), truncate) for v in values]


def _utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _shortened(text: str, truncate: int) -> str:
    """Cut as the JVM counts characters: in UTF-16, where half of a pair turns into a question mark."""
    if truncate <= 0 or _utf16_length(text) <= truncate:
        return text
    kept = truncate if truncate < 4 else truncate - 3
    head = text[:kept] if text.isascii() else _utf16_head(text, kept)
    return head if truncate < 4 else head + "..."


def _utf16_head(text: str, units: int) -> str:
    cut = text.encode("utf-16-le")[: units * 2].decode("utf-16-le", "surrogatepass")
    return cut.encode("utf-8", "replace").decode("utf-8")


def _width(text: str) -> int:
    return len(text) if text.isascii() else _utf16_length(text) + len(_FULL_WIDTH.findall(text))


def _padded(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if left else text + space


def _more(count: int) -> str:
    return f"only showing top {count} {'row' if count == 1 else 'rows'}"


def _table(names: Row, rows: Sequence[Row], count: int, has_more: bool, truncate: int) -> str:
    lines = [names, *rows]
    widths = [max(_MINIMUM_WIDTH, *(_width(line[i]) for line in lines)) for i in range(len(names))]
    rule = "+" + "+".join("-" * w for w in widths) + "+\n"
    drawn = [
        "|" + "|".join(_padded(c, w, left=truncate > 0) for c, w in zip(line, widths, strict=True)) + "|\n"
        for line in lines
    ]
    return "".join([rule, drawn[0], rule, *drawn[1:], rule, _more(count) if has_more else ""])


def _vertical(names: Row, rows: Sequence[Row], count: int, has_more: bool, truncate: int) -> str:
    if not rows:
        return "(0 rows)"
    name_width = max([_MINIMUM_WIDTH, *map(_width, names)])
    cell_width = max([_MINIMUM_WIDTH, *(_width(c) for row in rows for c in row)])
    parts: list[str] = []
    for number, row in enumerate(rows):
        parts.append(f"-RECORD {number}".ljust(name_width + cell_width + 5, "-") + "\n")
        for name, cell in zip(names, row, strict=True):
            parts.append(f" {_padded(name, name_width, left=False)} | {_padded(cell, cell_width, left=False)} \n")
    return "".join([*parts, _more(count) if has_more else ""])


def _html(names: Row, rows: Sequence[Row], count: int, has_more: bool, truncate: int) -> str:
    def line(cells: Row, tag: str) -> str:
        shown = f"</{tag}><{tag}>".join(c.translate(_ENTITIES) for c in cells)
        return f"<tr><{tag}>{shown}</{tag}></tr>\n"

    body = "".join([line(names, "th"), *(line(r, "td") for r in rows)])
    return f"<table border='1'>\n{body}</table>\n" + (_more(count) + "\n" if has_more else "")


_STYLES: dict[str, Callable[[Row, Sequence[Row], int, bool, int], str]] = {
    "text": _table,
    "vertical": _vertical,
    "html": _html,
}
