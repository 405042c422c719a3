"""``df.write``: what is to be written, where, in which shape, and how it is committed.

A planned write is run by the service: the scheduler writes ``plan`` by ``specification``, and its task
reports go to ``commit``; whatever fails on the way is followed by ``abort``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voltray.driver.catalog.file_relation import find_source, supports_deeply, unsupported_type
from voltray.driver.catalog.write_commit import FileCommit, new_job_id
from voltray.driver.plan.logical import FileScan, LogicalPlan, schema_of, walk
from voltray.executors.sources.base import Options, Source, WriteReport, WriteSpecification
from voltray.executors.sources.listing import file_uri, local_path
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment

Pairs = tuple[tuple[str, str], ...]

_MODES = {
    "": "error", "unspecified": "error", "save_mode_unspecified": "error", "save_mode_append": "append",
    "save_mode_overwrite": "overwrite", "save_mode_error_if_exists": "error", "save_mode_ignore": "ignore",
    "append": "append", "overwrite": "overwrite", "error": "error", "errorifexists": "error", "ignore": "ignore",
    "error_if_exists": "error", "default": "error",
}  # fmt: skip
# Codecs of the confs, where the options name none.
_CODEC_CONFS = {"parquet": "spark.sql.parquet.compression.codec", "orc": "spark.sql.orc.compression.codec"}


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A ``df.write`` as the client sends it; ``path`` or ``table`` says where to."""

    format: str | None = None
    mode: str = "error"
    path: str | None = None
    table: tuple[str, ...] = ()
    method: str = "save"
    """save, save_as_table or insert_into."""
    partition_columns: tuple[str, ...] = ()
    options: Pairs = ()
    bucket_count: int = 0
    bucket_columns: tuple[str, ...] = ()
    sort_columns: tuple[str, ...] = ()
    clustering_columns: tuple[str, ...] = ()
    properties: Pairs = ()
    comment: str | None = None

    @property
    def save_mode(self) -> str:
        """append, overwrite, error or ignore."""
        return _MODES.get(self.mode.lower(), "error")


def _nothing() -> None:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """A write ready to run. Without a ``specification`` there is nothing to run: ``commit(())`` does all."""

    plan: LogicalPlan
    specification: WriteSpecification | None
    commit: Callable[[Iterable[WriteReport]], None]
    abort: Callable[[], None] = field(default=_nothing)


def plan_write(request: WriteRequest, plan: LogicalPlan, environment: Environment) -> PlannedWrite:
    """Plan any ``df.write``."""
    if request.method == "insert_into":
        from voltray.driver.catalog.table_writes import plan_insert

        return plan_insert(request, plan, environment)
    if request.table:
        from voltray.driver.catalog.table_writes import plan_save_as_table

        return plan_save_as_table(request, plan, environment)
    return plan_path_write(request, plan, environment)


def nothing_to_do(plan: LogicalPlan) -> PlannedWrite:
    """A write that does nothing."""
    return PlannedWrite(plan, None, lambda reports: None)


def plan_path_write(request: WriteRequest, plan: LogicalPlan, environment: Environment) -> PlannedWrite:
    """``df.write.save(path)``."""
    if request.bucket_count:
        message = "'save' does not support bucketBy right now."
        raise spark_error("_LEGACY_ERROR_TEMP_1312", message=message, operation="save")
    if request.sort_columns:
        raise spark_error("SORT_BY_WITHOUT_BUCKETING")
    name = request.format or environment.conf("spark.sql.sources.default")
    if name.lower() == "noop":
        return nothing_to_do(plan)
    source = find_source(name)
    path = request.path if request.path is not None else Options(request.options).get("path")
    if path is None:
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message="'path' is not specified")
    output = local_path(path)
    environment.catalog.access.check_write(output)
    mode = request.save_mode
    if mode == "ignore" and os.path.exists(output):
        return nothing_to_do(plan)
    if mode == "error" and os.path.exists(output):
        raise spark_error("PATH_ALREADY_EXISTS", outputPath=file_uri(output))
    if mode == "overwrite":
        _check_not_read(plan, output)
    dynamic = _is_dynamic(request.options, environment) and bool(request.partition_columns)
    replaces = "nothing" if mode != "overwrite" else "partitions" if dynamic else "everything"
    return planned(source, plan, output, request, environment, replaces=replaces)


def _check_not_read(plan: LogicalPlan, output: str) -> None:
    folder = output.rstrip("/") + "/"
    for node in walk(plan):
        if isinstance(node, FileScan) and any(f.path == output or f.path.startswith(folder) for f in node.files):
            raise spark_error("UNSUPPORTED_OVERWRITE.PATH", path=file_uri(output))


def _is_dynamic(options: Pairs, environment: Environment) -> bool:
    default = environment.conf("spark.sql.sources.partitionOverwriteMode")
    return Options(options).get("partitionOverwriteMode", default).upper() == "DYNAMIC"


def is_dynamic_overwrite(options: Pairs, environment: Environment) -> bool:
    """Whether an overwrite replaces only the partitions that get rows."""
    return _is_dynamic(options, environment)


def planned(
    source: Source,
    plan: LogicalPlan,
    output: str,
    request: WriteRequest,
    environment: Environment,
    *,
    replaces: str,
    below: str = "",
    on_commit: Callable[[], None] = _nothing,
) -> PlannedWrite:
    """The write of a plan's rows into a folder."""
    schema = schema_of(plan)
    check_columns(source, schema, request, environment)
    commit = FileCommit(output, new_job_id(), replaces, below)
    specification = _specification(source, schema, request, environment, commit)
    commit.prepare()

    def finish(reports: Iterable[WriteReport]) -> None:
        commit.commit(reports)
        on_commit()

    return PlannedWrite(plan, specification, finish, commit.abort)


def _specification(
    source: Source, schema: StructType, request: WriteRequest, environment: Environment, commit: FileCommit
) -> WriteSpecification:
    assert source.writer is not None
    options = _with_conf_codec(source, request.options, environment)
    source.writer.check_options(Options(options))
    limit = Options(options).get("maxRecordsPerFile") or environment.conf("spark.sql.files.maxRecordsPerFile")
    names = {f.name.lower(): f.name for f in schema.fields}
    return WriteSpecification(
        format=source.names[0],
        staging=commit.staging,
        job_id=commit.job_id,
        schema=schema,
        partition_columns=tuple(names[c.lower()] for c in request.partition_columns),
        options=options,
        bucket_count=request.bucket_count,
        bucket_columns=request.bucket_columns,
        sort_columns=request.sort_columns,
        max_records_per_file=max(0, int(limit or 0)),
    )


def _with_conf_codec(source: Source, options: Pairs, environment: Environment) -> Pairs:
    conf = _CODEC_CONFS.get(source.names[0])
    given = Options(options)
    if conf is None or "compression" in given or f"{source.names[0]}.compression" in given:
        return options
    return (*options, ("compression", environment.conf(conf)))


def check_columns(source: Source, schema: StructType, request: WriteRequest, environment: Environment) -> None:
    """Refuse what the format, the partitioning or Spark itself does not allow."""
    if source.writer is None:
        raise spark_error("UNSUPPORTED_FEATURE.WRITE_FOR_BINARY_SOURCE", ErrorKind.UNSUPPORTED)
    seen: set[str] = set()
    for item in schema.fields:
        key = item.name if environment.case_sensitive else item.name.lower()
        if key in seen:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=f"`{key}`")
        seen.add(key)
    folders = _partition_names(schema, request)
    data = [f for f in schema.fields if f.name.lower() not in folders]
    if folders and not data:
        raise spark_error("ALL_PARTITION_COLUMNS_NOT_ALLOWED")
    for item in data:
        if not supports_deeply(source, item.dataType):
            raise unsupported_type(source, item.name, item.dataType)
    if source.names[0] == "text" and len(data) != 1:
        message = f"Text data source supports only a single column, and you have {len(data)} columns."
        raise spark_error("_LEGACY_ERROR_TEMP_1290", message=message, schemaSize=str(len(data)))


def _partition_names(schema: StructType, request: WriteRequest) -> set[str]:
    by_name: dict[str, StructField] = {f.name.lower(): f for f in schema.fields}
    for name in request.partition_columns:
        found = by_name.get(name.lower())
        if found is None:
            shown = schema.simpleString()
            message = f"Partition column `{name}` not found in schema {shown}."
            raise spark_error("_LEGACY_ERROR_TEMP_1155", message=message, col=name, schemaCatalog=shown)
        if found.dataType.typeName() in ("array", "map", "struct", "variant"):
            raise spark_error("INVALID_PARTITION_COLUMN_DATA_TYPE", type=f'"{found.dataType.simpleString().upper()}"')
    return {name.lower() for name in request.partition_columns}


__all__ = [
    "PlannedWrite", "WriteRequest", "check_columns", "is_dynamic_overwrite", "nothing_to_do",
    "plan_path_write", "plan_write", "planned",
]  # fmt: skip
