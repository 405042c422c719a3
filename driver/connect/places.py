"""Places in a user's program as Spark writes them below a message."""

from __future__ import annotations

from voltray.proto.failures import QueryContext

AROUND = 32
"""How much of a line is shown on either side of the place."""
_MORE = "..."


def summary_of(context: QueryContext) -> str:
    """A context as Spark writes it below a message."""
    if context.kind != "SQL":
        if not context.fragment and not context.call_site:
            return ""
        return f'== DataFrame ==\n"{context.fragment}" was called from\n{context.call_site}\n'
    if not context.fragment:
        return ""
    if context.text:
        return _in_text(context, context.text, max(context.start_index, 0), context.stop_index)
    return _in_text(context, context.fragment, 0, len(context.fragment) - 1)


def _in_text(context: QueryContext, text: str, start: int, stop: int) -> str:
    stop = min(stop, len(text) - 1)
    line, column = text.count("\n", 0, start) + 1, start - (text.rfind("\n", 0, start) + 1)
    owner = f" of {context.object_type} {context.object_name}" if context.object_type and context.object_name else ""
    head = f"== SQL{owner} (line {line}, position {column + 1}) =="
    end = text.find("\n", stop)
    after = (end if end >= 0 else len(text)) - stop - 1
    first, last = start - min(column, AROUND), stop + min(max(after, 0), AROUND)
    shown = text[first : last + 1]
    if column >= AROUND:
        shown, first = _MORE + shown, first - len(_MORE)
    if after >= AROUND:
        shown += _MORE
    lines = [head]
    for row in shown.rstrip("\n").split("\n"):
        blank = min(max(start - first, 0), len(row))
        marks = min(max(stop + 1 - first, 0), len(row)) - blank
        lines += [row, " " * blank + "^" * marks]
        first += len(row) + 1
    return "\n".join(lines) + "\n"
