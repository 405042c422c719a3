"""Writes into tables: saveAsTable, insertInto, and writeTo."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from voltray.driver.catalog.file_relation import find_source
from voltray.driver.catalog.names import check_name
from voltray.driver.catalog.records import CATALOG, Table
from voltray.driver.catalog.session_catalog import SessionCatalog, table_exists, table_not_found
from voltray.driver.catalog.store import CatalogStore
from voltray.driver.catalog.write_planning import (
    PlannedWrite,
    WriteRequest,
    check_columns,
    is_dynamic_overwrite,
    nothing_to_do,
    planned,
)  # fmt: skip
from voltray.driver.plan.logical import FileScan, LogicalPlan, Project, schema_of, walk
from voltray.executors.sources.base import Options
from voltray.executors.sources.listing import local_path
from voltray.executors.sources.partitions import partition_folder
from voltray.proto.coercion import can_store_assign
from voltray.proto.expressions import Alias, Attribute, Call, Cast, Expression, Literal, new_id
from voltray.proto.failures import SparkError, spark_error
from voltray.proto.types import (
    INTEGER,
    STRING,
    CharType,
    DataType,
    StructField,
    StructType,
    VarcharType,
    same_type,
    type_name,
)

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment

Pairs = tuple[tuple[str, str], ...]
# How the first version of a format calls itself where formats do not match.
_PROVIDER_NAMES = {
    "parquet": "ParquetDataSourceV2", "csv": "CSVDataSourceV2", "json": "JsonDataSourceV2", "orc": "OrcDataSourceV2",
    "text": "TextDataSourceV2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WriteToRequest:
    """A ``df.writeTo``; ``mode`` is create, replace, create_or_replace, append, overwrite or overwrite_partitions."""

    table: tuple[str, ...]
    mode: str
    provider: str | None = None
    partition_columns: tuple[str, ...] = ()
    options: Pairs = ()
    properties: Pairs = ()


def plan_save_as_table(request: WriteRequest, plan: LogicalPlan, environment: Environment) -> PlannedWrite:
    """``df.write.saveAsTable``: the mode decides between making, filling and replacing the table."""
    if request.sort_columns and not request.bucket_count:
        raise spark_error("SORT_BY_WITHOUT_BUCKETING")
    catalog: SessionCatalog = environment.catalog
    if len(request.table) > 2 and request.table[0].lower() != CATALOG:
        name = ".".join(request.table)
        message = f"Couldn't find a catalog to handle the identifier {name}."
        raise spark_error("_LEGACY_ERROR_TEMP_1310", message=message, quote=name)
    database, name = catalog.qualified(request.table)
    catalog.existing_database(database)
    existing = catalog.store.table(database, name)
    mode = request.save_mode
    if existing is not None:
        if mode == "ignore":
            return nothing_to_do(plan)
        if mode == "error":
            raise table_exists(existing.shown_name)
        if existing.is_view:
            raise spark_error("EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", viewName=existing.shown_name,
                              operation="SAVE AS TABLE")  # fmt: skip
        if mode == "append":
            return _append(existing, request, plan, environment)
        check_not_read(plan, existing)
    return _create_with(request, plan, environment, (database, name), existing)


def _create_with(
    request: WriteRequest,
    plan: LogicalPlan,
    environment: Environment,
    identifier: tuple[str, str],
    existing: Table | None,
    properties: Pairs = (),
    comment: str | None = None,
) -> PlannedWrite:
    """Make (or replace) a table of a plan's rows."""
    catalog: SessionCatalog = environment.catalog
    source = find_source(request.format or environment.conf("spark.sql.sources.default"))
    path = request.path or Options(request.options).get("path")
    location = local_path(path) if path else default_location(catalog, *identifier)
    check_name(identifier[1])
    catalog.access.check_table(*identifier, write=True)
    if path:
        catalog.access.check_write(location)
    _check_location(location, identifier, path is not None, existing)
    check_columns(source, schema_of(plan), request, environment)
    table = Table(
        database=identifier[0].lower(),
        name=identifier[1].lower(),
        kind="EXTERNAL" if path else "MANAGED",
        schema=table_schema(schema_of(plan), request.partition_columns),
        provider=source.names[0],
        location=location,
        partition_columns=request.partition_columns,
        bucket_count=request.bucket_count,
        bucket_columns=request.bucket_columns,
        sort_columns=request.sort_columns,
        options=tuple((k, v) for k, v in request.options if k.lower() != "path"),
        properties=properties or request.properties,
        comment=comment if comment is not None else request.comment,
        owner=environment.user,
        shown_provider=request.format or "",
    )

    def register() -> None:
        if existing is not None and existing.location != location and existing.kind == "MANAGED":
            shutil.rmtree(existing.location, ignore_errors=True)
        if not catalog.store.create_table(table, replacing=existing is not None):
            raise table_exists(table.shown_name)
        catalog.store.touch(table)

    return planned(source, plan, location, request, environment, replaces="everything", on_commit=register)


def _check_location(location: str, identifier: tuple[str, str], external: bool, existing: Table | None) -> None:
    if external or existing is not None or not os.path.isdir(location) or not os.listdir(location):
        return
    shown = ".".join(f"`{p}`" for p in (CATALOG, *identifier))
    raise spark_error("LOCATION_ALREADY_EXISTS", location=f"'file:{location}'", identifier=shown)


def default_location(catalog: SessionCatalog, database: str, name: str) -> str:
    """The folder of a managed table."""
    return os.path.join(catalog.existing_database(database).location, name.lower())


def table_schema(schema: StructType, partition_columns: Sequence[str]) -> StructType:
    """A table's schema: everything nullable, partition columns last."""
    folders = {c.lower(): i for i, c in enumerate(partition_columns)}
    data = [f for f in schema.fields if f.name.lower() not in folders]
    last = sorted((f for f in schema.fields if f.name.lower() in folders), key=lambda f: folders[f.name.lower()])
    return StructType([StructField(f.name, _nullable(f.dataType), True, f.metadata) for f in (*data, *last)])


def _nullable(dtype: DataType) -> DataType:
    from voltray.proto.types import with_nullability

    return dtype if isinstance(dtype, CharType | VarcharType) else with_nullability(dtype, True)


def check_not_read(plan: LogicalPlan, table: Table) -> None:
    """A table cannot be overwritten by what is read from it."""
    if any(isinstance(n, FileScan) and n.table == table.identifier for n in walk(plan)):
        raise spark_error("UNSUPPORTED_OVERWRITE.TABLE", table=table.shown_name)


def _append(table: Table, request: WriteRequest, plan: LogicalPlan, environment: Environment) -> PlannedWrite:
    """Add rows to a table, columns matched by name."""
    _check_same_shape(table, request, environment)
    shown = ".".join(table.identifier)
    output = plan.output
    if len(output) != len(table.schema.fields):
        held, given = table.schema.simpleString(), schema_of(plan).simpleString()
        message = f"The column number of the existing table {shown} ({held}) doesn't match the data schema ({given})."
        raise spark_error(
            "_LEGACY_ERROR_TEMP_1161", message=message, tableName=shown, existingTableSchema=held, querySchema=given
        )
    by_name = {a.name if environment.case_sensitive else a.name.lower(): a for a in output}
    ordered = []
    for item in table.schema.fields:
        found = by_name.get(item.name if environment.case_sensitive else item.name.lower())
        if found is None:
            columns = ", ".join(a.name for a in output)
            message = f"Cannot resolve '{item.name}' given input columns: [{columns}]."
            raise spark_error("_LEGACY_ERROR_TEMP_1162", message=message, col=item.name, inputColumns=columns)
        ordered.append(found)
    return insert_rows(table, stored_as(plan, ordered, table), environment, replaces="nothing")


def _check_same_shape(table: Table, request: WriteRequest, environment: Environment) -> None:
    shown = ".".join(table.identifier)
    if request.format is not None:
        given = find_source(request.format).names[0]
        if given != table.provider:
            old, new = (_PROVIDER_NAMES.get(n, n) for n in (table.provider, given))
            message = (
                f"The format of the existing table {shown} is `{old}`. It doesn't match the specified format `{new}`."
            )
            raise spark_error("_LEGACY_ERROR_TEMP_1159", message=message, tableName=shown, existingProvider=old,
                              specifiedProvider=new)  # fmt: skip
    given_folders = [c.lower() for c in request.partition_columns]
    if given_folders and given_folders != [c.lower() for c in table.partition_columns]:
        new, old = ", ".join(request.partition_columns), ", ".join(table.partition_columns)
        message = (
            f"Specified partitioning does not match that of the existing table {shown}.\n"
            f"Specified partition columns: [{new}].\nExisting partition columns: [{old}]."
        )
        raise spark_error("_LEGACY_ERROR_TEMP_1163", message=message, tableName=shown, specifiedPartCols=new,
                          existingPartCols=old)  # fmt: skip


def stored_as(plan: LogicalPlan, values: Sequence[Attribute], table: Table) -> LogicalPlan:
    """The plan's values as the table's columns: cast where that is safe, renamed, in the table's order."""
    items: list[Alias | Attribute] = []
    for value, item in zip(values, table.schema.fields, strict=True):
        items.append(_stored_item(value, item, table))
    return Project(plan, tuple(items))


def _stored_item(value: Attribute, item: StructField, table: Table) -> Alias | Attribute:
    limited = isinstance(item.dataType, CharType | VarcharType)
    wanted: DataType = STRING if limited else item.dataType
    if limited and same_type(value.dtype, STRING):
        return Alias(_checked(value, item.dataType), item.name, new_id())
    if same_type(value.dtype, wanted):
        return value if value.name == item.name else Alias(value, item.name, new_id())
    if not can_store_assign(value.dtype, wanted):
        raise spark_error(
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
            tableName=table.shown_name,
            colName=f"`{item.name}`",
            srcType=type_name(value.dtype),
            targetType=type_name(wanted),
        )
    cast: Expression = Cast(value, wanted, True)
    return Alias(_checked(cast, item.dataType), item.name, new_id())


def _checked(value: Expression, dtype: DataType) -> Expression:
    """A text as a char or varchar column keeps it."""
    if not isinstance(dtype, CharType | VarcharType):
        return value
    check = "char" if isinstance(dtype, CharType) else "varchar"
    return Call(f"{check}_type_write_side_check", (value, Literal(dtype.length, INTEGER)), STRING)


def insert_rows(
    table: Table, plan: LogicalPlan, environment: Environment, *, replaces: str, below: str = ""
) -> PlannedWrite:
    """Write rows that have the table's columns into its folder."""
    request = WriteRequest(
        partition_columns=table.partition_columns,
        options=table.options,
        bucket_count=table.bucket_count,
        bucket_columns=table.bucket_columns,
        sort_columns=table.sort_columns,
    )
    source = find_source(table.provider)
    environment.catalog.access.check_table(table.database, table.name, write=True)
    store: CatalogStore = environment.catalog.store
    changed = partial(store.touch, table)
    return planned(
        source, plan, table.location, request, environment, replaces=replaces, below=below, on_commit=changed
    )


def plan_insert(request: WriteRequest, plan: LogicalPlan, environment: Environment) -> PlannedWrite:
    """``df.write.insertInto``: columns by position."""
    if request.partition_columns:
        message = (
            "insertInto() can't be used together with partitionBy(). Partition columns have already been defined "
            "for the table. It is not necessary to use partitionBy()."
        )
        raise spark_error("_LEGACY_ERROR_TEMP_1309", message=message)
    table = writable_table(environment.catalog, request.table)
    overwrite = request.save_mode == "overwrite"
    return plan_insert_by_position(table, plan, environment, overwrite=overwrite, options=request.options)


def writable_table(catalog: SessionCatalog, parts: tuple[str, ...]) -> Table:
    """A table that rows can be put into."""
    table = catalog.table(parts)
    if table is None:
        raise table_not_found(parts)
    if table.is_view:
        raise spark_error("EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", viewName=table.shown_name, operation="INSERT")
    return table


def plan_insert_by_position(
    table: Table,
    plan: LogicalPlan,
    environment: Environment,
    *,
    overwrite: bool,
    options: Pairs = (),
    static_partition: Sequence[tuple[str, str | None]] = (),
) -> PlannedWrite:
    """Insert rows whose columns stand in the table's order.

    ``static_partition``: values of leading partition columns that the statement fixed (the plan has them too).
    """
    output = plan.output
    if len(output) != len(table.schema.fields):
        raise arity_mismatch(table, [a.name for a in output])
    if overwrite:
        check_not_read(plan, table)
    stored = stored_as(plan, output, table)
    fixed = [(n, v) for n, v in static_partition]
    below = partition_folder([n for n, _ in fixed], [v for _, v in fixed]) if fixed else ""
    dynamic = is_dynamic_overwrite(options, environment) and bool(table.partition_columns)
    replaces = "nothing" if not overwrite else "partitions" if dynamic else "everything"
    return insert_rows(table, stored, environment, replaces=replaces, below=below)


def arity_mismatch(table: Table, names: Sequence[str]) -> SparkError:
    """The error for too few or too many columns."""
    short = len(names) < len(table.schema.fields)
    return spark_error(
        "INSERT_COLUMN_ARITY_MISMATCH." + ("NOT_ENOUGH_DATA_COLUMNS" if short else "TOO_MANY_DATA_COLUMNS"),
        tableName=table.shown_name,
        tableColumns=", ".join(f"`{f.name}`" for f in table.schema.fields),
        dataColumns=", ".join(f"`{n}`" for n in names),
    )


def plan_write_to(request: WriteToRequest, plan: LogicalPlan, environment: Environment) -> PlannedWrite:
    """``df.writeTo``: tables of files can be created so; Spark refuses the rest for them, and so do we."""
    catalog: SessionCatalog = environment.catalog
    database, name = catalog.qualified(request.table)
    existing = catalog.store.table(database, name)
    shown = ".".join(f"`{p}`" for p in (CATALOG, database, name))
    if request.mode == "create":
        catalog.existing_database(database)
        if existing is not None:
            raise table_exists(existing.shown_name)
        made = WriteRequest(
            format=request.provider, table=request.table, options=request.options,
            partition_columns=request.partition_columns,
        )  # fmt: skip
        comment = dict(request.properties).get("comment")
        properties = tuple(p for p in request.properties if p[0] != "comment")
        return _create_with(made, plan, environment, (database, name), None, properties, comment)
    if request.mode in ("replace", "create_or_replace"):
        raise spark_error("UNSUPPORTED_FEATURE.TABLE_OPERATION", tableName=shown, operation="REPLACE TABLE AS SELECT")
    if existing is None:
        raise table_not_found(request.table)
    message = f"Cannot write into v1 table: {shown}."
    raise spark_error("_LEGACY_ERROR_TEMP_1012", message=message, identifier=shown)


def renamed(table: Table, name: str) -> Table:
    """The same table under another name."""
    return replace(table, name=name.lower())
