"""All of ``spark.catalog``: each operation of the protocol, and the rows that Spark answers with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.builtin_functions import FunctionEntry, builtin_functions
from voltray.driver.catalog.records import CATALOG, GLOBAL_TEMP_DATABASE, Database, StoredFunction, Table
from voltray.driver.catalog.session_catalog import SessionCatalog, table_not_found
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.driver.plan.relations import NamedTable
from voltray.executors.sources.listing import local_path
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BOOLEAN, STRING, ArrayType, DataType, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.plan.relations import CatalogRelation

Row = tuple[Any, ...]


def _columns(**types: tuple[DataType, bool]) -> StructType:
    return StructType([StructField(name, dtype, nullable) for name, (dtype, nullable) in types.items()])


_TEXT, _FLAG, _TEXTS = (STRING, True), (BOOLEAN, False), (ArrayType(STRING, True), True)
_DATABASE = _columns(name=_TEXT, catalog=_TEXT, description=_TEXT, locationUri=_TEXT)
_TABLE = _columns(name=_TEXT, catalog=_TEXT, namespace=_TEXTS, description=_TEXT, tableType=_TEXT, isTemporary=_FLAG)
_FUNCTION = _columns(name=_TEXT, catalog=_TEXT, namespace=_TEXTS, description=_TEXT, className=_TEXT, isTemporary=_FLAG)
_COLUMN = _columns(
    name=_TEXT, description=_TEXT, dataType=_TEXT, nullable=_FLAG, isPartition=_FLAG, isBucket=_FLAG, isCluster=_FLAG
)
_CATALOG = _columns(name=_TEXT, description=_TEXT)
_VALUE = _columns(value=_TEXT)
_TRUTH = _columns(value=_FLAG)
# Clients ask for the schema of what these made, by sending them again.
_ONCE = ("create_table", "create_external_table")
_NOTHING = _columns(value=(STRING, False))


def run_catalog_operation(relation: CatalogRelation, environment: Environment) -> LogicalPlan:
    """Do what a call of ``spark.catalog`` asks, now, and return its answer as rows."""
    operation = _OPERATIONS.get(relation.operation)
    if operation is None:
        message = f"The catalog operation {relation.operation} is not supported."
        raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=message, sqlstate="0A000")
    once = relation.operation in _ONCE and relation.plan_id is not None
    if once and (done := _catalog(environment).done(relation)) is not None:
        return done
    arguments = {k: v for k, v in relation.arguments if v is not None}
    answer = operation(environment, arguments)
    if isinstance(answer, LogicalPlan):
        if once:
            _catalog(environment).remember(relation, answer)
        return answer
    from voltray.driver.analysis.local_data import local_plan

    schema, rows = answer
    return local_plan(schema, tuple(rows))


Answer = tuple[StructType, Iterable[Row]] | LogicalPlan
Arguments = Mapping[str, Any]


def _catalog(environment: Environment) -> SessionCatalog:
    catalog: SessionCatalog = environment.catalog
    return catalog


def matches(pattern: str | None, name: str) -> bool:
    """Whether a name fits a pattern of SHOW and list: ``*`` for any text, ``|`` between choices, no case."""
    if pattern is None:
        return True
    choices = (p.strip().replace("*", ".*") for p in pattern.split("|"))
    try:
        return any(re.fullmatch(f"(?i){choice}", name) is not None for choice in choices)
    except re.error:
        return False


def _name_parts(arguments: Arguments, key: str = "table_name") -> tuple[str, ...]:
    """A table's name, in the database that an argument of its own gives."""
    database = arguments.get("db_name")
    if database:
        return (*split_identifier(database), arguments[key])
    return split_identifier(arguments[key])


# Catalogs and databases


def _current_catalog(environment: Environment, arguments: Arguments) -> Answer:
    return _VALUE, [(_catalog(environment).current_catalog,)]


def _set_current_catalog(environment: Environment, arguments: Arguments) -> Answer:
    name = arguments["catalog_name"]
    if name.lower() != CATALOG:
        raise spark_error(
            "CATALOG_NOT_FOUND", ErrorKind.SPARK, catalogName=f"`{name}`", config=f'"spark.sql.catalog.{name}"'
        )
    return _NOTHING, []


def _list_catalogs(environment: Environment, arguments: Arguments) -> Answer:
    return _CATALOG, [(CATALOG, None)] if matches(arguments.get("pattern"), CATALOG) else []


def _current_database(environment: Environment, arguments: Arguments) -> Answer:
    return _VALUE, [(_catalog(environment).current_database,)]


def _set_current_database(environment: Environment, arguments: Arguments) -> Answer:
    _catalog(environment).set_current_database(_database_name(arguments["db_name"]))
    return _NOTHING, []


def _database_name(text: str) -> str:
    parts = split_identifier(text)
    if len(parts) > 1 and parts[0].lower() == CATALOG:
        parts = parts[1:]
    if len(parts) != 1:
        namespace = ".".join(f"`{p}`" for p in parts)
        raise spark_error("REQUIRES_SINGLE_PART_NAMESPACE", sessionCatalog=CATALOG, namespace=namespace)
    return parts[0]


def _database_row(database: Database) -> Row:
    return database.name, CATALOG, database.comment, f"file:{database.location}"


def _list_databases(environment: Environment, arguments: Arguments) -> Answer:
    found = _catalog(environment).store.databases()
    return _DATABASE, [_database_row(d) for d in found if matches(arguments.get("pattern"), d.name)]


def _get_database(environment: Environment, arguments: Arguments) -> Answer:
    name = _database_name(arguments["db_name"])
    return _DATABASE, [_database_row(_catalog(environment).existing_database(name))]


def _database_exists(environment: Environment, arguments: Arguments) -> Answer:
    try:
        name = _database_name(arguments["db_name"])
    except SparkError:
        return _TRUTH, [(False,)]
    return _TRUTH, [(_catalog(environment).store.database(name) is not None,)]


# Tables and views


def _table_row(table: Table) -> Row:
    return table.name, CATALOG, [table.database], table.comment, table.kind, False


def _temporary_row(name: str, database: str | None = None) -> Row:
    return name, None, [database] if database else [], None, "TEMPORARY", True


def _list_tables(environment: Environment, arguments: Arguments) -> Answer:
    catalog = _catalog(environment)
    name = arguments.get("db_name")
    database = _database_name(name) if name else catalog.current_database
    pattern = arguments.get("pattern")
    if database.lower() == GLOBAL_TEMP_DATABASE:
        rows = [_temporary_row(v, GLOBAL_TEMP_DATABASE) for v in sorted(catalog.global_temp_views)]
    else:
        catalog.existing_database(database)
        rows = [_table_row(t) for t in catalog.store.tables(database)]
    rows += [_temporary_row(v) for v in sorted(catalog.temp_views)]
    return _TABLE, [r for r in rows if matches(pattern, r[0])]


def _get_table(environment: Environment, arguments: Arguments) -> Answer:
    catalog = _catalog(environment)
    parts = _name_parts(arguments)
    if catalog.temp_view(parts) is not None:
        return _TABLE, [_temporary_row(parts[-1], GLOBAL_TEMP_DATABASE if len(parts) > 1 else None)]
    return _TABLE, [_table_row(catalog.existing_table(parts))]


def _table_exists(environment: Environment, arguments: Arguments) -> Answer:
    return _TRUTH, [(_catalog(environment).exists(_name_parts(arguments)),)]


def _list_columns(environment: Environment, arguments: Arguments) -> Answer:
    catalog = _catalog(environment)
    parts = _name_parts(arguments)
    view = catalog.temp_view(parts)
    if view is not None:
        return _COLUMN, [_column_row(f) for f in schema_of(view.plan).fields]
    table = catalog.existing_table(parts)
    return _COLUMN, [_column_row(f, table) for f in table.schema.fields]


def _column_row(field: StructField, table: Table | None = None) -> Row:
    folders = {c.lower() for c in table.partition_columns} if table else set()
    buckets = {c.lower() for c in table.bucket_columns} if table else set()
    name = field.name.lower()
    comment = (field.metadata or {}).get("comment")
    shown = field.dataType.simpleString()
    return field.name, comment, shown, field.nullable, name in folders, name in buckets, False


def _create_table(environment: Environment, arguments: Arguments) -> Answer:
    from voltray.driver.catalog.session_catalog import table_scan
    from voltray.driver.catalog.table_creation import create_table

    table = create_table(
        environment,
        split_identifier(arguments["table_name"]),
        provider=arguments.get("source"),
        schema=_given_schema(arguments, environment),
        path=arguments.get("path"),
        options=tuple(_pairs(arguments.get("options"))),
        comment=arguments.get("description") or None,
    )
    return table_scan(table, environment)


def _given_schema(arguments: Arguments, environment: Environment) -> StructType | None:
    schema = arguments.get("schema")
    if isinstance(schema, str):
        schema = environment.parse_schema(schema)
    return schema if isinstance(schema, StructType) and schema.fields else None


def _pairs(options: Any) -> list[tuple[str, str]]:
    items = options.items() if isinstance(options, Mapping) else (options or ())
    return [(str(k), str(v)) for k, v in items]


def _drop_temp_view(environment: Environment, arguments: Arguments) -> Answer:
    dropped = _catalog(environment).drop_temp_view(arguments["view_name"])
    _forget_cached(environment, dropped.plan if dropped else None)
    return _TRUTH, [(dropped is not None,)]


def _drop_global_temp_view(environment: Environment, arguments: Arguments) -> Answer:
    dropped = _catalog(environment).drop_global_temp_view(arguments["view_name"])
    _forget_cached(environment, dropped.plan if dropped else None)
    return _TRUTH, [(dropped is not None,)]


def _recover_partitions(environment: Environment, arguments: Arguments) -> Answer:
    catalog = _catalog(environment)
    parts = _name_parts(arguments)
    if catalog.temp_view(parts) is not None:
        raise _not_a_view(parts)
    table = catalog.existing_table(parts)
    if table.is_view:
        raise _not_a_view(parts)
    if not table.partition_columns:
        raise spark_error(
            "NOT_A_PARTITIONED_TABLE", operation="ALTER TABLE RECOVER PARTITIONS", tableIdentWithDB=table.shown_name
        )
    return _NOTHING, []  # partitions are found in the folders at each read


def _not_a_view(parts: tuple[str, ...]) -> SparkError:
    shown = ".".join(f"`{p}`" for p in parts)
    return spark_error("EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", operation="recoverPartitions()", viewName=shown)


# Functions


def _function_row(entry: FunctionEntry) -> Row:
    return entry.name, None, None, entry.description, entry.class_name, True


def _stored_row(function: StoredFunction) -> Row:
    return function.name, CATALOG, [function.database], None, function.class_name, False


def _list_functions(environment: Environment, arguments: Arguments) -> Answer:
    catalog = _catalog(environment)
    name = arguments.get("db_name")
    database = catalog.existing_database(_database_name(name) if name else catalog.current_database).name
    pattern = arguments.get("pattern")
    rows = [_function_row(e) for e in builtin_functions().values()]
    rows += [_temporary_function(n) for n in sorted(getattr(environment, "registered_functions", ()))]
    rows += [_stored_row(f) for f in catalog.store.functions(database)]
    return _FUNCTION, [r for r in rows if matches(pattern, r[0])]


def _temporary_function(name: str) -> Row:
    return name, None, None, None, "org.apache.spark.sql.catalyst.expressions.PythonUDF", True


def _find_function(environment: Environment, arguments: Arguments) -> Row | None:
    parts = _name_parts(arguments, "function_name")
    catalog = _catalog(environment)
    if len(parts) == 1:
        entry = builtin_functions().get(parts[0].lower())
        if entry is not None:
            return _function_row(entry)
        if environment.user_function(parts) is not None:
            return _temporary_function(parts[0])
    database, name = catalog.qualified(parts)
    stored = catalog.store.function(database, name)
    return _stored_row(stored) if stored is not None else None


def _get_function(environment: Environment, arguments: Arguments) -> Answer:
    row = _find_function(environment, arguments)
    if row is None:
        parts = _name_parts(arguments, "function_name")
        database = _catalog(environment).current_database
        raise spark_error(
            "UNRESOLVED_ROUTINE",
            routineName=".".join(f"`{p}`" for p in parts),
            searchPath=f"[`system`.`builtin`, `system`.`session`, `{CATALOG}`.`{database}`]",
        )
    return _FUNCTION, [row]


def _function_exists(environment: Environment, arguments: Arguments) -> Answer:
    return _TRUTH, [(_find_function(environment, arguments) is not None,)]


# Caches


def _resolved(environment: Environment, parts: tuple[str, ...]) -> LogicalPlan:
    from voltray.driver.analysis.analyzer import analyze

    return analyze(NamedTable(parts), environment)


def _caches(environment: Environment) -> Any:
    return getattr(environment, "caches", None)


def _forget_cached(environment: Environment, plan: LogicalPlan | None) -> None:
    caches = _caches(environment)
    if plan is not None and caches is not None:
        caches.unpersist(plan)


def _is_cached(environment: Environment, arguments: Arguments) -> Answer:
    plan = _resolved(environment, _name_parts(arguments))
    return _TRUTH, [(bool(_caches(environment).is_cached(plan)),)]


def _cache_table(environment: Environment, arguments: Arguments) -> Answer:
    plan = _resolved(environment, _name_parts(arguments))
    level = arguments.get("storage_level")
    _caches(environment).persist(plan, level)
    return _NOTHING, []


def _uncache_table(environment: Environment, arguments: Arguments) -> Answer:
    _forget_cached(environment, _resolved(environment, _name_parts(arguments)))
    return _NOTHING, []


def _clear_cache(environment: Environment, arguments: Arguments) -> Answer:
    _caches(environment).clear()
    return _NOTHING, []


def _refresh_table(environment: Environment, arguments: Arguments) -> Answer:
    parts = _name_parts(arguments)
    catalog = _catalog(environment)
    if not catalog.exists(parts):
        raise table_not_found(parts)
    table = None if catalog.temp_view(parts) else catalog.table(parts)
    if table is not None:
        catalog.store.touch(table)  # files are listed at each read; what was persisted is computed anew
    return _NOTHING, []


def _refresh_by_path(environment: Environment, arguments: Arguments) -> Answer:
    _catalog(environment).store.touch_below(local_path(arguments["path"]))
    return _NOTHING, []


_OPERATIONS: dict[str, Callable[[Environment, Arguments], Answer]] = {
    "current_catalog": _current_catalog, "set_current_catalog": _set_current_catalog, "list_catalogs": _list_catalogs,
    "current_database": _current_database, "set_current_database": _set_current_database,
    "list_databases": _list_databases, "get_database": _get_database, "database_exists": _database_exists,
    "list_tables": _list_tables, "get_table": _get_table, "table_exists": _table_exists,
    "list_columns": _list_columns, "create_table": _create_table, "create_external_table": _create_table,
    "drop_temp_view": _drop_temp_view, "drop_global_temp_view": _drop_global_temp_view,
    "recover_partitions": _recover_partitions, "list_functions": _list_functions, "get_function": _get_function,
    "function_exists": _function_exists, "is_cached": _is_cached, "cache_table": _cache_table,
    "uncache_table": _uncache_table, "clear_cache": _clear_cache, "refresh_table": _refresh_table,
    "refresh_by_path": _refresh_by_path,
}  # fmt: skip
