"""All rows of several inputs."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.columns import select_columns
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import Union
from voltray.proto.types import carrier


def compile_union(operator: Union, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """The inputs one after another, by position; each in the carriers of the output."""
    frames = []
    for child, output in zip(children, operator.child_outputs, strict=True):
        columns = []
        for attribute, source in zip(operator.attributes, output, strict=True):
            wanted = carrier(attribute.dtype)
            column = pl.col(source.column)
            same = carrier(source.dtype) == wanted
            columns.append((column if same else column.cast(wanted)).alias(attribute.column))
        frames.append(select_columns(child, columns, has_input=bool(columns)))
    return pl.concat(frames, how="vertical")
