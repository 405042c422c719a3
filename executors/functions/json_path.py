"""Paths of get_json_object: ``$.a[0]['b c'][*]``, and what they find in a value."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from voltray.executors.functions.json_values import Members, RawFloat, compact

WILDCARD = object()
Step = tuple[str, Any]

_STEPS = re.compile(
    r"""\.(?P<plain>[^.\[]+)|\['(?P<single>[^']+)'\]|\[\s*(?P<index>\d+)\s*\]|\[(?P<all>\*)\]""", re.VERBOSE
)


@lru_cache(maxsize=1024)
def read_path(path: str) -> tuple[Step, ...] | None:
    """The steps of a path, None for a text that is none."""
    if not path.startswith("$"):
        return None
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _STEPS.match(path, at)
        if found is None:
            return None
        at = found.end()
        if found["index"] is not None:
            steps.append(("index", int(found["index"])))
        elif found["all"]:
            steps.append(("all", None))
        else:
            name = found["plain"] if found["plain"] is not None else found["single"]
            steps.append(("any", None) if name == "*" else ("name", name))
    return tuple(steps)


def extract(value: Any, steps: tuple[Step, ...]) -> str | None:
    """What a path finds, as get_json_object gives it: strings bare, anything else as JSON."""
    pieces = _find(value, steps, "raw")
    return None if pieces is None else ",".join(pieces)


def _find(value: Any, steps: tuple[Step, ...], style: str) -> list[str] | None:
    """Pieces of text, None where nothing is found. Spark (and Hive) unwrap a wildcard's single match."""
    if not steps:
        return _whole(value, style)
    kind, wanted = steps[0]
    if isinstance(value, Members):
        if kind != "name":
            return None
        for name, item in value:
            if name == wanted and item is not None:
                found = _find(item, steps[1:], style)
                if found is not None:
                    return found
        return None
    if type(value) is not list:
        return None
    if kind == "all":
        return _every(value, steps, style)
    if kind == "index" and wanted < len(value):
        rest = steps[1:]
        return _find(value[wanted], rest, "quoted" if rest and rest[0][0] == "all" else style)
    return None


def _whole(value: Any, style: str) -> list[str] | None:
    if type(value) is list and style == "flat":
        pieces = [_find(item, (), style) for item in value]
        found = [p for piece in pieces if piece is not None for p in piece]
        return found if any(piece is not None for piece in pieces) else None
    if style == "raw" and type(value) is str and not isinstance(value, RawFloat):
        return [value]
    return [compact(value)]


def _every(items: list[Any], steps: tuple[Step, ...], style: str) -> list[str] | None:
    if len(steps) > 1 and steps[1][0] == "all":
        found = [_find(item, steps[2:], "flat") for item in items]
        hits = [p for f in found if f is not None for p in f]
        return [f"[{','.join(hits)}]"] if any(f is not None for f in found) else None
    inner = "flat" if style == "flat" else "quoted"
    matched = [f for f in (_find(item, steps[1:], inner) for item in items) if f is not None]
    hits = [p for f in matched for p in f]
    if style == "quoted":
        return [f"[{','.join(hits)}]"] if matched else None
    if not matched:
        return None
    return hits if len(matched) == 1 else [f"[{','.join(hits)}]"]
