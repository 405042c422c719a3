"""The hidden column ``_metadata``: what is known of the file that a row comes from."""

from __future__ import annotations

import os

import polars as pl

from voltray.executors.sources.base import SourceFile
from voltray.executors.sources.listing import file_uri
from voltray.proto.types import LONG, STRING, TIMESTAMP, DataType, StructField, StructType

ROW_INDEX = "\0row_index"
_FIELDS = (
    ("file_path", STRING), ("file_name", STRING), ("file_size", LONG), ("file_block_start", LONG),
    ("file_block_length", LONG), ("file_modification_time", TIMESTAMP),
)  # fmt: skip


def metadata_type(row_index: bool) -> StructType:
    """The struct of the column; Parquet files also number their rows."""
    fields = [StructField(name, dtype, False) for name, dtype in _FIELDS]
    return StructType([*fields, StructField("row_index", LONG, False)] if row_index else fields)


def field_names(dtype: DataType) -> list[str]:
    """The fields of the struct that are asked for."""
    return [f.name for f in dtype.fields] if isinstance(dtype, StructType) else []


def metadata_value(file: SourceFile, dtype: DataType, row_index: bool) -> pl.Expr:
    """The column's value for all rows of one file; ``dtype`` may have lost fields that no one reads."""
    values = {
        "file_path": pl.lit(file_uri(file.path)),
        "file_name": pl.lit(os.path.basename(file.path)),
        "file_size": pl.lit(file.size, dtype=pl.Int64),
        "file_block_start": pl.lit(file.start, dtype=pl.Int64),
        "file_block_length": pl.lit(file.block_length, dtype=pl.Int64),
        "file_modification_time": pl.lit(file.modification_time, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        "row_index": pl.col(ROW_INDEX) if row_index else pl.lit(None, dtype=pl.Int64),
    }
    assert isinstance(dtype, StructType)
    return pl.struct([values[f.name].alias(f.name) for f in dtype.fields])
