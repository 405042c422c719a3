"""Variables of a notebook in a statement: `{name}` becomes a parameter, and its value never becomes text of SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from IPython.core.error import UsageError
from pyspark.sql.connect import functions
from pyspark.sql.connect.column import Column
from pyspark.sql.connect.dataframe import DataFrame

# What is quoted or commented out stays as it is: JSON in a string is no variable.
_TOKEN = re.compile(
    r"""(?P<kept>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `[^`]*` | --[^\n]* | /\*.*?\*/)
      | \{\s*(?P<name>[^{}]*?)\s*\}
      | [{}]""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(slots=True)
class Statement:
    """A statement as ``SparkSession.sql`` takes it."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)
    """Values by the name of their parameter."""
    frames: dict[str, DataFrame | Column] = field(default_factory=dict)
    """DataFrames and columns, which PySpark puts in itself: as relations of the plan, not as text."""


def bind_variables(text: str, variables: Mapping[str, Any]) -> Statement:
    """A statement with its `{name}`s as parameters; raises UsageError for a name that there is not."""
    statement = Statement(text)
    names = [match["name"] for match in _TOKEN.finditer(text) if match["name"] is not None]
    for name in dict.fromkeys(names):
        if not name.isidentifier():
            raise UsageError(f"{{{name}}}: between the braces stands the name of a variable")
        if name not in variables:
            raise UsageError(f"{{{name}}}: there is no variable of this name")
        value = variables[name]
        if isinstance(value, DataFrame | Column):
            statement.frames[name] = value
        else:
            statement.values[name] = _parameter(value)

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            # With frames, PySpark reads the text as a format, where braces are doubled.
            return match[0].replace("{", "{{").replace("}", "}}") if statement.frames else match[0]
        return f"{{{name}}}" if name in statement.frames else f":{name}"

    statement.text = _TOKEN.sub(replace, text)
    return statement


def _parameter(value: Any) -> Any:
    """A value as PySpark takes it: it knows no maps, and of sequences lists alone."""
    if isinstance(value, dict):
        return functions.create_map(*[functions.lit(_parameter(part)) for pair in value.items() for part in pair])
    if isinstance(value, tuple):
        return list(value)
    return value
