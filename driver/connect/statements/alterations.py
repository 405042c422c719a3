"""ALTER TABLE, ALTER DATABASE, COMMENT ON and MSCK REPAIR TABLE: one function for each change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.file_relation import find_source, supports_deeply, unsupported_type
from voltray.driver.catalog.guarded_store import WHOLE_DATABASE
from voltray.driver.catalog.names import check_name
from voltray.driver.catalog.records import CATALOG, Table
from voltray.driver.catalog.session_catalog import table_exists, table_not_found
from voltray.driver.connect.statements import partitions, views
from voltray.driver.connect.statements.defaults import CURRENT_DEFAULT, EXISTS_DEFAULT, check_default, new_field
from voltray.driver.connect.statements.lookup import (
    existing_field,
    existing_table,
    find_field,
    unresolved_column,
    unsupported_operation,
)
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import statements as s
from voltray.driver.plan import table_changes as c
from voltray.driver.plan.identifiers import quote, quoted
from voltray.executors.sources.listing import local_path
from voltray.proto.failures import spark_error
from voltray.proto.types import StructField, StructType, same_type, type_name

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

Changer = Callable[[Any, Table, Any], None]


def alter(session: Session, operation: Operation, statement: s.Alter) -> Rows:
    """Change a table or view."""
    change = statement.change
    if isinstance(change, c.RenameTo):
        _rename(session, statement)
    elif statement.view:
        views.alter_view(session, statement)
    else:
        what, alternative, changer = _CHANGES[type(change)]
        shown = change.statement if isinstance(change, c.RecoverPartitions) else what
        table = existing_table(session, statement.name, shown, alternative=alternative)
        changer(session, table, change)
    return NOTHING


def _stored(session: Session, table: Table) -> None:
    session.catalog.store.create_table(table, replacing=True)
    session.catalog.store.touch(table)


# ---- names, properties, places ----------------------------------------------------------------------
def _rename(session: Session, statement: s.Alter) -> None:
    change = statement.change
    assert isinstance(change, c.RenameTo)
    catalog = session.catalog
    if views.rename_temporary(session, statement.name, change.name):
        return
    table = catalog.table(statement.name)
    if table is None:
        raise table_not_found(statement.name)
    if table.is_view and not statement.view:
        raise spark_error("EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW", operation="'ALTER TABLE'",
                          viewName=quoted(statement.name))  # fmt: skip
    if statement.view and not table.is_view:
        raise spark_error("EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE", operation="ALTER VIEW",
                          tableName=quoted(statement.name))  # fmt: skip
    if len(change.name) > 2:
        raise spark_error("IDENTIFIER_TOO_MANY_NAME_PARTS", identifier=quoted(change.name), limit=2)
    database, name = catalog.qualified(change.name) if len(change.name) > 1 else (table.database, change.name[0])
    if database.lower() != table.database:
        message = f"A table stays in its database: '{table.database}' is not '{database}'."
        raise spark_error("_LEGACY_ERROR_TEMP_1073", message=message, db=table.database, newDb=database)
    check_name(name)
    if catalog.store.table(database, name) is not None:
        raise table_exists(f"{quote(table.database)}.{quote(name.lower())}")
    _move(session, table, name.lower())


def _move(session: Session, table: Table, name: str) -> None:
    """Store the table under its new name; a managed table's folder goes along."""
    for changed in (table.name, name):
        session.catalog.access.check_table(table.database, changed, write=True)
    location = table.location
    if table.kind == "MANAGED" and os.path.basename(location) == table.name:
        location = os.path.join(os.path.dirname(location), name)
        if os.path.isdir(table.location):
            shutil.move(table.location, location)
    session.catalog.store.drop_table(table.database, table.name)
    _stored(session, replace(table, name=name, location=location))


def _set_properties(session: Session, table: Table, change: c.SetProperties) -> None:
    comment = dict(change.properties).get("comment", table.comment)
    kept = {**dict(table.properties), **{k: v for k, v in change.properties if k != "comment"}}
    _stored(session, replace(table, properties=tuple(kept.items()), comment=comment))


def _unset_properties(session: Session, table: Table, change: c.UnsetProperties) -> None:
    kept = tuple([(k, v) for k, v in table.properties if k not in change.keys])
    comment = None if "comment" in change.keys else table.comment
    _stored(session, replace(table, properties=kept, comment=comment))


def _set_location(session: Session, table: Table, change: c.SetLocation) -> None:
    if change.partition is not None:
        partitions.set_partition_location(session, table, change.partition, change.location)
        return
    session.catalog.access.check_write(change.location)
    _stored(session, replace(table, location=local_path(change.location), kind="EXTERNAL"))


def _set_serde(session: Session, table: Table, change: c.SetSerde) -> None:
    if change.serde is not None:
        raise spark_error("UNSUPPORTED_FEATURE.ALTER_TABLE_SERDE_FOR_DATASOURCE_TABLE", tableName=table.shown_name)
    _stored(session, replace(table, options=tuple({**dict(table.options), **dict(change.properties)}.items())))


def _set_comment(session: Session, table: Table, change: c.SetComment) -> None:
    _stored(session, replace(table, comment=change.comment))


def _cluster_by(session: Session, table: Table, change: c.ClusterBy) -> None:
    names = tuple([existing_field(table, name).name for name in change.columns])
    shown = "[" + ",".join([f'["{n}"]' for n in names]) + "]"
    kept = {**dict(table.properties), "clusteringColumns": shown}
    _stored(session, replace(table, clustering_columns=names, properties=tuple(kept.items())))


def _set_collation(session: Session, table: Table, change: c.SetCollation) -> None:
    """New string columns would take the collation; those that are there keep theirs."""


# ---- columns ----------------------------------------------------------------------------------------
def _add_columns(session: Session, table: Table, change: c.AddColumns) -> None:
    for column in change.columns:
        if len(column.name) > 1:
            existing_field(table, column.name[:1])
            raise unsupported_operation(table.shown_name, "ADD COLUMN with qualified column")
        if not column.nullable:
            raise spark_error("_LEGACY_ERROR_TEMP_1052", message="Columns that are added can be NULL in old rows.")
    seen = {f.name.lower() for f in table.schema.fields}
    source = find_source(table.provider)
    for column in change.columns:
        if column.name[0].lower() in seen:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=quote(column.name[0].lower()))
        seen.add(column.name[0].lower())
        if not supports_deeply(source, column.dtype):
            raise unsupported_type(source, column.name[0], column.dtype)
    if any(c.default is not None for c in change.columns) and table.provider not in ("parquet", "orc"):
        raise spark_error("ADD_DEFAULT_UNSUPPORTED", statementType="ALTER TABLE ADD COLUMNS", dataSource=table.provider)
    made = [new_field(session, column, "ALTER TABLE ADD COLUMNS", existing_rows=True) for column in change.columns]
    split = len(table.schema.fields) - len(table.partition_columns)
    fields = [*table.schema.fields[:split], *made, *table.schema.fields[split:]]
    _stored(session, replace(table, schema=StructType(fields)))


def _drop_columns(session: Session, table: Table, change: c.DropColumns) -> None:
    for name in change.names:
        if not change.if_exists:
            existing_field(table, name)
    raise unsupported_operation(table.shown_name, "DROP COLUMN")


def _rename_column(session: Session, table: Table, change: c.RenameColumn) -> None:
    existing_field(table, change.name)
    raise unsupported_operation(table.shown_name, "RENAME COLUMN")


def _replace_columns(session: Session, table: Table, change: c.ReplaceColumns) -> None:
    raise unsupported_operation(table.shown_name, "REPLACE COLUMNS")


def _refused(session: Session, table: Table, change: c.RefusedChange) -> None:
    raise unsupported_operation(table.shown_name, change.operation)


def _change_columns(session: Session, table: Table, change: c.ChangeColumns) -> None:
    for item in change.changes:
        field = find_field(table, item.name[0], case_sensitive=session.case_sensitive)
        if field is None:
            raise unresolved_column(item.name, [f.name for f in table.schema.fields])
    if len(change.changes) > 1:
        raise unsupported_operation(table.shown_name, "ALTER COLUMN in bulk")
    item = change.changes[0]
    if len(item.name) > 1:
        raise unsupported_operation(table.shown_name, "ALTER COLUMN with qualified column")
    if item.moved:
        raise unsupported_operation(table.shown_name, "ALTER COLUMN ... FIRST | AFTER")
    if item.nullable is not None:
        raise unsupported_operation(table.shown_name, "ALTER COLUMN ... SET NOT NULL")
    old = existing_field(table, item.name, case_sensitive=session.case_sensitive)
    if item.dtype is not None and not same_type(item.dtype, old.dataType):
        raise spark_error(
            "NOT_SUPPORTED_CHANGE_COLUMN", table=table.shown_name, originName=quote(old.name),
            originType=type_name(old.dataType), newName=quote(old.name), newType=type_name(item.dtype),
        )  # fmt: skip
    changed = _with_changes(session, old, item)
    fields = [changed if f.name == old.name else f for f in table.schema.fields]
    _stored(session, replace(table, schema=StructType(fields)))


def _with_changes(session: Session, old: StructField, item: c.ColumnChange) -> StructField:
    metadata = dict(old.metadata or {})
    if item.comment is not None:
        metadata["comment"] = item.comment
    if item.default is not None:
        check_default(session, old.name, old.dataType, item.default, "ALTER TABLE ALTER COLUMN")
        metadata[CURRENT_DEFAULT] = item.default
    if item.drop_default:
        metadata.pop(CURRENT_DEFAULT, None)
        if EXISTS_DEFAULT in metadata and metadata[EXISTS_DEFAULT] == "":
            del metadata[EXISTS_DEFAULT]
    return StructField(old.name, old.dataType, old.nullable, metadata)


def _recover(session: Session, table: Table, change: c.RecoverPartitions) -> None:
    if not table.partition_columns:
        raise spark_error("NOT_A_PARTITIONED_TABLE", operation=change.statement, tableIdentWithDB=table.shown_name)
    session.catalog.store.touch(table)  # partitions are found in the folders at each read


_CHANGES: Mapping[type[c.Change], tuple[str, bool, Changer]] = {
    c.SetProperties: ("ALTER TABLE ... SET TBLPROPERTIES", True, _set_properties),
    c.UnsetProperties: ("ALTER TABLE ... UNSET TBLPROPERTIES", True, _unset_properties),
    c.SetLocation: ("ALTER TABLE ... SET LOCATION ...", False, _set_location),
    c.SetSerde: ("ALTER TABLE ... SET [SERDE|SERDEPROPERTIES]", False, _set_serde),
    c.AddColumns: ("ALTER TABLE ... ADD COLUMN", False, _add_columns),
    c.DropColumns: ("ALTER TABLE ... DROP COLUMN", False, _drop_columns),
    c.RenameColumn: ("ALTER TABLE ... RENAME COLUMN", False, _rename_column),
    c.ReplaceColumns: ("ALTER TABLE ... REPLACE COLUMNS", False, _replace_columns),
    c.ChangeColumns: ("ALTER TABLE ... ALTER COLUMN", False, _change_columns),
    c.AddPartitions: ("ALTER TABLE ... ADD PARTITION ...", False, partitions.add_partitions),
    c.DropPartitions: ("ALTER TABLE ... DROP PARTITION ...", False, partitions.drop_partitions),
    c.RenamePartition: ("ALTER TABLE ... RENAME TO PARTITION", False, partitions.rename_partition),
    c.RecoverPartitions: ("ALTER TABLE ... RECOVER PARTITIONS", False, _recover),
    c.RefusedChange: ("ALTER TABLE ... CONSTRAINT", False, _refused),
    c.ClusterBy: ("ALTER TABLE ... CLUSTER BY", False, _cluster_by),
    c.SetCollation: ("ALTER TABLE ... DEFAULT COLLATION", False, _set_collation),
    c.SetComment: ("COMMENT ON TABLE", False, _set_comment),
}


# ---- databases --------------------------------------------------------------------------------------
def alter_database(session: Session, operation: Operation, statement: s.AlterDatabase) -> Rows:
    """Change a database."""
    parts = statement.name[1:] if len(statement.name) > 1 and statement.name[0].lower() == CATALOG else statement.name
    database = session.catalog.existing_database(parts[-1])
    change = statement.change
    session.catalog.access.check_table(database.name, WHOLE_DATABASE, write=True)
    if isinstance(change, c.SetLocation):
        session.catalog.access.check_write(change.location)
        database = replace(database, location=local_path(change.location))
    elif isinstance(change, c.SetProperties):
        database = replace(database, properties=tuple({**dict(database.properties), **dict(change.properties)}.items()))
    elif isinstance(change, c.UnsetProperties):
        kept = tuple([(k, v) for k, v in database.properties if k not in change.keys])
        database = replace(database, properties=kept)
    elif isinstance(change, c.SetComment):
        database = replace(database, comment=change.comment or "")
    session.catalog.store.replace_database(database)
    return NOTHING
