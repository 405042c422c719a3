"""Reading files through a source alone, without a server."""

from __future__ import annotations

import time
from collections.abc import Mapping

import polars as pl

from voltray.driver.sql.schema import parse_column_schema
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options
from voltray.executors.sources.catalogue import infer_schema, scan
from voltray.executors.sources.listing import list_files
from voltray.executors.sources.partitions import discover_partitions
from voltray.proto.expressions import Attribute, new_id
from voltray.proto.operators import FileScan
from voltray.proto.types import StructType

CONTEXT = EvaluationContext(now_micros=int(time.time() * 1_000_000), confs=(("spark.sql.caseSensitive", "false"),))


def file_scan(
    source: str, path: str, schema: str | None = None, options: Mapping[str, str] | None = None
) -> tuple[StructType, FileScan]:
    """The schema read and a scan of it."""
    given = Options((options or {}).items())
    user = parse_column_schema(schema) if schema else None
    listing = list_files([path], given)
    files, folders = discover_partitions(listing, given, user, infer_types=True, time_zone="UTC")
    data = user or infer_schema(source, files, given, CONTEXT)
    assert data is not None
    fields = (*data.fields, *folders.fields)
    attributes = tuple(Attribute(new_id(), f.name, f.dataType) for f in fields)
    return StructType(list(fields)), FileScan(attributes, source, files, data, folders, tuple(given.items()))


def read_file(
    source: str, path: str, schema: str | None = None, options: Mapping[str, str] | None = None
) -> tuple[StructType, pl.DataFrame]:
    """The schema and all rows of files."""
    found, operator = file_scan(source, path, schema, options)
    frame = scan(operator, CONTEXT).collect(engine="streaming")
    return found, frame.rename({a.column: a.name for a in operator.attributes}) if _distinct(found) else frame


def _distinct(schema: StructType) -> bool:
    return len(set(schema.fieldNames())) == len(schema.fields)
