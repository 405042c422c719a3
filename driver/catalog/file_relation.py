"""``spark.read`` and file tables: a format, options and paths become a scan of files."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.plan.logical import FileScan, LogicalPlan
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import METADATA_COLUMN, Options, Source, SourceFile
from voltray.executors.sources.catalogue import lookup_source
from voltray.executors.sources.listing import Listing, list_files
from voltray.executors.sources.metadata import metadata_type
from voltray.executors.sources.partitions import discover_partitions
from voltray.proto.expressions import Attribute, new_id
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    STRING,
    ArrayType,
    CharType,
    DataType,
    MapType,
    StructField,
    StructType,
    VarcharType,
    type_name,
    with_nullability,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.plan.relations import DataSource

# Confs that set the default of a read option; they travel with the scan as options.
_OPTION_CONFS = {
    "ignoreCorruptFiles": "spark.sql.files.ignoreCorruptFiles",
    "ignoreMissingFiles": "spark.sql.files.ignoreMissingFiles",
    "columnNameOfCorruptRecord": "spark.sql.columnNameOfCorruptRecord",
}
_CONTEXT_CONFS = (
    "spark.sql.caseSensitive", "spark.sql.columnNameOfCorruptRecord", "spark.sql.timestampType",
    "spark.sql.parquet.mergeSchema", "spark.sql.orc.mergeSchema", "spark.sql.legacy.timeParserPolicy",
    "spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles",
)  # fmt: skip
CHAR_VARCHAR = "__CHAR_VARCHAR_TYPE_STRING"


def resolve_data_source(relation: DataSource, environment: Environment) -> LogicalPlan:
    """The scan that a ``spark.read`` describes; listing, partitions and the schema are found out here."""
    name = relation.format or environment.conf("spark.sql.sources.default")
    source = find_source(name)
    if relation.is_streaming:
        message = f"Data source {name} does not support streamed reading"
        raise spark_error("_LEGACY_ERROR_TEMP_2045", ErrorKind.UNSUPPORTED, message=message)
    options = dict(relation.options)
    path = next((v for k, v in options.items() if k.lower() == "path"), None)
    paths = relation.paths or ((path,) if path is not None else ())
    schema = None if not relation.schema else environment.parse_schema(relation.schema)
    if schema is not None and not isinstance(schema, StructType):
        schema = StructType([StructField("value", schema, True)])
    return file_scan(source, tuple(paths), relation.options, schema, environment)


def find_source(name: str) -> Source:
    """The source of a format's name, or Spark's error for one that is not there."""
    source = lookup_source(name)
    if source is not None:
        return source
    lowered = name.lower()
    if lowered in ("jdbc", "org.apache.spark.sql.jdbc"):
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message="requirement failed: Option 'url' is required.")
    if lowered in ("avro", "kafka"):
        title = lowered.capitalize()
        message = (
            f"Failed to find data source: {lowered}. {title} is an external data source module of Spark; "
            "it is not there."
        )
        condition = "_LEGACY_ERROR_TEMP_1139" if lowered == "avro" else "_LEGACY_ERROR_TEMP_1140"
        raise spark_error(condition, message=message, provider=name)
    raise spark_error("DATA_SOURCE_NOT_FOUND", ErrorKind.CLASS_NOT_FOUND, provider=name)


def evaluation_context(environment: Environment) -> EvaluationContext:
    """What sources ask of a session while a schema is inferred."""
    confs = tuple((name, environment.conf(name)) for name in _CONTEXT_CONFS)
    now = time.time_ns() // 1000
    return EvaluationContext(environment.time_zone, environment.ansi, now, confs)


def file_scan(
    source: Source,
    paths: tuple[str, ...],
    options: tuple[tuple[str, str], ...],
    user_schema: StructType | None,
    environment: Environment,
    *,
    partition_schema: StructType | None = None,
    table: tuple[str, ...] = (),
) -> FileScan:
    """A scan of all files below the paths; a table gives both its schemas."""
    read = Options(_with_confs(options, environment))
    if not table:
        environment.catalog.access.check_read(paths)
    listing = list_files(paths, read, environment.time_zone) if paths else Listing((), (), ())
    if not table:
        environment.catalog.access.check_files(listing.files)
    declared = user_schema
    if user_schema is not None and partition_schema is not None:
        declared = StructType([*user_schema.fields, *partition_schema.fields])
    infer_types = environment.conf("spark.sql.sources.partitionColumnTypeInference.enabled") == "true"
    files, found = discover_partitions(
        listing, read, declared, infer_types=infer_types, time_zone=environment.time_zone
    )
    folders = partition_schema if table and partition_schema is not None else found
    files = _table_partitions(files, found, folders) if table else files
    data = user_schema or _inferred(source, files, read, environment)
    if source.fixed_schema is not None and user_schema is None:
        data = source.fixed_schema
    data, folders, order = _without_overlap(data, folders, environment.case_sensitive)
    _check_names([*data.fields, *folders.fields], environment.case_sensitive)
    for field in data.fields:
        _check_type(source, field)
    return FileScan(
        attributes=_attributes(data, folders, order, table),
        format=source.names[0],
        files=tuple(sorted(files, key=lambda f: -f.size)),  # Spark reads the largest first
        schema=data,
        partition_schema=folders,
        options=tuple((k, v) for k, v in read.items()),
        table=table,
    )


def _with_confs(options: tuple[tuple[str, str], ...], environment: Environment) -> tuple[tuple[str, str], ...]:
    given = {k.lower() for k, _ in options}
    defaults = ((k, environment.conf(conf)) for k, conf in _OPTION_CONFS.items() if k.lower() not in given)
    return (*((k, v) for k, v in options if v is not None), *defaults)


def _inferred(source: Source, files: tuple[SourceFile, ...], options: Options, environment: Environment) -> StructType:
    schema = source.infer(files, options, evaluation_context(environment)) if files or source.fixed_schema else None
    if schema is None:
        raise spark_error("UNABLE_TO_INFER_SCHEMA", format=source.title)
    return schema


def _table_partitions(files: tuple[SourceFile, ...], found: StructType, folders: StructType) -> tuple[SourceFile, ...]:
    """The files' partition values in the order of the table's partition columns."""
    names = [f.name.lower() for f in found.fields]
    wanted = [f.name.lower() for f in folders.fields]
    if names == wanted:
        return files
    if not wanted:
        return tuple(replace(f, partition_values=()) for f in files)
    kept = (f for f in files if len(f.partition_values) == len(names) and set(names) == set(wanted))
    return tuple(replace(f, partition_values=tuple(f.partition_values[names.index(n)] for n in wanted)) for f in kept)


def _without_overlap(
    data: StructType, folders: StructType, case_sensitive: bool
) -> tuple[StructType, StructType, list[str]]:
    """A column both in files and folders is read from the folders, and stays where the files have it."""

    def key(name: str) -> str:
        return name if case_sensitive else name.lower()

    in_folders = {key(f.name): f for f in folders.fields}
    order = [key(f.name) for f in data.fields]
    order += [key(f.name) for f in folders.fields if key(f.name) not in order]
    kept = [f for f in data.fields if key(f.name) not in in_folders]
    stored = [StructField(f.name, _stored(f.dataType), True, _metadata(f)) for f in kept]
    return StructType(stored), folders, order


def _metadata(field: StructField) -> dict[str, Any]:
    metadata = dict(field.metadata or {})
    if isinstance(field.dataType, CharType | VarcharType):
        metadata[CHAR_VARCHAR] = field.dataType.simpleString()
    return metadata


def _stored(dtype: DataType) -> DataType:
    """Files hold no NOT NULL and no limits of length: all is nullable, char and varchar are strings."""
    match dtype:
        case CharType() | VarcharType():
            return STRING
        case ArrayType():
            return ArrayType(_stored(dtype.elementType), True)
        case MapType():
            return MapType(_stored(dtype.keyType), _stored(dtype.valueType), True)
        case StructType():
            fields = [StructField(f.name, _stored(f.dataType), True, f.metadata) for f in dtype.fields]
            return StructType(fields)
    return with_nullability(dtype, True)


def _attributes(
    data: StructType, folders: StructType, order: list[str], table: tuple[str, ...]
) -> tuple[Attribute, ...]:
    fields = {f.name: f for f in (*data.fields, *folders.fields)}
    by_key = fields | {name.lower(): f for name, f in fields.items()}
    chosen = [by_key[name] for name in order]
    return tuple(
        Attribute(new_id(), f.name, f.dataType, True, table, tuple((f.metadata or {}).items())) for f in chosen
    )


def _check_names(fields: list[StructField], case_sensitive: bool) -> None:
    seen: set[str] = set()
    for field in fields:
        key = field.name if case_sensitive else field.name.lower()
        if key in seen:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=f"`{key}`")
        seen.add(key)


def _check_type(source: Source, field: StructField) -> None:
    if not supports_deeply(source, field.dataType):
        raise unsupported_type(source, field.name, field.dataType)


def supports_deeply(source: Source, dtype: DataType) -> bool:
    """Whether a source can hold a type with all its parts."""
    if not source.supports(dtype):
        return False
    match dtype:
        case ArrayType():
            return supports_deeply(source, dtype.elementType)
        case MapType():
            return supports_deeply(source, dtype.keyType) and supports_deeply(source, dtype.valueType)
        case StructType():
            return all(supports_deeply(source, f.dataType) for f in dtype.fields)
    return True


def unsupported_type(source: Source, name: str, dtype: DataType) -> SparkError:
    """The error for a column that a format cannot hold."""
    return spark_error(
        "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE",
        columnName=f"`{name}`",
        columnType=type_name(dtype),
        format=source.title,
    )


def metadata_attribute(scan: FileScan) -> Attribute:
    """A fresh ``_metadata`` attribute for a scan."""
    source = lookup_source(scan.format)
    marks = (("__file_source_metadata_col", True), ("__metadata_col", METADATA_COLUMN))
    dtype = metadata_type(source is not None and source.row_index)
    return Attribute(new_id(), METADATA_COLUMN, dtype, False, (), marks)


def with_metadata(scan: FileScan) -> FileScan:
    """The scan with its hidden column shown."""
    return replace(scan, attributes=(*scan.attributes, metadata_attribute(scan)))
