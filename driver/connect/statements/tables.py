"""CREATE, DROP and TRUNCATE of databases, tables and views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.catalog import table_creation
from voltray.driver.catalog.records import CATALOG
from voltray.driver.catalog.session_catalog import table_not_found
from voltray.driver.catalog.write_planning import WriteRequest, plan_write
from voltray.driver.connect.statements.defaults import new_field
from voltray.driver.connect.statements.insertions import run_write
from voltray.driver.connect.statements.lookup import existing_table, unsupported_operation
from voltray.driver.connect.statements.partitions import truncate_partitions
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quote, quoted
from voltray.driver.plan.logical import schema_of
from voltray.proto.failures import spark_error
from voltray.proto.types import StructType, type_name

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

MAX_BUCKETS = 100_000


def use(session: Session, operation: Operation, statement: s.Use) -> Rows:
    """Make a database the current one."""
    name = statement.name
    if name == (CATALOG,):
        return NOTHING
    name = name[1:] if len(name) > 1 and name[0].lower() == CATALOG else name
    if len(name) > 1:
        raise spark_error("SCHEMA_NOT_FOUND", schemaName=quoted((CATALOG, *name)))
    session.catalog.set_current_database(name[0])
    return NOTHING


def create_database(session: Session, operation: Operation, statement: s.CreateDatabase) -> Rows:
    """Make a database."""
    table_creation.create_database(
        session,
        _single_part(statement.name),
        if_not_exists=statement.if_not_exists,
        comment=statement.comment,
        location=statement.location,
        properties=statement.properties,
    )
    return NOTHING


def _single_part(name: tuple[str, ...]) -> str:
    """A database's name, without the catalog's."""
    parts = name[1:] if len(name) > 1 and name[0].lower() == CATALOG else name
    if len(parts) != 1:
        raise spark_error("REQUIRES_SINGLE_PART_NAMESPACE", sessionCatalog=CATALOG, namespace=quoted(parts))
    return parts[0]


def drop_database(session: Session, operation: Operation, statement: s.DropDatabase) -> Rows:
    """Drop a database."""
    name = _single_part(statement.name)
    table_creation.drop_database(session, name, if_exists=statement.if_exists, cascade=statement.cascade)
    return NOTHING


# ---- views ----------------------------------------------------------------------------------------
def create_temporary_view_using(session: Session, operation: Operation, statement: s.CreateTemporaryViewUsing) -> Rows:
    """A temporary view over files."""
    schema = statement.schema.json() if statement.schema is not None else None
    plan = session.analyze(r.DataSource(statement.format, schema, statement.options, ()))
    catalog = session.catalog
    create = catalog.create_global_temp_view if statement.is_global else catalog.create_temp_view
    create(statement.name[-1], plan, replace=statement.replace)
    return NOTHING


def drop_view(session: Session, operation: Operation, statement: s.DropView) -> Rows:
    """Drop a view of any kind."""
    table_creation.drop_table(session, statement.name, if_exists=statement.if_exists, view=True)
    return NOTHING


# ---- tables ---------------------------------------------------------------------------------------
def create_table(session: Session, operation: Operation, statement: s.CreateTable) -> Rows:
    """An empty table, a copy of a table's shape, or a query's rows."""
    _check_supported(session, statement)
    if statement.query is not None:
        _create_as_select(session, operation, statement)
        return NOTHING
    schema = StructType([new_field(session, c, "CREATE TABLE") for c in statement.columns]) or None
    if statement.like is not None:
        statement, schema = _like(session, statement)
    table_creation.create_table(
        session,
        statement.name,
        provider=statement.format,
        schema=schema if schema is not None and schema.fields else None,
        path=statement.location,
        options=statement.options,
        partition_columns=statement.partition_columns,
        bucket_count=statement.num_buckets or 0,
        bucket_columns=statement.bucket_columns,
        sort_columns=statement.sort_columns,
        properties=_properties(statement),
        comment=statement.comment,
        if_not_exists=statement.if_not_exists,
        clustering_columns=statement.clustering_columns,
    )
    return NOTHING


def _properties(statement: s.CreateTable) -> s.Options:
    if not statement.clustering_columns:
        return statement.properties
    shown = "[" + ",".join([f'["{n}"]' for n in statement.clustering_columns]) + "]"
    return (*statement.properties, ("clusteringColumns", shown))


def _like(session: Session, statement: s.CreateTable) -> tuple[s.CreateTable, StructType]:
    assert statement.like is not None
    view = session.catalog.temp_view(statement.like)
    if view is not None:
        return statement, schema_of(view.plan)
    like = session.catalog.table(statement.like)
    if like is None:
        raise table_not_found((CATALOG, *session.catalog.qualified(statement.like)))
    provider = statement.format or ("" if like.is_view else like.shown_provider or like.provider) or None
    changed = replace(
        statement, format=provider, partition_columns=like.partition_columns,
        num_buckets=like.bucket_count or None, bucket_columns=like.bucket_columns, sort_columns=like.sort_columns,
    )  # fmt: skip
    return changed, like.schema


def _check_supported(session: Session, statement: s.CreateTable) -> None:
    """Refuse what only other catalogs or Hive have."""
    if statement.hive:
        raise spark_error("NOT_SUPPORTED_COMMAND_WITHOUT_HIVE_SUPPORT", cmd="CREATE Hive TABLE (AS SELECT)")
    database, name = session.catalog.qualified(statement.name)
    shown = quoted((CATALOG, database, name))
    if statement.replace:
        operation = "REPLACE TABLE AS SELECT" if statement.query is not None else "REPLACE TABLE"
        raise unsupported_operation(shown, operation)
    refused = next((c.generated for c in statement.columns if c.generated), "")
    if refused:
        raise unsupported_operation(shown, refused)
    if statement.transforms:
        raise spark_error("UNSUPPORTED_PARTITION_TRANSFORM", transform=f"`{statement.transforms[0]}`")
    if statement.num_buckets is not None and not 0 < statement.num_buckets <= MAX_BUCKETS:
        raise spark_error("INVALID_BUCKET_COUNT", bucketingMaxBuckets=MAX_BUCKETS, numBuckets=statement.num_buckets)
    if statement.columns and statement.query is None:
        _check_columns(statement, shown)


def _check_columns(statement: s.CreateTable, shown: str) -> None:
    names = [c.name[-1] for c in statement.columns]
    for each in (names, statement.partition_columns, statement.bucket_columns):
        _check_unique(each)
    known = {c.name[-1].lower(): c.dtype for c in statement.columns}
    listed = ", ".join([quote(n) for n in names])
    for kind, wanted in (("partition", statement.partition_columns), ("bucket", statement.bucket_columns)):
        for column in wanted:
            if column.lower() not in known:
                raise spark_error("COLUMN_NOT_DEFINED_IN_TABLE", colType=kind, colName=quote(column),
                                  tableName=shown, tableCols=listed)  # fmt: skip
    for column in statement.partition_columns:
        dtype = known[column.lower()]
        if dtype.typeName() in ("array", "map", "struct", "variant"):
            raise spark_error("INVALID_PARTITION_COLUMN_DATA_TYPE", type=type_name(dtype))
    if statement.partition_columns and len(statement.partition_columns) == len(names):
        raise spark_error("ALL_PARTITION_COLUMNS_NOT_ALLOWED")


def _check_unique(names: Sequence[str]) -> None:
    lowered = [n.lower() for n in names]
    for name in lowered:
        if lowered.count(name) > 1:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=quote(name))


def _create_as_select(session: Session, operation: Operation, statement: s.CreateTable) -> None:
    assert statement.query is not None
    request = WriteRequest(
        format=statement.format,
        mode="ignore" if statement.if_not_exists else "error",
        table=statement.name,
        method="save_as_table",
        path=statement.location,
        partition_columns=statement.partition_columns,
        options=statement.options,
        bucket_count=statement.num_buckets or 0,
        bucket_columns=statement.bucket_columns,
        sort_columns=statement.sort_columns,
        properties=_properties(statement),
        comment=statement.comment,
    )
    run_write(session, operation, plan_write(request, session.analyze(statement.query), session))


def drop_table(session: Session, operation: Operation, statement: s.DropTable) -> Rows:
    """Drop a table."""
    table_creation.drop_table(session, statement.name, if_exists=statement.if_exists)
    return NOTHING


def truncate_table(session: Session, operation: Operation, statement: s.TruncateTable) -> Rows:
    """Remove a table's rows, or those of some partitions."""
    table = existing_table(session, statement.name, "TRUNCATE TABLE")
    if statement.partition is not None:
        truncate_partitions(session, table, statement.partition)
    else:
        table_creation.truncate_table(session, statement.name)
    return NOTHING
