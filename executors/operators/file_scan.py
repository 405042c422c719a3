"""Files of any format."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import FileScan


def compile_file_scan(operator: FileScan, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """What the format's source makes of the files."""
    from voltray.executors.sources.catalogue import scan  # sources import the task's context from here

    return scan(operator, task)
