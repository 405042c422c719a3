"""Streams: sources that go on, and the column of event time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.file_metadata import metadata_attribute
from voltray.driver.analysis.scope import Resolved, leaf_scope, same_scope
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAttribute
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.plan.logical import FileScan, LogicalPlan, schema_of
from voltray.driver.plan.streaming import (
    FileStreamSource,
    RateMicroBatchSource,
    RateSource,
    StreamScan,
    TableStreamSource,
    Watermark,
    is_streaming,
)
from voltray.executors.functions.cast_interval import read_calendar_interval
from voltray.executors.sources.base import Options
from voltray.proto.expressions import Attribute, new_id
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import LONG, TIMESTAMP, StructField, StructType, TimestampType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

_RATE_CLASSES = {"rate": "RateStreamProvider", "rate-micro-batch": "RatePerMicroBatchProvider"}
_MONTH_MS = 31 * 24 * 3600 * 1000
_DAY_MS = 24 * 3600 * 1000


# ---- sources ---------------------------------------------------------------------------------------------
def resolve_stream(relation: r.DataSource, analysis: Analysis) -> Resolved:
    """``spark.readStream``: a format with its options."""
    name = relation.format or analysis.environment.conf("spark.sql.sources.default")
    lowered = name.lower()
    if lowered not in _RATE_CLASSES:
        scan = _file_stream(relation, name, analysis)
        return leaf_scope(scan, (metadata_attribute(scan),))
    if relation.schema:
        provider = _RATE_CLASSES[lowered]
        message = f"The source {provider} takes no schema of the user's."
        raise spark_error("_LEGACY_ERROR_TEMP_2242", ErrorKind.UNSUPPORTED, message=message, provider=provider)
    options = Options(relation.options)
    source = _rate(options) if lowered == "rate" else _rate_micro_batch(options)
    attributes = (Attribute(new_id(), "timestamp", TIMESTAMP), Attribute(new_id(), "value", LONG))
    return leaf_scope(StreamScan(attributes, lowered, source))


def _rate(options: Options) -> RateSource:
    return RateSource(
        _positive(options, "rowsPerSecond", 1),
        _seconds(options.get("rampUpTime") or "0s"),
        _positive(options, "numPartitions", 1) if options.get("numPartitions") else None,
    )


def _rate_micro_batch(options: Options) -> RateMicroBatchSource:
    return RateMicroBatchSource(
        _positive(options, "rowsPerBatch", 0),
        _positive(options, "numPartitions", 2),
        int(options.get("startTimestamp") or 0),
        int(options.get("advanceMillisPerBatch") or 1000),
    )


def _positive(options: Options, name: str, default: int) -> int:
    given = options.get(name)
    try:
        value = default if given is None else int(given)
    except ValueError:
        raise _illegal(f'For input string: "{given}"') from None
    if value <= 0:
        raise _illegal(f"Invalid value '{value}'. The option '{name}' must be positive")
    return value


def _seconds(text: str) -> int:
    digits = "".join(c for c in text if c.isdigit())
    unit = text[len(digits) :].strip().lower() or "s"
    scale = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}.get(unit)
    if not digits or scale is None:
        raise _illegal(f"Invalid time: {text}")
    return int(int(digits) * scale)


def _illegal(message: str) -> SparkError:
    return spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message)


def _file_stream(relation: r.DataSource, name: str, analysis: Analysis) -> StreamScan:
    from voltray.driver.catalog.file_relation import file_scan, find_source
    from voltray.executors.sources.listing import local_path

    environment = analysis.environment
    source = find_source(name)
    path = Options(relation.options).get("path")
    paths = relation.paths or ((path,) if path is not None else ())
    if not paths:
        raise spark_error("_LEGACY_ERROR_TEMP_2047", ErrorKind.ILLEGAL_ARGUMENT, message="'path' is not specified")
    schema = environment.parse_schema(relation.schema) if relation.schema else source.fixed_schema
    if schema is not None and not isinstance(schema, StructType):
        schema = StructType([StructField("value", schema, True)])
    environment.catalog.access.check_read(paths)
    missing = [p for p in paths if not _has_pattern(p) and not os.path.exists(local_path(p))]
    if missing:
        raise spark_error("PATH_NOT_FOUND", path=missing[0])
    if schema is None:
        if environment.conf("spark.sql.streaming.schemaInference") != "true":
            message = (
                "A stream of files needs a schema of the user's. Where spark.sql.streaming.schemaInference is true "
                "and there are files already, it is found out."
            )
            raise spark_error("_LEGACY_ERROR_TEMP_2048", ErrorKind.ILLEGAL_ARGUMENT, sqlstate="", message=message)
        schema = schema_of(file_scan(source, tuple(paths), relation.options, None, environment))
    scan = file_scan(source, tuple(paths), relation.options, schema, environment)
    descriptor = FileStreamSource(source.names[0], tuple(paths), relation.options, schema_of(scan))
    return StreamScan(scan.attributes, source.names[0], descriptor)


def _has_pattern(path: str) -> bool:
    return any(c in path for c in "*?[{")


def table_stream(relation: r.NamedTable, found: LogicalPlan) -> LogicalPlan:
    """``spark.readStream.table``: a table's files, or a view of a stream as it is."""
    if not isinstance(found, FileScan):
        return found
    attributes = tuple(
        [Attribute(new_id(), a.name, a.dtype, a.nullable, a.qualifier, a.metadata) for a in found.output]
    )
    return StreamScan(attributes, found.format, TableStreamSource(relation.parts, relation.options))


# ---- event time ------------------------------------------------------------------------------------------
def resolve_with_watermark(relation: r.WithWatermark, analysis: Analysis) -> Resolved:
    """``df.withWatermark``; without a stream below it means nothing."""
    delay = _delay_ms(relation.delay)
    child = analysis.relation(relation.child)
    typed = analysis.over(child.scope).resolve(UnresolvedAttribute(split_identifier(relation.event_time)))
    column = typed.expression
    if not isinstance(typed.dtype, TimestampType) or not isinstance(column, Attribute):
        raise analysis_error(
            "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE",
            relation.origin,
            eventName=f"`{typed.text}`",
            eventType=f'"{shown_type(typed.expression)}"'.replace('""', '"'),
        )
    if not is_streaming(child.plan):
        return child
    return same_scope(child, Watermark(child.plan, column, delay, relation.delay))


def _delay_ms(text: str) -> int:
    body = text.strip()
    read = read_calendar_interval(body)
    if read is None:
        raise spark_error("CANNOT_PARSE_INTERVAL", intervalString=f"'{text}'")
    delay = read["months"] * _MONTH_MS + read["days"] * _DAY_MS + read["microseconds"] // 1000
    if delay < 0:
        raise _illegal(f"requirement failed: delay threshold ({text}) should not be negative.")
    return delay


__all__ = ["resolve_stream", "resolve_with_watermark", "table_stream"]
