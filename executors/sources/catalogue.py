"""Every source, and the ways in: infer a schema, scan files, write a task's rows."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import literal_column
from voltray.executors.sources import binary_file, csv, json, orc, parquet, text, xml
from voltray.executors.sources.base import (
    EXISTS_DEFAULT_TEXT,
    METADATA_COLUMN,
    GroupScan,
    Options,
    ScanColumn,
    Source,
    SourceFile,
    WriteReport,
    WriteSpecification,
    source_context,
)  # fmt: skip
from voltray.executors.sources.footers import parquet_bounds, parquet_bytes, parquet_rows
from voltray.executors.sources.metadata import ROW_INDEX, field_names, metadata_value
from voltray.executors.sources.partitions import internal_value
from voltray.executors.sources.pruning import prune_files
from voltray.executors.sources.writing import write_rows
from voltray.proto.expressions import Attribute
from voltray.proto.failures import spark_error
from voltray.proto.operators import FileScan
from voltray.proto.types import StructType, carrier

SOURCES: tuple[Source, ...] = (
    parquet.SOURCE, csv.SOURCE, json.SOURCE, text.SOURCE, orc.SOURCE, binary_file.SOURCE, xml.SOURCE,
)  # fmt: skip

# What stands for rows without columns, as in executors.operators.task.
ONE_ROW_COLUMN = "#"


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Source]:
    return {name.lower(): source for source in SOURCES for name in source.names}


def lookup_source(name: str) -> Source | None:
    """The source of a format's name, in any case, or of its class name in Spark."""
    return _by_name().get(name.lower())


def source_of(name: str) -> Source:
    """The source of a format that must exist."""
    source = lookup_source(name)
    if source is None:
        raise spark_error("DATA_SOURCE_NOT_FOUND", provider=name)
    return source


def held_bytes_of(name: str, files: tuple[SourceFile, ...], attributes: tuple[Attribute, ...]) -> int | None:
    """Bytes that columns of files take in memory, where the files tell without being read."""
    return parquet_bytes(files, attributes) if lookup_source(name) is parquet.SOURCE else None


def rows_of(name: str, files: tuple[SourceFile, ...]) -> int | None:
    """Rows of files, where they tell without being read."""
    return parquet_rows(files) if lookup_source(name) is parquet.SOURCE else None


def bounds_of(name: str, files: tuple[SourceFile, ...], column: str) -> tuple[Any, Any] | None:
    """The least and greatest value of a column, as Python values, where the files tell without being read."""
    return parquet_bounds(files, column) if lookup_source(name) is parquet.SOURCE else None


def infer_schema(
    name: str, files: tuple[SourceFile, ...], options: Options, context: EvaluationContext
) -> StructType | None:
    """The data schema of files, or None where they tell none."""
    return source_of(name).infer(files, options, context)


def scan(operator: FileScan, task: Any) -> pl.LazyFrame:
    """The rows of a task's files, under the ids of the scan's attributes."""
    context: EvaluationContext = getattr(task, "evaluation", None) or source_context(task)
    source = source_of(operator.format)
    files = prune_files(operator, context)
    frames = [_scan_group(source, group, operator, context) for group in _groups(files, operator)]
    if not frames:
        schema = {a.column: carrier(a.dtype) for a in operator.attributes} or {ONE_ROW_COLUMN: pl.Null()}
        return pl.LazyFrame(schema=schema)
    frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical")
    from voltray.executors.compiler import compile_expression

    if operator.predicate is not None:
        frame = frame.filter(compile_expression(operator.predicate, context))
    for condition in operator.runtime_filters:
        frame = frame.filter(compile_expression(condition, context))
    return frame if operator.limit is None else frame.head(operator.limit)


def _groups(files: tuple[SourceFile, ...], operator: FileScan) -> list[tuple[SourceFile, ...]]:
    """Files that one scan reads at once: alike in partition values; alone where their metadata is asked for."""
    if _metadata_attribute(operator) is not None:
        return [(f,) for f in files]
    if not operator.partition_schema.fields:
        return [files] if files else []
    groups: dict[Any, list[SourceFile]] = defaultdict(list)
    for file in files:
        groups[file.partition_values].append(file)
    return [tuple(group) for group in groups.values()]


def _metadata_attribute(operator: FileScan) -> Attribute | None:
    data = {f.name.lower() for f in (*operator.schema.fields, *operator.partition_schema.fields)}
    found = (a for a in operator.attributes if a.name == METADATA_COLUMN and a.name not in data)
    return next(found, None)


def _scan_group(
    source: Source, files: tuple[SourceFile, ...], operator: FileScan, context: EvaluationContext
) -> pl.LazyFrame:
    partitions = {f.name.lower(): i for i, f in enumerate(operator.partition_schema.fields)}
    metadata = _metadata_attribute(operator)
    folders = [a for a in operator.attributes if a.name.lower() in partitions and a is not metadata]
    data = [a for a in operator.attributes if a.name.lower() not in partitions and a is not metadata]
    wants_index = metadata is not None and source.row_index and "row_index" in field_names(metadata.dtype)
    group = GroupScan(
        files=files,
        columns=tuple(ScanColumn(a.name, a.dtype, a.column, _default(a, context)) for a in data),
        schema=operator.schema,
        options=Options(operator.options),
        context=context,
        limit=operator.limit if operator.predicate is None and not operator.runtime_filters else None,
        row_index=ROW_INDEX if wants_index else None,
    )
    frame = source.scan(group)
    values = files[0].partition_values
    extra = []
    for attribute in folders:
        value = internal_value(values[partitions[attribute.name.lower()]], attribute.dtype, context.time_zone)
        extra.append(literal_column(value, attribute.dtype).alias(attribute.column))
    if metadata is not None:
        extra.append(metadata_value(files[0], metadata.dtype, wants_index).alias(metadata.column))
    if not operator.attributes:
        return _rows_only(frame)
    return frame.with_columns(extra).select([a.column for a in operator.attributes])


def _default(attribute: Attribute, context: EvaluationContext) -> Any:
    """What a column added later is in older files, where it was added with a default."""
    text = dict(attribute.metadata).get(EXISTS_DEFAULT_TEXT) if attribute.metadata else None
    return internal_value(text, attribute.dtype, context.time_zone) if isinstance(text, str) else None


def _rows_only(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(pl.lit(None).alias(ONE_ROW_COLUMN)).select(ONE_ROW_COLUMN)


def write_task(
    frame: pl.LazyFrame,
    specification: WriteSpecification,
    attributes: tuple[Attribute, ...],
    task: Any,
    task_index: int | None = None,
) -> WriteReport:
    """Write a task's rows (columns named by ids, as ``attributes`` order them) into the staging folder."""
    context: EvaluationContext = getattr(task, "evaluation", None) or source_context(task)
    index = task_index if task_index is not None else getattr(task, "partition_id", context.partition_id)
    return write_rows(source_of(specification.format), frame, specification, attributes, context, index)
