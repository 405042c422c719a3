"""The cells that show() prints."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import ANY, Function, never_nullable, parameters
from voltray.executors.functions.to_string import TextStyle, text_of
from voltray.proto.expressions import dtype_of
from voltray.proto.types import STRING


def pretty_string(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    """A cell as text, NULL as ``NULL``."""
    style = TextStyle(evaluation.context.time_zone, null="NULL", pretty=True)
    return text_of(style, dtype_of(evaluation.call.args[0]), value).fill_null("NULL")


FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("to_pretty_string",), parameters(("expr", ANY)), STRING, pretty_string, nullable=never_nullable,
        display=lambda names: f"toprettystring({names[0]})", internal=True,
    ),
)  # fmt: skip
