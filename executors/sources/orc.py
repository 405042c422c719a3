"""ORC, through Arrow's reader and writer."""

from __future__ import annotations

import os
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.orc as pa_orc

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import literal_column
from voltray.executors.sources.base import FileWriter, GroupScan, Options, ScanColumn, Source, SourceFile, WriteGroup
from voltray.executors.sources.compression import check_codec
from voltray.executors.sources.conversion import arrow_to_spark, converted
from voltray.executors.sources.failures import reading
from voltray.executors.sources.merging import merge_schemas
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    TIMESTAMP,
    ArrayType,
    CalendarIntervalType,
    DataType,
    DayTimeIntervalType,
    MapType,
    NullType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    carrier,
)  # fmt: skip

_CODECS = {
    "brotli": ("brotli", ".brotli"), "uncompressed": ("uncompressed", ""), "lz4": ("lz4", ".lz4"),
    "lzo": ("lzo", ".lzo"), "snappy": ("snappy", ".snappy"), "zlib": ("zlib", ".zlib"), "none": ("uncompressed", ""),
    "zstd": ("zstd", ".zstd"),
}  # fmt: skip


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """The schema of the first file, or of all files where they are to be merged."""
    merge = options.flag("mergeSchema", context.conf("spark.sql.orc.mergeSchema", "false") == "true")
    chosen = sorted(files, key=lambda f: f.path)
    chosen = chosen if merge else chosen[:1]
    schemas = [file_schema(f.path) for f in chosen]
    return merge_schemas(schemas) if schemas else None


def file_schema(path: str) -> StructType:
    """The Spark schema of one file."""
    with reading(path, footer=True):
        schema = pa_orc.ORCFile(path).schema
    return StructType([_instants(arrow_to_spark(_microseconds(f), f.name, set())) for f in schema])


def _microseconds(field: pa.Field) -> pa.Field:
    return field.with_type(_coarser(field.type))


def _coarser(dtype: pa.DataType) -> pa.DataType:
    """ORC's instants are read in nanoseconds; Spark knows microseconds."""
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", dtype.tz)
    if pa.types.is_map(dtype):
        return pa.map_(_coarser(dtype.key_type), _coarser(dtype.item_type))
    if pa.types.is_list(dtype):
        return pa.list_(_coarser(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([_microseconds(f) for f in dtype])
    return dtype


def _instants(field: StructField) -> StructField:
    return StructField(field.name, _instant(field.dataType), True)


def _instant(dtype: DataType) -> DataType:
    """ORC's plain timestamps are Spark's instants."""
    match dtype:
        case TimestampNTZType():
            return TIMESTAMP
        case ArrayType():
            return ArrayType(_instant(dtype.elementType), True)
        case MapType():
            return MapType(_instant(dtype.keyType), _instant(dtype.valueType), True)
        case StructType():
            return StructType([_instants(f) for f in dtype.fields])
    return dtype


def scan(group: GroupScan) -> pl.LazyFrame:
    """Rows of the files; each is read when its turn comes, only the columns asked for."""
    frames = [_scan_file(file, group) for file in group.files]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical")


def _scan_file(file: SourceFile, group: GroupScan) -> pl.LazyFrame:
    with reading(file.path):
        names = {f.name.lower(): f.name for f in pa_orc.ORCFile(file.path).schema}
    read = [names[c.name.lower()] for c in group.columns if c.name.lower() in names]
    schema = {c.column: carrier(c.dtype) for c in group.columns} or {"\0rows": pl.Null()}

    def load(_: pl.DataFrame) -> pl.DataFrame:
        with reading(file.path):
            opened = pa_orc.ORCFile(file.path)
            if not group.columns:
                return pl.DataFrame({"\0rows": pl.Series([None]).new_from_index(0, opened.nrows)})
            table = opened.read(columns=read) if read else None
            count = opened.nrows
        held = pl.DataFrame() if table is None else pl.from_arrow(_plain_table(table))
        assert isinstance(held, pl.DataFrame)
        return held.select([_value(c, held, count, names, file, group.context.time_zone) for c in group.columns])

    return pl.LazyFrame({"once": [0]}).map_batches(load, schema=schema, validate_output_schema=False)


def _plain_table(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([_microseconds(f) for f in table.schema]), safe=False)


def _value(
    column: ScanColumn, held: pl.DataFrame, count: int, names: dict[str, str], file: SourceFile, time_zone: str
) -> pl.Expr:
    name = names.get(column.name.lower())
    if name is None:
        missing = pl.select(literal_column(column.default, column.dtype)).to_series(0).new_from_index(0, count)
        return pl.lit(missing).alias(column.column)
    physical = held.schema[name]
    if isinstance(column.dtype, TimestampType) and physical == pl.Datetime("us"):
        local = pl.col(name).dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
        return local.dt.convert_time_zone("UTC").alias(column.column)
    value = converted(pl.col(name), physical, column.dtype)
    if value is None:
        message = f"Unable to convert {held.schema[name]} of the file {file.path} to {column.dtype.simpleString()}"
        raise spark_error("", ErrorKind.SPARK, message=message)
    return value.alias(column.column)


def codec(options: Options) -> str:
    """The codec that the options name."""
    return options.text("compression", "orc.compress", default="zstd").lower()


def _check(options: Options) -> None:
    check_codec(codec(options), tuple(_CODECS))


def _extension(options: Options) -> str:
    return _CODECS[codec(options)][1] + ".orc"


def _sink(group: WriteGroup, target: Any) -> Any:
    """Sink Arrow's own format first: :func:`_finish` turns each finished file into ORC."""
    items = []
    for attribute in group.data_attributes:
        value = pl.col(attribute.column)
        if isinstance(attribute.dtype, NullType):
            value = value.cast(pl.Boolean)
        elif isinstance(attribute.dtype, DayTimeIntervalType):
            value = value.cast(pl.Int64)
        elif isinstance(attribute.dtype, TimestampType):
            # Spark keeps an instant as the wall-clock time of its zone.
            value = value.dt.convert_time_zone(group.context.time_zone).dt.replace_time_zone(None)
        items.append(value.alias(attribute.name))
    return group.frame.select(*items, *group.keys).sink_ipc(
        target, compat_level=pl.CompatLevel.oldest(), lazy=True, engine="streaming", mkdir=True,
    )  # fmt: skip


def _finish(path: str, group: WriteGroup) -> None:
    staged = f"{path}.arrow"
    os.rename(path, staged)
    with pa.OSFile(staged, "rb") as source, pa.ipc.open_file(source) as reader:
        schema = pa.schema([f.with_type(_orc_type(f.type)) for f in reader.schema])
        with pa_orc.ORCWriter(path, compression=_CODECS[codec(group.options)][0]) as writer:
            for i in range(reader.num_record_batches):
                writer.write(pa.Table.from_batches([reader.get_batch(i)]).cast(schema))
            if not reader.num_record_batches:
                writer.write(schema.empty_table())
    os.remove(staged)


def _orc_type(dtype: pa.DataType) -> pa.DataType:
    """Arrow types that the ORC writer knows."""
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us")
    if pa.types.is_large_string(dtype):
        return pa.string()
    if pa.types.is_large_binary(dtype):
        return pa.binary()
    if pa.types.is_large_list(dtype) or pa.types.is_list(dtype):
        return pa.list_(_orc_type(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([f.with_type(_orc_type(f.type)) for f in dtype])
    if pa.types.is_map(dtype):
        return pa.map_(_orc_type(dtype.key_type), _orc_type(dtype.item_type))
    return dtype


def supports(dtype: DataType) -> bool:
    """All but old intervals and times."""
    return not isinstance(dtype, CalendarIntervalType | TimeType)


SOURCE = Source(
    names=("orc", "org.apache.spark.sql.execution.datasources.orc"),
    title="ORC",
    infer=infer,
    scan=scan,
    supports=supports,
    writer=FileWriter(_extension, _check, _sink, _finish),
)
