"""A session's view of the catalog: the current database, temporary views, and what a name stands for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.access import EVERYTHING, Access
from voltray.driver.catalog.file_relation import CHAR_VARCHAR, file_scan, find_source
from voltray.driver.catalog.guarded_store import GuardedStore
from voltray.driver.catalog.records import CATALOG, DEFAULT_DATABASE, GLOBAL_TEMP_DATABASE, Database, Table
from voltray.driver.catalog.store import CatalogStore
from voltray.driver.plan.logical import LogicalPlan
from voltray.executors.sources.catalogue import lookup_source
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import CharType, StructField, StructType, VarcharType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.plan.relations import NamedTable, Relation

_REMEMBERED = 16
_TEMPORARY_QUALIFIERS = (("session",), ("system", "session"))


@dataclass(frozen=True, slots=True)
class TemporaryView:
    """A temporary view: a resolved plan, and the text it came from where it came from SQL."""

    name: str
    plan: LogicalPlan
    text: str = ""


class GlobalViews:
    """The temporary views that all sessions of a server share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.views: dict[str, TemporaryView] = {}


class SharedCatalog:
    """What all sessions of a server share: the stored catalog and, where users are not told apart, global views."""

    def __init__(self, store: CatalogStore) -> None:
        self.store = store
        self.global_views = GlobalViews()
        self._lock = threading.Lock()
        self._views_of_users: dict[str, GlobalViews] = {}

    def open(self, access: Access = EVERYTHING, owner: str | None = None) -> SessionCatalog:
        """A new session's view; with an ``owner``, global views are those of this user's sessions alone."""
        views = self.global_views
        if owner is not None:
            with self._lock:
                views = self._views_of_users.setdefault(owner, GlobalViews())
        return SessionCatalog(self.store, views, access)

    def close(self) -> None:
        """Close the stored catalog."""
        self.store.close()


class SessionCatalog:
    """The catalog as one session sees it."""

    def __init__(
        self, store: CatalogStore, global_views: GlobalViews | None = None, access: Access = EVERYTHING
    ) -> None:
        self._stored = store
        self.access = access
        self.store = GuardedStore(store, access) if access.restricted else store
        self.current_catalog = CATALOG
        self._database = DEFAULT_DATABASE
        self._global = global_views or GlobalViews()
        self._views: dict[str, TemporaryView] = {}
        self._lock = threading.Lock()
        self._done: dict[Relation, LogicalPlan] = {}

    def done(self, relation: Relation) -> LogicalPlan | None:
        """The answer to a call that was carried out already: the client may ask for its schema again."""
        return self._done.get(relation)

    def remember(self, relation: Relation, answer: LogicalPlan) -> None:
        """Keep the answer to a call that must not be carried out twice."""
        with self._lock:
            kept = list(self._done.items())[-_REMEMBERED:]
            self._done = {**dict(kept), relation: answer}

    def copy(self, access: Access = EVERYTHING) -> SessionCatalog:
        """The same view for a cloned session, which has rights of its own."""
        made = SessionCatalog(self._stored, self._global, access)
        made._database = self._database
        made._views = dict(self._views)
        return made

    # Databases

    @property
    def current_database(self) -> str:
        """The database of names without one."""
        return self._database

    def set_current_database(self, name: str) -> None:
        """Make an existing database the current one."""
        self._database = self.existing_database(name).name

    def existing_database(self, name: str) -> Database:
        """A database that must be there."""
        found = self.store.database(name)
        if found is None:
            raise database_not_found(name)
        return found

    # Temporary views

    def create_temp_view(self, name: str, plan: LogicalPlan, *, replace: bool, text: str = "") -> None:
        """Name a plan in this session."""
        with self._lock:
            if not replace and name.lower() in self._views:
                raise _view_exists(f"`{name}`")
            self._views = {**self._views, name.lower(): TemporaryView(name.lower(), plan, text)}

    def create_global_temp_view(self, name: str, plan: LogicalPlan, *, replace: bool, text: str = "") -> None:
        """Name a plan for all sessions of the server."""
        with self._global.lock:
            if not replace and name.lower() in self._global.views:
                raise _view_exists(f"`{name}`")
            self._global.views = {**self._global.views, name.lower(): TemporaryView(name.lower(), plan, text)}

    def drop_temp_view(self, name: str) -> TemporaryView | None:
        """Forget a temporary view; what was dropped, or None."""
        with self._lock:
            kept = dict(self._views)
            found = kept.pop(name.lower(), None)
            self._views = kept
            return found

    def drop_global_temp_view(self, name: str) -> TemporaryView | None:
        """Forget a global temporary view; what was dropped, or None."""
        with self._global.lock:
            kept = dict(self._global.views)
            found = kept.pop(name.lower(), None)
            self._global.views = kept
            return found

    @property
    def temp_views(self) -> Mapping[str, TemporaryView]:
        """The session's temporary views by name."""
        return self._views

    @property
    def global_temp_views(self) -> Mapping[str, TemporaryView]:
        """The server's global temporary views by name."""
        return self._global.views

    def temp_view(self, parts: tuple[str, ...]) -> TemporaryView | None:
        """The temporary view that a name stands for, if it stands for one."""
        if len(parts) == 1 or tuple(p.lower() for p in parts[:-1]) in _TEMPORARY_QUALIFIERS:
            return self._views.get(parts[-1].lower())
        if len(parts) == 2 and parts[0].lower() == GLOBAL_TEMP_DATABASE:
            return self._global.views.get(parts[1].lower())
        return None

    # Tables

    def qualified(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """Database and table of a name of one to three parts."""
        if len(parts) > 1 and parts[0].lower() == CATALOG:
            parts = parts[1:]
        if len(parts) == 1:
            return self._database, parts[0]
        if len(parts) == 2:
            return parts[0], parts[1]
        namespace = ".".join(f"`{p}`" for p in parts[:-1])
        raise spark_error("REQUIRES_SINGLE_PART_NAMESPACE", sessionCatalog=CATALOG, namespace=namespace)

    def table(self, parts: tuple[str, ...]) -> Table | None:
        """A stored table or view by name."""
        database, name = self.qualified(parts)
        return self.store.table(database, name)

    def existing_table(self, parts: tuple[str, ...]) -> Table:
        """A stored table or view that must be there."""
        found = self.table(parts)
        if found is None:
            raise table_not_found(parts)
        return found

    def exists(self, parts: tuple[str, ...]) -> bool:
        """Whether a name stands for a view or table."""
        return self.temp_view(parts) is not None or self.table(parts) is not None

    def resolve_table(self, named: NamedTable, environment: Environment) -> LogicalPlan | Relation:
        """A temp view's plan, a table's scan, a stored view's query, or files named as ``format.`path```."""
        view = self.temp_view(named.parts)
        if view is not None:
            return view.plan
        table = self.table(named.parts)
        if table is None:
            return self._files_by_name(named, environment)
        return stored_view(table, environment) if table.is_view else table_scan(table, environment, named.options)

    def _files_by_name(self, named: NamedTable, environment: Environment) -> LogicalPlan:
        if len(named.parts) != 2 or lookup_source(named.parts[0]) is None:
            raise table_not_found(named.parts)
        if environment.conf("spark.sql.runSQLOnFiles") == "false":
            raise table_not_found(named.parts)
        source = find_source(named.parts[0])
        return file_scan(source, (named.parts[1],), named.options, None, environment)


def table_scan(table: Table, environment: Environment, options: tuple[tuple[str, str], ...] = ()) -> LogicalPlan:
    """A scan of all files of a stored table."""
    source = find_source(table.provider)
    folders = {c.lower() for c in table.partition_columns}
    by_name = {f.name.lower(): f for f in table.schema.fields}
    data = StructType([_described(f) for f in table.schema.fields if f.name.lower() not in folders])
    partitions = StructType([by_name[c.lower()] for c in table.partition_columns])
    merged = {k.lower(): (k, v) for k, v in (*table.options, *options) if k.lower() != "path"}
    scan = file_scan(
        source, (table.location,), (*merged.values(), ("ignoreMissingFiles", "true")), data, environment,
        partition_schema=partitions, table=table.identifier,
    )  # fmt: skip
    version = environment.catalog.store.table_version(table)
    return replace(scan, table_version=version, statistics=table.statistics)


def _described(field: StructField) -> StructField:
    """A column that remembers its char or varchar type."""
    if not isinstance(field.dataType, CharType | VarcharType):
        return field
    metadata = {**(field.metadata or {}), CHAR_VARCHAR: field.dataType.simpleString()}
    return StructField(field.name, field.dataType, field.nullable, metadata)


def stored_view(table: Table, environment: Environment) -> Relation:
    """A persistent view's query under the view's name and column names."""
    from voltray.driver.catalog.view_query import view_query

    return view_query(table, environment)


def database_not_found(name: str) -> SparkError:
    """The error for a database that is not there."""
    return spark_error("SCHEMA_NOT_FOUND", schemaName=f"`{CATALOG}`.`{name}`")


def table_not_found(parts: tuple[str, ...]) -> SparkError:
    """The error for a table or view that is not there."""
    return spark_error("TABLE_OR_VIEW_NOT_FOUND", relationName=".".join(f"`{p}`" for p in parts))


def table_exists(table: str) -> SparkError:
    """The error for a table that is there already."""
    return spark_error("TABLE_OR_VIEW_ALREADY_EXISTS", relationName=table)


def _view_exists(name: str) -> SparkError:
    return spark_error("TEMP_TABLE_OR_VIEW_ALREADY_EXISTS", ErrorKind.TEMPORARY_TABLE_EXISTS, relationName=name)


def open_shared_catalog(catalog_path: Any, warehouse: Any) -> SharedCatalog:
    """The server's catalog, from its file."""
    return SharedCatalog(CatalogStore(catalog_path, warehouse))


__all__ = [
    "GlobalViews", "SessionCatalog", "SharedCatalog", "TemporaryView", "database_not_found", "open_shared_catalog",
    "stored_view", "table_exists", "table_not_found", "table_scan",
]  # fmt: skip
