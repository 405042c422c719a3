"""binaryFile: each file a row."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import GroupScan, Options, Source, SourceFile
from voltray.executors.sources.failures import reading
from voltray.executors.sources.listing import file_uri
from voltray.proto.types import BINARY, LONG, STRING, TIMESTAMP, DataType, StructField, StructType, carrier

SCHEMA = StructType(
    [
        StructField("path", STRING, True),
        StructField("modificationTime", TIMESTAMP, True),
        StructField("length", LONG, True),
        StructField("content", BINARY, True),
    ]
)


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """Always the same four columns."""
    return SCHEMA


def scan(group: GroupScan) -> pl.LazyFrame:
    """A row for each file; contents are read only where asked for."""
    values: dict[str, pl.Series] = {}
    for column in group.columns or (None,):
        if column is None:
            values["\0rows"] = pl.Series([None] * len(group.files))
            continue
        values[column.column] = _column(column.name.lower(), group.files).cast(carrier(column.dtype))
    return pl.LazyFrame(values)


def _column(name: str, files: tuple[SourceFile, ...]) -> pl.Series:
    if name == "path":
        return pl.Series([file_uri(f.path) for f in files], dtype=pl.String)
    if name == "modificationtime":
        return pl.Series([f.modification_time for f in files], dtype=pl.Int64)
    if name == "length":
        return pl.Series([f.size for f in files], dtype=pl.Int64)
    return pl.Series([_content(f) for f in files], dtype=pl.Binary)


def _content(file: SourceFile) -> bytes:
    with reading(file.path), open(file.path, "rb") as opened:
        return opened.read()


def supports(dtype: DataType) -> bool:
    """The types of the four columns."""
    return dtype in (BINARY, LONG, STRING, TIMESTAMP)


SOURCE = Source(
    names=("binaryFile", "org.apache.spark.sql.execution.datasources.binaryfile"),
    title="binaryFile",
    infer=infer,
    scan=scan,
    supports=supports,
    fixed_schema=SCHEMA,
)
