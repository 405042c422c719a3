"""JSON: one record a line, or a document a file."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.json as pa_json

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import FileWriter, GroupScan, Options, ScanColumn, Source, SourceFile, WriteGroup
from voltray.executors.sources.json_inference import infer_json, is_plain_json
from voltray.executors.sources.json_records import JsonRecords
from voltray.executors.sources.malformed import MalformedRows, corrupt_column, corrupt_records
from voltray.executors.sources.rendering import json_object
from voltray.executors.sources.text import (
    check_text_codec,
    compress_text,
    file_lines,
    line_batches,
    sink_lines,
    text_extension,
)
from voltray.executors.sources.text_values import parse_text
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    ArrayType,
    BooleanType,
    ByteType,
    CalendarIntervalType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

_EXACT_AT_ONCE = 128
_ARROW: dict[type[DataType], pa.DataType] = {
    ByteType: pa.int8(), ShortType: pa.int16(), IntegerType: pa.int32(), LongType: pa.int64(), FloatType: pa.float32(),
    DoubleType: pa.float64(), BooleanType: pa.bool_(),
}  # fmt: skip


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """The schema of all records."""
    if not files:
        return None
    return infer_json(line_batches(_records(files, options)), options, context)


def infer_from_lines(lines: pl.Series, options: Options, context: EvaluationContext) -> StructType:
    """The schema of records that stand in a column (``spark.read.json`` of a DataFrame of strings)."""
    return infer_json([lines.filter(lines.str.contains(r"\S"))], options, context)


def _records(files: tuple[SourceFile, ...], options: Options) -> pl.LazyFrame:
    encoding = options.text("encoding", "charset", default="utf-8")
    pairs = [(k, v) for k, v in options.items() if k != "wholetext"]
    whole = Options([*pairs, ("wholetext", "true")] if options.flag("multiLine") else pairs)
    frames = [file_lines(f, whole, encoding) for f in files]
    lines = frames[0] if len(frames) == 1 else pl.concat(frames)
    return lines.with_columns(pl.col("line").str.strip_prefix("\ufeff")).filter(pl.col("line").str.contains(r"\S"))


def scan(group: GroupScan) -> pl.LazyFrame:
    """Records as columns; what does not fit is NULL, dropped or an error, as the mode says."""
    rows = JsonRows(group)
    schema = {c.column: carrier(c.dtype) for c in group.columns} or {"\0rows": pl.Null()}
    return _records(group.files, group.options).map_batches(
        rows, schema=schema, streamable=True, validate_output_schema=False
    )


class JsonRows:
    """Turns batches of records into typed columns."""

    def __init__(self, group: GroupScan) -> None:
        self._group = group
        self._corrupt = corrupt_column(group.schema, group.options, group.context)
        self._malformed = MalformedRows(group.options, group.context, group.files)
        if group.columns and all(c.name == self._corrupt for c in group.columns):
            raise spark_error("UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN", ErrorKind.ANALYSIS)
        self._strict = self._malformed.mode != "PERMISSIVE" or any(c.name == self._corrupt for c in group.columns)
        self._fields = self._needed()
        self._plain = all(_is_plain(f.dataType, True) for f in self._fields)
        self._reader = JsonRecords(StructType(self._fields), group.options, group.context)

    def _needed(self) -> list[StructField]:
        if self._strict:
            return [f for f in self._group.schema.fields if f.name != self._corrupt]
        return [StructField(c.name, c.dtype, True) for c in self._group.columns]

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        return self._read(batch["line"])

    def _read(self, records: pl.Series) -> pl.DataFrame:
        if self._plain:
            series = self._by_arrow(records)
            if series is not None:
                return self._framed(series, records)
            if len(records) > _EXACT_AT_ONCE:
                # Few records are at fault, as a rule: halving finds them, and the rest is read quickly.
                half = len(records) // 2
                return pl.concat([self._read(records[:half]), self._read(records[half:])])
        series, bad, sources = self._reader.read(records.to_list())
        records = records.gather(sources)
        frame = self._framed(series, records, bad)
        return self._malformed.handled(frame, bad, records) if self._strict else frame

    def _framed(self, series: list[pl.Series], records: pl.Series, bad: pl.Series | None = None) -> pl.DataFrame:
        by_name = {f.name: s for f, s in zip(self._fields, series, strict=True)}
        columns = []
        for column in self._group.columns:
            if column.name == self._corrupt:
                none = pl.Series([False]).new_from_index(0, len(records))
                found = corrupt_records(records, none if bad is None else bad)
            else:
                found = by_name[column.name].cast(carrier(column.dtype))
            columns.append(found.alias(column.column))
        return pl.DataFrame(columns or [pl.Series("\0rows", [None]).new_from_index(0, len(records))])

    def _by_arrow(self, records: pl.Series) -> list[pl.Series] | None:
        """The quick way: Arrow's own parser, strict about types; None sends the batch the exact way."""
        if not self._fields or not is_plain_json(records):
            return None
        data = "\n".join(records.to_list()).encode()
        schema = pa.schema([pa.field(f.name, _arrow(f.dataType)) for f in self._fields])
        parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        read = pa_json.ReadOptions(block_size=len(data) + 1)
        try:
            table = pa_json.read_json(pa.BufferReader(data), read_options=read, parse_options=parse)
        except (pa.ArrowException, ValueError):
            return None
        if table.num_rows != len(records):
            return None
        held = pl.from_arrow(table)
        assert isinstance(held, pl.DataFrame)
        return self._converted(held)

    def _converted(self, held: pl.DataFrame) -> list[pl.Series] | None:
        series = []
        for field in self._fields:
            column = held[field.name]
            if isinstance(field.dataType, DateType | TimestampType):
                value = parse_text(column, field.dataType, self._group.options, self._group.context)
                if value.null_count() != column.null_count():
                    return None
                column = value
            series.append(column)
        return series


def _is_plain(dtype: DataType, top: bool) -> bool:
    """Whether Arrow's parser reads the type as Spark does, or refuses."""
    if type(dtype) in _ARROW:
        return True
    match dtype:
        case StringType() | DecimalType():
            return True
        case DateType() | TimestampType():
            return top
        case ArrayType():
            return _is_plain(dtype.elementType, False)
        case StructType():
            names = struct_carrier_names(dtype)
            return bool(names) and all(_is_plain(f.dataType, False) for f in dtype.fields)
    return False


def _arrow(dtype: DataType) -> pa.DataType:
    if type(dtype) in _ARROW:
        return _ARROW[type(dtype)]
    match dtype:
        case DecimalType():
            return pa.decimal128(dtype.precision, dtype.scale)
        case ArrayType():
            return pa.list_(_arrow(dtype.elementType))
        case StructType():
            return pa.struct([pa.field(f.name, _arrow(f.dataType)) for f in dtype.fields])
    return pa.string()


def supports(dtype: DataType) -> bool:
    """All but old intervals."""
    return not isinstance(dtype, CalendarIntervalType)


def _sink(group: WriteGroup, target: Any) -> Any:
    fields = [(a.name, pl.col(a.column), a.dtype) for a in group.data_attributes]
    line = json_object(fields, group.options, group.context).alias("line")
    separator = group.options.get("lineSep", "\n")
    return sink_lines(group.frame.select(line, *group.keys), target, separator)


def columns_of(schema: StructType) -> tuple[ScanColumn, ...]:
    """All fields of a schema as columns under their own names."""
    return tuple(ScanColumn(f.name, f.dataType, f.name) for f in schema.fields)


SOURCE = Source(
    names=("json", "org.apache.spark.sql.execution.datasources.json"),
    title="JSON",
    infer=infer,
    scan=scan,
    supports=supports,
    writer=FileWriter(text_extension(".json"), check_text_codec, _sink, compress_text),
)
