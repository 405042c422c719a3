"""Partitions of tables: found in their folders; those of other places are kept in the catalog."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.catalog.records import Table
from voltray.driver.connect.statements.lookup import existing_table, find_field
from voltray.driver.connect.statements.rows import Rows, text_rows
from voltray.driver.connect.statements.variables import evaluate
from voltray.driver.plan import expressions as u
from voltray.driver.plan import statements as s
from voltray.driver.plan import table_changes as c
from voltray.driver.plan.identifiers import quote
from voltray.executors.sources.listing import is_hidden, local_path
from voltray.executors.sources.partitions import DEFAULT_PARTITION, partition_folder, unescape
from voltray.proto.expressions import Expression
from voltray.proto.failures import SparkError, spark_error
from voltray.proto.types import STRING

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

Values = tuple[str | None, ...]


def partition_values(table: Table) -> list[Values]:
    """The values of all partitions of a table, sorted by their folders."""
    found = set(_below(table.location, [c.lower() for c in table.partition_columns]))
    found |= {_values_of(folder) for folder, _ in table.partition_locations}
    return sorted(found, key=lambda v: partition_folder(table.partition_columns, v))


def _below(folder: str, names: Sequence[str]) -> list[Values]:
    if not names:
        return [()]
    if not os.path.isdir(folder):
        return []
    found: list[Values] = []
    for entry in sorted(os.listdir(folder)):
        name, equals, value = entry.partition("=")
        if equals and not is_hidden(entry) and unescape(name).lower() == names[0]:
            head = None if value == DEFAULT_PARTITION else unescape(value)
            found += [(head, *tail) for tail in _below(os.path.join(folder, entry), names[1:])]
    return found


def _values_of(folder: str) -> Values:
    texts = [part.partition("=")[2] for part in folder.split("/")]
    return tuple([None if t == DEFAULT_PARTITION else unescape(t) for t in texts])


# ---- specifications --------------------------------------------------------------------------------
def specified(session: Session, table: Table, spec: c.PartitionSpec) -> dict[str, str | None]:
    """The values that a PARTITION clause fixes, as folders hold them, by the columns' names."""
    known = {name.lower(): name for name in table.partition_columns}
    unknown = [name for name, _ in spec if name.lower() not in known]
    if unknown:
        shown = ", ".join([quote(n) for n in unknown])
        raise spark_error("PARTITIONS_NOT_FOUND", partitionList=shown, tableName=table.shown_name)
    return {known[name.lower()]: _folder_text(session, table, name, value) for name, value in spec if value is not None}


def _folder_text(session: Session, table: Table, name: str, value: Expression) -> str | None:
    field = find_field(table, name)
    assert field is not None
    cast = u.UnresolvedCast(u.UnresolvedCast(value, field.dataType), STRING)
    text = evaluate(session, cast, None).value
    return None if text is None or text == "" else str(text)


def complete_values(session: Session, table: Table, spec: c.PartitionSpec) -> Values:
    """The values of a PARTITION clause that must name every partition column."""
    given = specified(session, table, spec)
    if len(given) != len(table.partition_columns):
        raise _incomplete(table, [name for name, _ in spec])
    return tuple([given[name] for name in table.partition_columns])


def _incomplete(table: Table, names: Sequence[str]) -> SparkError:
    given, wanted = ", ".join(names), ", ".join(table.partition_columns)
    message = (
        f"Partition spec is invalid. The spec ({given}) must match the partition spec ({wanted}) "
        f"defined in table '{table.shown_name}'."
    )
    return spark_error("_LEGACY_ERROR_TEMP_1232", message=message, specKeys=given, partitionColumnNames=wanted,
                       tableName=table.shown_name)  # fmt: skip


def matching(table: Table, given: dict[str, str | None]) -> list[Values]:
    """The partitions that have the given values."""
    places = [(table.partition_columns.index(name), value) for name, value in given.items()]
    return [values for values in partition_values(table) if all(values[i] == v for i, v in places)]


def existing_partition(session: Session, table: Table, spec: c.PartitionSpec) -> Values:
    """One partition that must be there."""
    values = complete_values(session, table, spec)
    if values not in partition_values(table):
        raise not_found(table, [values])
    return values


def _shown(table: Table, found: Sequence[Values]) -> str:
    return ", ".join(
        [
            "PARTITION ("
            + ", ".join([f"{quote(n)} = {v}" for n, v in zip(table.partition_columns, values, strict=False)])
            + ")"
            for values in found
        ]
    )


def not_found(table: Table, found: Sequence[Values]) -> SparkError:
    """The error for partitions that are not there."""
    name = f"{quote(table.database)}.{quote(table.name)}"
    return spark_error("PARTITIONS_NOT_FOUND", partitionList=_shown(table, found), tableName=name)


def _existing_already(table: Table, found: Sequence[Values]) -> SparkError:
    name = f"{quote(table.database)}.{quote(table.name)}"
    return spark_error("PARTITIONS_ALREADY_EXIST", partitionList=_shown(table, found), tableName=name)


def folder_of(table: Table, values: Values) -> str:
    """Where a partition's files are."""
    folder = partition_folder(table.partition_columns, values)
    return dict(table.partition_locations).get(folder) or os.path.join(table.location, folder)


# ---- changes ---------------------------------------------------------------------------------------
def check_partitioned(table: Table, operation: str) -> None:
    """Refuse statements about partitions of a table without any."""
    if not table.partition_columns:
        message = (
            f"{operation} is not allowed on {table.name} since its partition metadata is not stored in the Hive "
            f"metastore. To import this information into the metastore, run `msck repair table {table.name}`."
        )
        raise spark_error("_LEGACY_ERROR_TEMP_1251", message=message, action=operation, tableName=table.name)


def add_partitions(session: Session, table: Table, change: c.AddPartitions) -> None:
    """Make partitions that have no rows yet, or that lie in a place of their own."""
    check_partitioned(table, "ALTER TABLE ADD PARTITION")
    known = partition_values(table)
    wanted = [(complete_values(session, table, spec), location) for spec, location in change.partitions]
    there = [values for values, _ in wanted if values in known]
    if there and not change.if_not_exists:
        raise _existing_already(table, there)
    places = dict(table.partition_locations)
    for values, location in wanted:
        folder = partition_folder(table.partition_columns, values)
        if values in known:
            continue
        if location is None:
            os.makedirs(os.path.join(table.location, folder), exist_ok=True)
        else:
            places[folder] = _absolute(session, table, location)
            os.makedirs(places[folder], exist_ok=True)
    _store_places(session, table, places)


def _absolute(session: Session, table: Table, location: str) -> str:
    plain = not location.startswith("/") and ":" not in location
    place = os.path.join(table.location, location) if plain else local_path(location)
    if not plain or ".." in place:
        session.catalog.access.check_write(place)
    return place


def _store_places(session: Session, table: Table, places: dict[str, str]) -> None:
    store = session.catalog.store
    if places != dict(table.partition_locations):
        store.create_table(replace(table, partition_locations=tuple(sorted(places.items()))), replacing=True)
    store.touch(table)


def drop_partitions(session: Session, table: Table, change: c.DropPartitions) -> None:
    """Remove partitions, their files with them where the table is managed."""
    check_partitioned(table, "ALTER TABLE DROP PARTITION")
    wanted: list[Values] = []
    for spec in change.partitions:
        given = specified(session, table, spec)
        if len(given) < len(table.partition_columns):
            if not change.if_exists:
                raise not_found(table, [tuple(given.values())])
            continue
        wanted.append(tuple([given[name] for name in table.partition_columns]))
    known = partition_values(table)
    missing = [values for values in wanted if values not in known]
    if missing and not change.if_exists:
        raise not_found(table, missing)
    places = dict(table.partition_locations)
    for values in wanted:
        folder = partition_folder(table.partition_columns, values)
        if folder in places:
            del places[folder]
        else:
            shutil.rmtree(os.path.join(table.location, folder), ignore_errors=True)
    _store_places(session, table, places)


def rename_partition(session: Session, table: Table, change: c.RenamePartition) -> None:
    """Give a partition other values."""
    check_partitioned(table, "ALTER TABLE RENAME PARTITION")
    old, new = complete_values(session, table, change.partition), complete_values(session, table, change.to)
    known = partition_values(table)
    if old not in known:
        raise not_found(table, [old])
    if new in known:
        raise _existing_already(table, [new])
    source = folder_of(table, old)
    target = os.path.join(table.location, partition_folder(table.partition_columns, new))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.move(source, target)
    places = dict(table.partition_locations)
    places.pop(partition_folder(table.partition_columns, old), None)
    _store_places(session, table, places)


def set_partition_location(session: Session, table: Table, spec: c.PartitionSpec, location: str) -> None:
    """Let a partition lie in another place."""
    check_partitioned(table, "ALTER TABLE ... SET LOCATION")
    values = existing_partition(session, table, spec)
    folder = partition_folder(table.partition_columns, values)
    _store_places(session, table, {**dict(table.partition_locations), folder: _absolute(session, table, location)})


def truncate_partitions(session: Session, table: Table, spec: c.PartitionSpec) -> None:
    """Remove the rows of some partitions."""
    if not table.partition_columns:
        message = (
            "Operation not allowed: TRUNCATE TABLE ... PARTITION is not supported for tables that are not "
            f"partitioned: {table.shown_name}."
        )
        raise spark_error("_LEGACY_ERROR_TEMP_1267", message=message, tableIdentWithDB=table.shown_name)
    for values in matching(table, specified(session, table, spec)):
        folder = folder_of(table, values)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, exist_ok=True)
    session.catalog.store.touch(table)


def show_partitions(session: Session, operation: Operation, statement: s.ShowPartitions) -> Rows:
    """The partitions of a table, a folder's name each."""
    table = existing_table(session, statement.name, "SHOW PARTITIONS")
    if not table.partition_columns:
        raise spark_error("INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY", name=table.shown_name)
    given = specified(session, table, statement.partition or ())
    folders = [partition_folder(table.partition_columns, values) for values in matching(table, given)]
    return text_rows(("partition",), [(folder,) for folder in folders])


__all__ = [
    "add_partitions", "drop_partitions", "existing_partition", "folder_of", "matching",
    "partition_values", "rename_partition", "set_partition_location", "show_partitions", "specified",
    "truncate_partitions",
]  # fmt: skip
