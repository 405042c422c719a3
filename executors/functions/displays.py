"""Generated names of calls whose parameters have defaults: Spark shows the defaults too."""

from __future__ import annotations

from collections.abc import Callable


def with_defaults(name: str, total: int, *defaults: str) -> Callable[[tuple[str, ...]], str]:
    """``name(given, defaults of the rest)`` of ``total`` parameters; ``defaults`` are of the last ones."""

    def display(names: tuple[str, ...]) -> str:
        missing = max(0, total - len(names))
        return f"{name}({', '.join([*names, *defaults[len(defaults) - missing :]])})"

    return display
