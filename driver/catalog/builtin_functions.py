"""Spark's built-in functions as the catalog lists them, from ``functions.tsv`` (read off Spark 4.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class FunctionEntry:
    """A built-in function: its name, its class in Spark and a description."""

    name: str
    class_name: str | None
    description: str | None = None


@lru_cache(maxsize=1)
def builtin_functions() -> Mapping[str, FunctionEntry]:
    """All built-in functions by name, in Spark's order."""
    text = resources.files("voltray.driver.catalog").joinpath("functions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line)
    return {name: FunctionEntry(name, None if class_name == "None" else class_name) for name, class_name in rows}
