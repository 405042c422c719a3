"""Rows that came with the plan."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from voltray.executors.operators.task import ONE_ROW_COLUMN, TaskContext
from voltray.proto.expressions import Attribute
from voltray.proto.operators import LocalScan
from voltray.proto.types import carrier


def compile_local_scan(operator: LocalScan, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """The table's columns, by position, under the attributes' ids and in their carriers."""
    return frame_of(operator.data, operator.attributes).lazy()


def frame_of(data: Any, attributes: tuple[Attribute, ...]) -> pl.DataFrame:
    """An Arrow table (or Polars frame) as a frame of these attributes, by position."""
    if not attributes:
        height = data.num_rows if isinstance(data, pa.Table) else data.height
        return pl.DataFrame({ONE_ROW_COLUMN: pl.repeat(None, height, dtype=pl.Null, eager=True)})
    columns = data.columns if isinstance(data, pa.Table) else data.get_columns()
    series: dict[str, pl.Series] = {}
    for attribute, column in zip(attributes, columns, strict=True):
        values = column if isinstance(column, pl.Series) else pl.Series(attribute.column, column)
        wanted = carrier(attribute.dtype)
        series[attribute.column] = values if values.dtype == wanted else values.cast(wanted)
    return pl.DataFrame(series)
