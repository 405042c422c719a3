"""Parquet: schemas as Spark reads them, scans that push filters into Polars, writes that Spark can read."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from pyspark.sql.types import StructType as SparkStructType

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import literal_column
from voltray.executors.sources.base import FileWriter, GroupScan, Options, Source, SourceFile, WriteGroup
from voltray.executors.sources.compression import check_codec
from voltray.executors.sources.conversion import arrow_to_spark, converted
from voltray.executors.sources.failures import column_mismatch, reading, unreadable_file
from voltray.executors.sources.merging import merge_schemas
from voltray.proto.expressions import Attribute
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    CalendarIntervalType,
    DataType,
    DayTimeIntervalType,
    NullType,
    StructField,
    StructType,
    carrier,
    with_nullability,
)  # fmt: skip

_ROWS = "\0rows"
ROW_METADATA = "org.apache.spark.sql.parquet.row.metadata"
# In the order in which Spark names them.
_CODECS: dict[str, tuple[Any, str]] = {
    "brotli": ("brotli", ".br"), "uncompressed": ("uncompressed", ""), "lzo": ("lzo", ".lzo"),
    "snappy": ("snappy", ".snappy"), "lz4_raw": ("lz4", ".lz4raw"), "none": ("uncompressed", ""),
    "zstd": ("zstd", ".zstd"), "lz4": ("lz4", ".lz4hadoop"), "gzip": ("gzip", ".gz"),
}  # fmt: skip


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """The schema of the first file, or of all files where they are to be merged."""
    merge = options.flag("mergeSchema", context.conf("spark.sql.parquet.mergeSchema", "false") == "true")
    chosen = sorted(files, key=lambda f: f.path)
    chosen = chosen if merge else chosen[:1]
    schemas = [file_schema(f.path) for f in chosen]
    return _nullable(merge_schemas(schemas)) if schemas else None


def file_schema(path: str) -> StructType:
    """The Spark schema of one file: the one that Spark noted in it, else what its columns tell."""
    with reading(path, footer=True):
        footer = pq.ParquetFile(path)
    noted = (footer.metadata.metadata or {}).get(ROW_METADATA.encode())
    if noted:
        return SparkStructType.fromJson(json.loads(noted))
    legacy = {
        column.path
        for column in (footer.schema.column(i) for i in range(len(footer.schema)))
        if column.physical_type == "INT96"
    }
    fields = [arrow_to_spark(f, f.name, legacy) for f in footer.schema_arrow]
    return StructType(fields)


def _nullable(schema: StructType) -> StructType:
    nullable = with_nullability(schema, True)
    assert isinstance(nullable, StructType)
    for field, original in zip(nullable.fields, schema.fields, strict=True):
        field.metadata = original.metadata
    return nullable


def scan(group: GroupScan) -> pl.LazyFrame:
    """Rows of the files, which may differ in their schemas."""
    by_schema: dict[tuple[Any, ...], list[SourceFile]] = defaultdict(list)
    frames = []
    single = group.row_index is not None or any(f.length is not None for f in group.files)
    for file in group.files:
        try:
            schema = tuple(pl.read_parquet_schema(file.path).items())
        except Exception as error:  # noqa: BLE001  Polars raises errors of many families
            frames += _scan_otherwise(file, group, error)
            continue
        by_schema[(schema, file if single else None)].append(file)
    frames += [_scan_alike(files, dict(key[0]), group) for key, files in by_schema.items()]
    if not frames:
        return pl.LazyFrame(schema={c.column: carrier(c.dtype) for c in group.columns})
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical")


def _scan_otherwise(file: SourceFile, group: GroupScan, error: Exception) -> list[pl.LazyFrame]:
    """A file that Polars does not read (it knows no columns of NULLs alone), read by Arrow, or Spark's error."""
    try:
        table = pq.read_table(file.path, partitioning=None, coerce_int96_timestamp_unit="us")
    except Exception:  # noqa: BLE001
        if _ignored(error, group):
            return []
        raise unreadable_file(file.path) from error
    held = pl.from_arrow(table)
    assert isinstance(held, pl.DataFrame)
    frame = held.lazy()
    if group.row_index is not None or not group.columns:
        frame = frame.with_row_index(group.row_index or _ROWS)
    frame = frame if file.length is None else frame.slice(*_row_range(file))
    return [_converted(frame, dict(held.schema), file.path, group)]


def _ignored(error: Exception, group: GroupScan) -> bool:
    name = "ignoreMissingFiles" if isinstance(error, FileNotFoundError) else "ignoreCorruptFiles"
    return group.options.flag(name, group.context.conf(f"spark.sql.files.{name}", "false") == "true")


def _scan_alike(files: list[SourceFile], physical: dict[str, pl.DataType], group: GroupScan) -> pl.LazyFrame:
    paths = [f.path for f in files]
    frame = pl.scan_parquet(
        paths, glob=False, hive_partitioning=False, cache=False,
        row_index_name=group.row_index if group.columns else group.row_index or _ROWS,
    )  # fmt: skip
    if files[0].length is not None:
        frame = frame.slice(*_row_range(files[0]))
    return _converted(frame, physical, paths[0], group)


def _converted(frame: pl.LazyFrame, physical: dict[str, pl.DataType], path: str, group: GroupScan) -> pl.LazyFrame:
    case_sensitive = group.context.conf("spark.sql.caseSensitive", "false") == "true"
    found = {c.name: _match(c.name, physical, case_sensitive) for c in group.columns}
    items = []
    for column in group.columns:
        name = found[column.name]
        if name is None:
            items.append(literal_column(column.default, column.dtype).alias(column.column))
            continue
        value = converted(pl.col(name), physical[name], column.dtype)
        if value is None:
            raise column_mismatch(path, name, column.dtype.simpleString(), _physical_name(path, name))
        items.append(value.alias(column.column))
    if group.row_index is not None:
        items.append(pl.col(group.row_index).cast(pl.Int64))
    index = [] if group.row_index is None else [group.row_index]
    if not items:
        return frame.select(pl.col(_ROWS))
    # A select of constants alone has one row; beside columns they have as many.
    return frame.with_columns(items).select([c.column for c in group.columns] + index)


def _match(name: str, physical: dict[str, pl.DataType], case_sensitive: bool) -> str | None:
    if case_sensitive:
        return name if name in physical else None
    same = [p for p in physical if p.lower() == name.lower()]
    if len(same) > 1:
        shown = ", ".join(same)
        message = f'Found duplicate field(s) "{name}": [{shown}] in case-insensitive mode'
        raise spark_error("_LEGACY_ERROR_TEMP_2093", ErrorKind.RUNTIME, message=message)
    return same[0] if same else None


def _physical_name(path: str, column: str) -> str:
    schema = pq.ParquetFile(path).schema
    leaves = [schema.column(i) for i in range(len(schema))]
    found = [c.physical_type for c in leaves if c.path == column]
    return found[0] if found else "group"


def _row_range(file: SourceFile) -> tuple[int, int]:
    """The rows of the row groups whose middle lies in this part of the file."""
    metadata = pq.read_metadata(file.path)
    end = file.start + file.block_length
    before = count = 0
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        size = sum(group.column(c).total_compressed_size for c in range(group.num_columns))
        middle = _start_of(group) + size // 2
        if middle < file.start:
            before += group.num_rows
        elif middle < end:
            count += group.num_rows
    return before, count


def _start_of(group: pq.RowGroupMetaData) -> int:
    column = group.column(0)
    first = column.data_page_offset
    dictionary = column.dictionary_page_offset
    return int(min(first, dictionary) if dictionary else first)


def codec(options: Options) -> str:
    """The codec that the options (or the conf, put into the options) name."""
    return options.text("compression", "parquet.compression", default="snappy").lower()


def _check(options: Options) -> None:
    check_codec(codec(options), tuple(_CODECS))


def _extension(options: Options) -> str:
    return _CODECS[codec(options)][1] + ".parquet"


def _sink(group: WriteGroup, target: Any) -> Any:
    kept = group.data_attributes
    noted = StructType([StructField(a.name, a.dtype, a.nullable, dict(a.metadata)) for a in kept])
    items = [_stored(a).alias(a.name) for a in kept]
    return group.frame.select(*items, *group.keys).sink_parquet(
        target, compression=_CODECS[codec(group.options)][0], row_group_size=1_000_000,
        metadata={ROW_METADATA: noted.json()}, lazy=True, engine="streaming", mkdir=True,
    )  # fmt: skip


def _stored(attribute: Attribute) -> pl.Expr:
    value = pl.col(attribute.column)
    if isinstance(attribute.dtype, NullType):
        return value.cast(pl.Boolean)
    return value.cast(pl.Int64) if isinstance(attribute.dtype, DayTimeIntervalType) else value


def supports(dtype: DataType) -> bool:
    """Whether Parquet can hold a type."""
    return not isinstance(dtype, CalendarIntervalType)


SOURCE = Source(
    names=("parquet", "org.apache.spark.sql.parquet", "org.apache.spark.sql.execution.datasources.parquet"),
    title="Parquet",
    infer=infer,
    scan=scan,
    supports=supports,
    writer=FileWriter(_extension, _check, _sink),
    splittable=True,
    row_index=True,
)
