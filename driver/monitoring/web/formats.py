"""Numbers, sizes and times as people read them."""

from __future__ import annotations

import time

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_text(count: float | None) -> str:
    """A size in bytes: ``1.5 GiB``."""
    if count is None:
        return "–"
    value = float(count)
    for unit in _SIZES[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_SIZES[-1]}"


def count_text(count: float | None) -> str:
    """A count, its thousands apart: ``12 345 678``."""
    return "–" if count is None else f"{int(count):,}".replace(",", "\u202f")


def seconds_text(seconds: float | None) -> str:
    """A duration: ``12 ms``, ``3.4 s``, ``2 min 5 s``, ``1 h 2 min``."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def time_text(moment: float | None) -> str:
    """A moment in the server's time zone."""
    return "–" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def iso_text(moment: float) -> str:
    """A moment for machines."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def first_line(text: str, most: int = 160) -> str:
    """A statement on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def skew_text(skew: float | None) -> str:
    """How many times the median the largest task is."""
    return "–" if skew is None else f"{skew:.1f}×"


FILTERS = {
    "size": size_text,
    "count": count_text,
    "seconds": seconds_text,
    "moment": time_text,
    "iso": iso_text,
    "first_line": first_line,
    "skew": skew_text,
}
