"""The embedded catalog: one SQLite file beside the warehouse, shared by all sessions and threads."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from voltray.driver.catalog.records import DEFAULT_DATABASE, Database, Pairs, StoredFunction, Table
from voltray.proto.types import StructType

_TABLES = (
    "create table if not exists databases (name text primary key, location text, comment text, properties text)",
    "create table if not exists tables (database text, name text, document text, primary key (database, name))",
    "create table if not exists functions (database text, name text, document text, primary key (database, name))",
)
_BUSY_SECONDS = 30.0


class CatalogStore:
    """Reads and writes the catalog. Names are kept in lower case, as Spark keeps them."""

    def __init__(self, path: Path | str, warehouse: Path | str) -> None:
        self.warehouse = os.path.abspath(warehouse)
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        self._lock = threading.RLock()
        self._versions: dict[tuple[str, str], int] = {}
        # One connection for all threads, used under the lock; other processes wait for the file.
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_SECONDS, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        with self._transaction():
            for statement in _TABLES:
                self._connection.execute(statement)
            default = (DEFAULT_DATABASE, self.warehouse, "default database", "[]")
            self._connection.execute("insert or ignore into databases values (?, ?, ?, ?)", default)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("begin immediate")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # Databases

    def databases(self) -> list[Database]:
        """All databases by name."""
        rows = self._rows("select name, location, comment, properties from databases order by name")
        return [Database(r[0], r[1], r[2], _pairs(json.loads(r[3]))) for r in rows]

    def database(self, name: str) -> Database | None:
        """One database."""
        rows = self._rows("select name, location, comment, properties from databases where name = ?", name.lower())
        return Database(rows[0][0], rows[0][1], rows[0][2], _pairs(json.loads(rows[0][3]))) if rows else None

    def create_database(self, database: Database) -> bool:
        """Add a database; False where there is one of the name."""
        values = (database.name.lower(), database.location, database.comment, json.dumps(database.properties))
        with self._transaction() as connection:
            done = connection.execute("insert or ignore into databases values (?, ?, ?, ?)", values)
            return done.rowcount == 1

    def replace_database(self, database: Database) -> None:
        """Change what is known of a database."""
        values = (database.name.lower(), database.location, database.comment, json.dumps(database.properties))
        with self._transaction() as connection:
            connection.execute("insert or replace into databases values (?, ?, ?, ?)", values)

    def drop_database(self, name: str) -> None:
        """Remove a database with all it holds."""
        with self._transaction() as connection:
            for table, column in (("databases", "name"), ("tables", "database"), ("functions", "database")):
                connection.execute(f"delete from {table} where {column} = ?", (name.lower(),))

    def database_location(self, name: str) -> str:
        """Where a new database keeps its tables."""
        return os.path.join(self.warehouse, f"{name.lower()}.db")

    # Tables and views

    def tables(self, database: str) -> list[Table]:
        """All tables and views of a database by name."""
        rows = self._rows("select document from tables where database = ? order by name", database.lower())
        return [_table(r[0]) for r in rows]

    def table(self, database: str, name: str) -> Table | None:
        """One table or view."""
        query = "select document from tables where database = ? and name = ?"
        rows = self._rows(query, database.lower(), name.lower())
        return _table(rows[0][0]) if rows else None

    def create_table(self, table: Table, *, replacing: bool = False) -> bool:
        """Add a table; False where there is one of the name (unless it is replaced)."""
        created = table if table.created_at else replace(table, created_at=int(time.time() * 1000))
        created = replace(created, database=created.database.lower(), name=created.name.lower())
        values = (created.database, created.name, _document(created))
        verb = "replace" if replacing else "ignore"
        with self._transaction() as connection:
            return connection.execute(f"insert or {verb} into tables values (?, ?, ?)", values).rowcount == 1

    def drop_table(self, database: str, name: str) -> None:
        """Remove a table or view from the catalog (its files are the caller's)."""
        with self._transaction() as connection:
            values = (database.lower(), name.lower())
            connection.execute("delete from tables where database = ? and name = ?", values)

    def table_version(self, table: Table) -> int:
        """How often a table's data changed since the server started."""
        return self._versions.get((table.database, table.name), 0)

    def touch(self, table: Table) -> None:
        """Note that a table's data changed."""
        with self._lock:
            self._versions[table.database, table.name] = self.table_version(table) + 1

    def touch_below(self, path: str) -> None:
        """Note that the data of all tables in a folder changed."""
        folder = path.rstrip("/") + "/"
        for database in self.databases():
            for table in self.tables(database.name):
                if f"{table.location}/".startswith(folder):
                    self.touch(table)

    # Functions

    def functions(self, database: str) -> list[StoredFunction]:
        """All functions of a database by name."""
        rows = self._rows("select document from functions where database = ? order by name", database.lower())
        return [_function(r[0]) for r in rows]

    def function(self, database: str, name: str) -> StoredFunction | None:
        """One function."""
        query = "select document from functions where database = ? and name = ?"
        rows = self._rows(query, database.lower(), name.lower())
        return _function(rows[0][0]) if rows else None

    def create_function(self, function: StoredFunction, *, replacing: bool = False) -> bool:
        """Add a function; False where there is one of the name (unless it is replaced)."""
        document = json.dumps(
            {"database": function.database.lower(), "name": function.name.lower(), "class_name": function.class_name,
             "properties": function.properties}
        )  # fmt: skip
        verb = "replace" if replacing else "ignore"
        with self._transaction() as connection:
            values = (function.database.lower(), function.name.lower(), document)
            return connection.execute(f"insert or {verb} into functions values (?, ?, ?)", values).rowcount == 1

    def drop_function(self, database: str, name: str) -> bool:
        """Remove a function; False where there is none."""
        with self._transaction() as connection:
            statement = "delete from functions where database = ? and name = ?"
            return connection.execute(statement, (database.lower(), name.lower())).rowcount == 1


def _pairs(value: Sequence[Sequence[str]]) -> Pairs:
    return tuple((str(pair[0]), str(pair[1])) for pair in value)


_PAIRS = ("options", "properties", "view_confs", "partition_locations", "statistics")
_NAMES = ("partition_columns", "bucket_columns", "sort_columns", "view_names", "clustering_columns")


def _document(table: Table) -> str:
    fields = {name: getattr(table, name) for name in Table.__dataclass_fields__ if name != "schema"}
    return json.dumps({**fields, "schema": table.schema.jsonValue()})


def _table(document: str) -> Table:
    held = json.loads(document)
    schema = StructType.fromJson(held.pop("schema"))
    pairs: dict[str, Any] = {name: _pairs(held.pop(name, ())) for name in _PAIRS}
    names: dict[str, Any] = {name: tuple(held.pop(name, ())) for name in _NAMES}
    return Table(schema=schema, **pairs, **names, **held)


def _function(document: str) -> StoredFunction:
    held = json.loads(document)
    return StoredFunction(held["database"], held["name"], held["class_name"], _pairs(held["properties"]))
