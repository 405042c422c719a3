"""Making and dropping databases and tables: what DDL and ``spark.catalog`` share."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from voltray.driver.catalog.file_relation import file_scan, find_source
from voltray.driver.catalog.guarded_store import WHOLE_DATABASE
from voltray.driver.catalog.names import check_name
from voltray.driver.catalog.records import DEFAULT_DATABASE, Database, Table
from voltray.driver.catalog.session_catalog import SessionCatalog, table_exists, table_not_found
from voltray.driver.catalog.table_writes import default_location, table_schema
from voltray.driver.plan.logical import schema_of
from voltray.executors.sources.base import Options
from voltray.executors.sources.listing import local_path
from voltray.proto.failures import spark_error
from voltray.proto.types import StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment

Pairs = tuple[tuple[str, str], ...]


def create_table(
    environment: Environment,
    parts: tuple[str, ...],
    *,
    provider: str | None,
    schema: StructType | None,
    path: str | None = None,
    options: Pairs = (),
    partition_columns: tuple[str, ...] = (),
    bucket_count: int = 0,
    bucket_columns: tuple[str, ...] = (),
    sort_columns: tuple[str, ...] = (),
    properties: Pairs = (),
    comment: str | None = None,
    if_not_exists: bool = False,
    clustering_columns: tuple[str, ...] = (),
) -> Table:
    """Make an empty managed table, or one over the files of a path; without a schema it is read off the files."""
    catalog: SessionCatalog = environment.catalog
    database, name = catalog.qualified(parts)
    database = catalog.existing_database(database).name
    existing = catalog.store.table(database, name)
    if existing is not None:
        if if_not_exists:
            return existing
        raise table_exists(existing.shown_name)
    source = find_source(provider or environment.conf("spark.sql.sources.default"))
    given = path or Options(options).get("path")
    location = local_path(given) if given else default_location(catalog, database, name)
    check_name(name)
    catalog.access.check_table(database, name, write=True)
    if given:
        catalog.access.check_write(location)
    if schema is None:
        scan = file_scan(source, (location,) if os.path.exists(location) else (), options, None, environment)
        schema = schema_of(scan)
        partition_columns = partition_columns or tuple(f.name for f in scan.partition_schema.fields)
    names = {f.name.lower(): f.name for f in schema.fields}
    for column in partition_columns:
        if column.lower() not in names:
            shown = ", ".join(f"`{n}`" for n in names.values())
            raise spark_error("COLUMN_NOT_DEFINED_IN_TABLE", colType="partition", colName=f"`{column}`",
                              tableName=f"`{database}`.`{name}`", tableCols=shown)  # fmt: skip
    table = Table(
        database=database,
        name=name.lower(),
        kind="EXTERNAL" if given else "MANAGED",
        schema=table_schema(schema, partition_columns),
        provider=source.names[0],
        location=location,
        partition_columns=tuple(names[c.lower()] for c in partition_columns),
        bucket_count=bucket_count,
        bucket_columns=bucket_columns,
        sort_columns=sort_columns,
        options=tuple((k, v) for k, v in options if k.lower() != "path"),
        properties=properties,
        comment=comment,
        owner=environment.user,
        clustering_columns=clustering_columns,
        shown_provider=provider or "",
    )
    os.makedirs(location, exist_ok=True)
    if not catalog.store.create_table(table):
        raise table_exists(table.shown_name)
    stored = catalog.store.table(database, name)
    assert stored is not None
    return stored


def drop_table(environment: Environment, parts: tuple[str, ...], *, if_exists: bool, view: bool = False) -> None:
    """Drop a temporary view, a stored view or a table; a managed table's files go with it."""
    catalog: SessionCatalog = environment.catalog
    if catalog.temp_view(parts) is not None:
        drop = catalog.drop_global_temp_view if len(parts) == 2 and parts[0].lower() == "global_temp" else None
        (drop or catalog.drop_temp_view)(parts[-1])
        return
    table = catalog.table(parts)
    if table is None:
        if if_exists:
            return
        raise table_not_found((CATALOG_NAME, *catalog.qualified(parts)))
    if table.is_view and not view:
        raise spark_error("WRONG_COMMAND_FOR_OBJECT_TYPE", operation="DROP TABLE", requiredType="EXTERNAL or MANAGED",
                          objectName=".".join(table.identifier), foundType="VIEW", alternative="DROP VIEW")  # fmt: skip
    if view and not table.is_view:
        raise spark_error("WRONG_COMMAND_FOR_OBJECT_TYPE", operation="DROP VIEW", requiredType="VIEW",
                          objectName=".".join(table.identifier), foundType=table.kind,
                          alternative="DROP TABLE")  # fmt: skip
    catalog.store.drop_table(table.database, table.name)
    if table.kind == "MANAGED":
        shutil.rmtree(table.location, ignore_errors=True)


def truncate_table(environment: Environment, parts: tuple[str, ...]) -> None:
    """Remove a table's rows."""
    catalog: SessionCatalog = environment.catalog
    table = catalog.existing_table(parts)
    catalog.access.check_table(table.database, table.name, write=True)
    shutil.rmtree(table.location, ignore_errors=True)
    os.makedirs(table.location, exist_ok=True)
    catalog.store.touch(table)


def create_database(
    environment: Environment,
    name: str,
    *,
    if_not_exists: bool,
    comment: str | None = None,
    location: str | None = None,
    properties: Pairs = (),
) -> None:
    """Make a database and its folder."""
    catalog: SessionCatalog = environment.catalog
    check_name(name)
    folder = local_path(location) if location else catalog.store.database_location(name)
    if location:
        catalog.access.check_write(folder)
    made = catalog.store.create_database(Database(name.lower(), folder, comment or "", properties))
    if not made and not if_not_exists:
        raise spark_error("SCHEMA_ALREADY_EXISTS", schemaName=f"`{name}`")
    if made:
        os.makedirs(folder, exist_ok=True)


def drop_database(environment: Environment, name: str, *, if_exists: bool, cascade: bool) -> None:
    """Drop a database, with its tables only where ``cascade`` says so."""
    catalog: SessionCatalog = environment.catalog
    if name.lower() == DEFAULT_DATABASE:
        message = "Can not drop default database."
        raise spark_error("UNSUPPORTED_FEATURE.DROP_DATABASE", message=message, database=f"`{CATALOG_NAME}`.`default`")
    if catalog.store.database(name) is None:
        if if_exists:
            return
        catalog.existing_database(name)
    catalog.access.check_table(name, WHOLE_DATABASE, write=True)
    tables = catalog.store.tables(name)
    if (tables or catalog.store.functions(name)) and not cascade:
        raise spark_error("SCHEMA_NOT_EMPTY", schemaName=f"`{name}`")
    folder = catalog.existing_database(name).location
    for table in tables:
        if table.kind == "MANAGED":
            shutil.rmtree(table.location, ignore_errors=True)
    catalog.store.drop_database(name)
    shutil.rmtree(folder, ignore_errors=True)


CATALOG_NAME = "spark_catalog"
