"""CSV: schemas from headers and values, lenient and strict reading, and Spark's way of writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import FileWriter, GroupScan, Options, Source, SourceFile, WriteGroup
from voltray.executors.sources.csv_inference import infer_types
from voltray.executors.sources.csv_tokens import CsvDialect, dialect_of, join_quoted_lines, split_line, tokenize
from voltray.executors.sources.malformed import MalformedRows, corrupt_column, corrupt_records, failed_record
from voltray.executors.sources.rendering import rendered_text
from voltray.executors.sources.text import (
    check_text_codec,
    compress_text,
    file_lines,
    line_batches,
    sink_lines,
    text_extension,
)
from voltray.executors.sources.text_values import parse_text
from voltray.proto.types import (
    STRING,
    ArrayType,
    BinaryType,
    CalendarIntervalType,
    DataType,
    MapType,
    NullType,
    StructField,
    StructType,
    UserDefinedType,
    VariantType,
    carrier,
)  # fmt: skip

_LEFT_OUT = (ArrayType, MapType, StructType, CalendarIntervalType, BinaryType, VariantType)


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """Names from the header (or ``_c0`` ...), types from the values where ``inferSchema`` asks for them."""
    if not files:
        return None
    dialect = dialect_of(options)
    first = next((line for f in files for line in _first_line(f, options, dialect)), None)
    if first is None:
        return StructType([])
    tokens = tokenize(pl.Series([first]), dialect)[0].to_list()
    names = header_names(tokens, options.flag("header"), context.conf("spark.sql.caseSensitive") == "true")
    if not options.flag("inferSchema"):
        return StructType([StructField(n, STRING, True) for n in names])
    ratio = float(options.get("samplingRatio", "1.0"))
    batches = line_batches(_lines(files, options, dialect))
    sampled = (b.sample(fraction=ratio, seed=1) if ratio < 1 and len(b) else b for b in batches)
    types = infer_types((tokenize(b, dialect) for b in sampled), len(names), options, context)
    return StructType([StructField(n, t, True) for n, t in zip(names, types, strict=True)])


def infer_from_lines(lines: pl.Series, options: Options, context: EvaluationContext) -> StructType:
    """The schema of lines that stand in a column (``spark.read.csv`` of a DataFrame of strings)."""
    dialect = dialect_of(options)
    kept = lines.to_frame("line").filter(_is_record(dialect))["line"]
    if not len(kept):
        return StructType([])
    tokens = tokenize(kept.head(1), dialect)[0].to_list()
    names = header_names(tokens, options.flag("header"), context.conf("spark.sql.caseSensitive") == "true")
    if not options.flag("inferSchema"):
        return StructType([StructField(n, STRING, True) for n in names])
    types = infer_types([tokenize(kept, dialect)], len(names), options, context)
    return StructType([StructField(n, t, True) for n, t in zip(names, types, strict=True)])


def header_names(tokens: Sequence[str | None], has_header: bool, case_sensitive: bool) -> list[str]:
    """Column names that are never empty and never twice."""
    if not has_header:
        return [f"_c{i}" for i in range(len(tokens))]
    keys = [t if case_sensitive or t is None else t.lower() for t in tokens]
    names = []
    for i, (token, key) in enumerate(zip(tokens, keys, strict=True)):
        if not token:
            names.append(f"_c{i}")
        else:
            names.append(f"{token}{i}" if keys.count(key) > 1 else token)
    return names


def _is_record(dialect: CsvDialect) -> pl.Expr:
    line = pl.col("line")
    kept = line.str.contains(r"\S")
    return kept & ~line.str.starts_with(dialect.comment) if dialect.comment else kept


def _file_records(file: SourceFile, options: Options, dialect: CsvDialect) -> pl.LazyFrame:
    encoding = options.text("encoding", "charset", default="utf-8")
    lines = file_lines(file, Options([(k, v) for k, v in options.items() if k != "wholetext"]), encoding)
    if options.flag("multiLine"):
        joined = join_quoted_lines(lines.collect()["line"].to_list(), dialect)
        lines = pl.LazyFrame({"line": joined}, schema={"line": pl.String})
    return lines.filter(_is_record(dialect))


def _first_line(file: SourceFile, options: Options, dialect: CsvDialect) -> list[str]:
    lines = _file_records(file, options, dialect).head(1).collect()["line"].to_list()
    return [line.removeprefix("\ufeff") for line in lines]


def _lines(files: tuple[SourceFile, ...], options: Options, dialect: CsvDialect) -> pl.LazyFrame:
    """All records of the files, without their headers."""
    skip = 1 if options.flag("header") else 0
    frames = [_file_records(f, options, dialect).slice(skip) for f in files]
    lines = frames[0] if len(frames) == 1 else pl.concat(frames)
    return lines if skip else lines.with_columns(pl.col("line").str.strip_prefix("\ufeff"))


def scan(group: GroupScan) -> pl.LazyFrame:
    """Records as columns; what does not fit is NULL, dropped or an error, as the mode says."""
    dialect = dialect_of(group.options)
    _check_headers(group, dialect)
    lines = _lines(group.files, group.options, dialect)
    read = CsvRows(group, dialect)
    schema = {c.column: carrier(c.dtype) for c in group.columns} or {"\0rows": pl.Null()}
    return lines.map_batches(read, schema=schema, streamable=True, validate_output_schema=False)


def _check_headers(group: GroupScan, dialect: CsvDialect) -> None:
    options = group.options
    if not options.flag("header") or options.flag("enforceSchema", True):
        return
    expected = [f.name for f in group.schema.fields]
    for file in group.files:
        for line in _first_line(file, options, dialect):
            found = split_line(line, dialect)
            if [str(n).lower() for n in found] != [n.lower() for n in expected]:
                words = (
                    "CSV header does not conform to the schema.\n"
                    f" Header: {', '.join(map(str, found))}\n"
                    f" Schema: {', '.join(expected)}"
                )
                raise failed_record(file.path, words)


class CsvRows:
    """Turns batches of lines into typed columns."""

    def __init__(self, group: GroupScan, dialect: CsvDialect) -> None:
        self._group = group
        self._dialect = dialect
        self._malformed = MalformedRows(group.options, group.context, group.files)
        self._corrupt = corrupt_column(group.schema, group.options, group.context)
        self._fields = [f for f in group.schema.fields if f.name != self._corrupt]

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        lines = batch["line"]
        tokens = tokenize(lines, self._dialect)
        strict = self._malformed.mode != "PERMISSIVE" or any(c.name == self._corrupt for c in self._group.columns)
        wanted = {c.name: c for c in self._group.columns}
        held = pl.DataFrame({"tokens": tokens})
        bad = (tokens.list.len() != len(self._fields)) if strict else pl.Series([False]).new_from_index(0, len(lines))
        columns: dict[str, pl.Series] = {}
        for i, field in enumerate(self._fields):
            if field.name not in wanted and not strict:
                continue
            text = held.select(pl.col("tokens").list.get(i, null_on_oob=True))["tokens"]
            value = parse_text(text, field.dataType, self._group.options, self._group.context)
            if strict:
                bad = bad | (value.is_null() & text.is_not_null())
            if field.name in wanted:
                columns[wanted[field.name].column] = value.alias(wanted[field.name].column)
        if self._corrupt in wanted:
            columns[wanted[self._corrupt].column] = corrupt_records(lines, bad).alias(wanted[self._corrupt].column)
        if not columns:
            columns["\0rows"] = pl.Series("\0rows", [None]).new_from_index(0, len(lines))
        frame = pl.DataFrame([columns[c.column] for c in self._group.columns] or list(columns.values()))
        return self._malformed.handled(frame, bad, lines) if strict else frame


def supports(dtype: DataType) -> bool:
    """All but nested types, binary, and old intervals."""
    if isinstance(dtype, UserDefinedType):
        return supports(dtype.sqlType())
    return not isinstance(dtype, _LEFT_OUT)


def _sink(group: WriteGroup, target: Any) -> Any:
    options = group.options
    separator = options.text("sep", "delimiter", default=",").replace("\\t", "\t")
    cells = [_cell(a.column, a.dtype, separator, group) for a in group.data_attributes]
    line = pl.concat_str(cells, separator=separator).alias("line")
    header = None
    if options.flag("header"):
        names = pl.DataFrame({"name": [a.name for a in group.data_attributes]})
        header = separator.join(
            names.select(_quoted(pl.col("name"), separator, options).alias("name"))["name"].to_list()
        )
    return sink_lines(group.frame.select(line, *group.keys), target, options.get("lineSep", "\n"), header)


def _cell(column: str, dtype: DataType, separator: str, group: WriteGroup) -> pl.Expr:
    options = group.options
    value = pl.col(column)
    text = pl.lit(None, dtype=pl.String)
    if not isinstance(dtype, NullType):
        text = rendered_text(value, dtype, options, group.context, "csv")
    if options.flag("ignoreLeadingWhiteSpace", True):
        text = text.str.strip_chars_start()
    if options.flag("ignoreTrailingWhiteSpace", True):
        text = text.str.strip_chars_end()
    return _quoted(text, separator, options).fill_null(pl.lit(options.get("nullValue", "")))


def _quoted(text: pl.Expr, separator: str, options: Options) -> pl.Expr:
    """A cell with quotes where they are needed; an empty text as an empty quotation."""
    quote = options.get("quote", '"') or "\0"
    escape = options.get("escape", "\\")
    needs = text.str.contains(separator, literal=True) | text.str.contains(r"[\r\n]")
    needs = needs | text.str.starts_with(options["comment"]) if options.get("comment") else needs
    if options.flag("escapeQuotes", True):
        needs = needs | text.str.contains(quote, literal=True)
    if options.flag("quoteAll"):
        needs = pl.lit(True)
    escaped = text
    if escape and escape != quote:
        # In quotes the escape itself is escaped, too.
        escaped = escaped.str.replace_all(escape, escape + escape, literal=True)
    escaped = escaped.str.replace_all(quote, escape + quote, literal=True)
    wrapped = pl.concat_str([pl.lit(quote), escaped, pl.lit(quote)])
    empty = pl.lit(options.get("emptyValue", '""'))
    return pl.when(text == "").then(empty).when(needs).then(wrapped).otherwise(text)


SOURCE = Source(
    names=("csv", "org.apache.spark.sql.execution.datasources.csv"),
    title="CSV",
    infer=infer,
    scan=scan,
    supports=supports,
    writer=FileWriter(text_extension(".csv"), check_text_codec, _sink, compress_text),
)
