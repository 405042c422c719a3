"""SHOW, DESCRIBE and EXPLAIN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from voltray.driver.catalog.builtin_functions import builtin_functions
from voltray.driver.catalog.operations import matches
from voltray.driver.catalog.records import CATALOG, GLOBAL_TEMP_DATABASE
from voltray.driver.catalog.session_catalog import database_not_found
from voltray.driver.connect.statements import sql_functions
from voltray.driver.connect.statements.descriptions import DESCRIBED, column_lines, describe_table
from voltray.driver.connect.statements.lookup import existing_table
from voltray.driver.connect.statements.partitions import existing_partition
from voltray.driver.connect.statements.rows import Rows, text_rows
from voltray.driver.connect.statements.table_information import (
    CREATED_BY,
    information_text,
    moment,
    partition_text,
    redacted,
    shown_names,
)
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.logical import schema_of
from voltray.driver.plan.routines import SqlFunction
from voltray.proto.failures import SparkError, spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def show(session: Session, operation: Operation, statement: s.Show) -> Rows:
    """Any SHOW."""
    return _SHOWN[statement.what](session, statement)


def _databases(session: Session, statement: s.Show) -> Rows:
    if statement.name and statement.name[-1].lower() != CATALOG:
        raise database_not_found(statement.name[-1])
    names = [d.name for d in session.catalog.store.databases() if matches(statement.pattern, d.name)]
    return text_rows(("namespace",), [(n,) for n in names])


def _database(session: Session, statement: s.Show) -> str:
    if not statement.name:
        return str(session.catalog.current_database)
    name = statement.name[-1].lower()
    return name if name == GLOBAL_TEMP_DATABASE else str(session.catalog.existing_database(name).name)


def _tables(session: Session, statement: s.Show) -> Rows:
    names = ("namespace", "tableName", "isTemporary")
    return text_rows(names, _listed(session, statement, views_only=False))


def _views(session: Session, statement: s.Show) -> Rows:
    names = ("namespace", "viewName", "isTemporary")
    return text_rows(names, _listed(session, statement, views_only=True))


def _listed(session: Session, statement: s.Show, *, views_only: bool) -> list[tuple[str, str, bool]]:
    catalog, database = session.catalog, _database(session, statement)
    if database == GLOBAL_TEMP_DATABASE:
        stored: list[tuple[str, str, bool]] = [(database, n, True) for n in sorted(catalog.global_temp_views)]
    else:
        tables = catalog.store.tables(database)
        stored = [(database, t.name, False) for t in tables if t.is_view or not views_only]
    rows = stored + [("", n, True) for n in sorted(catalog.temp_views)]
    return [row for row in rows if matches(statement.pattern, row[1])]


def _columns(session: Session, statement: s.Show) -> Rows:
    schema = schema_of(session.analyze(r.NamedTable(statement.name)))
    return text_rows(("col_name",), [(f.name,) for f in schema.fields])


def _functions(session: Session, statement: s.Show) -> Rows:
    names = [] if statement.scope == "user" else [n for n in builtin_functions() if matches(statement.pattern, n)]
    if statement.scope != "system":
        names += [n for n in session.functions if not n.startswith("table function") and matches(statement.pattern, n)]
        database = statement.name[-1] if statement.name else session.catalog.current_database
        stored = [f for f in session.catalog.store.functions(database) if matches(statement.pattern, f.name)]
        names += [f"{CATALOG}.{f.database}.{f.name}" for f in stored]
    return text_rows(("function",), [(n,) for n in sorted(set(names))])


def _catalogs(session: Session, statement: s.Show) -> Rows:
    return text_rows(("catalog",), [(n,) for n in [CATALOG] if matches(statement.pattern, n)])


def _table_properties(session: Session, statement: s.Show) -> Rows:
    if session.catalog.temp_view(statement.name) is not None:
        return text_rows(("key", "value"), [])
    table = session.catalog.existing_table(statement.name)
    properties = dict(redacted(table.properties))
    if statement.key is not None:
        missing = f"Table {'.'.join(table.identifier)} does not have property: {statement.key}"
        return text_rows(("key", "value"), [(statement.key, properties.get(statement.key, missing))])
    return text_rows(("key", "value"), sorted(properties.items()))


def _current_namespace(session: Session, statement: s.Show) -> Rows:
    return text_rows(("catalog", "namespace"), [(CATALOG, session.catalog.current_database)])


_SHOWN: Mapping[str, Callable[[Session, s.Show], Rows]] = {  # type: ignore[misc, unused-ignore]
    "databases": _databases,
    "tables": _tables,
    "views": _views,
    "columns": _columns,
    "functions": _functions,
    "catalogs": _catalogs,
    "tblproperties": _table_properties,
    "current_namespace": _current_namespace,
}

def describe(session: Session, operation: Operation, statement: s.Describe) -> Rows:
    """DESCRIBE a table, a query, a database or a function."""
    if statement.what == "query":
        assert statement.query is not None
        return text_rows(DESCRIBED, column_lines(schema_of(session.analyze(statement.query)).fields), ("comment",))
    if statement.what == "database":
        return _describe_database(session, statement)
    if statement.what == "function":
        return _describe_function(session, statement)
    return describe_table(session, statement)


def show_table_extended(session: Session, operation: Operation, statement: s.ShowTableExtended) -> Rows:
    """Tables and views that fit a pattern, with all that is known of them; or one partition of one table."""
    names = ("namespace", "tableName", "isTemporary", "information")
    name = (*statement.database, statement.pattern)
    if statement.partition is not None:
        table = existing_table(session, name, "SHOW TABLE EXTENDED")
        values = existing_partition(session, table, statement.partition)
        return text_rows(names, [(table.database, table.name, False, partition_text(table, values))])
    database = _database(session, s.Show("tables", statement.database))
    if database == GLOBAL_TEMP_DATABASE:
        temporary: list[tuple[str, str]] = [(database, n) for n in sorted(session.catalog.global_temp_views)]
        stored = []
    else:
        stored = [t for t in session.catalog.store.tables(database) if matches(statement.pattern, t.name)]
        temporary = []
    temporary += [("", n) for n in sorted(session.catalog.temp_views)]
    rows = [(t.database, t.name, False, information_text(t)) for t in stored]
    rows += [(d, n, True, _temporary_text(session, d, n)) for d, n in temporary if matches(statement.pattern, n)]
    return text_rows(names, rows)


def _temporary_text(session: Session, database: str, name: str) -> str:
    view = session.catalog.temp_view((database, name) if database else (name,))
    assert view is not None
    lines = [f"Database: {database}"] if database else []
    lines += [f"Table: {name}", "Created Time: " + moment(0), "Last Access: UNKNOWN", f"Created By: {CREATED_BY}"]
    lines += ["Type: VIEW"] + ([f"View Text: {view.text}", "View Schema Mode: BINDING"] if view.text else [])
    if view.text:
        lines.append(f"View Catalog and Namespace: {CATALOG}.{session.catalog.current_database}")
        lines.append(f"View Query Output Columns: {shown_names([a.name for a in view.plan.output])}")
    return "\n".join(lines) + f"\nSchema: {schema_of(view.plan).treeString()}\n"


def _describe_database(session: Session, statement: s.Describe) -> Rows:
    database = session.catalog.existing_database(statement.name[-1])
    rows = [
        ("Catalog Name", CATALOG),
        ("Namespace Name", database.name),
        ("Comment", database.comment),
        ("Location", f"file:{database.location}"),
        ("Owner", session.user),
    ]
    if statement.extended:
        shown = ", ".join([f"({k},{v})" for k, v in database.properties])
        rows.append(("Properties", f"({shown})" if shown else ""))
    return text_rows(("info_name", "info_value"), rows)


def _sql_function(session: Session, name: s.Name) -> SqlFunction | None:
    found = session.user_function(name) or session.stored_function(name)
    return found if isinstance(found, SqlFunction) else None


def _describe_function(session: Session, statement: s.Describe) -> Rows:
    name = statement.name[-1].lower()
    lines = [f"Function: {name}"]
    entry = builtin_functions().get(name) if len(statement.name) == 1 else None
    if entry is not None:
        lines += [f"Class: {entry.class_name}"] if entry.class_name else []
    elif (defined := _sql_function(session, statement.name)) is not None:
        usage = sql_functions.usage(defined)
        lines = [f"Function: {defined.shown_name}", f"Class: {sql_functions.SQL_FUNCTION}", f"Usage: {usage}"]
        name = defined.name[-1]
    elif (stored := session.catalog.store.function(*session.catalog.qualified(statement.name))) is not None:
        lines = [f"Function: {CATALOG}.{stored.database}.{stored.name}", f"Class: {stored.class_name}", "Usage: N/A."]
    elif session.user_function(statement.name) is None:
        path = f"[`system`.`builtin`, `system`.`session`, `{CATALOG}`.`{session.catalog.current_database}`]"
        raise spark_error("UNRESOLVED_ROUTINE", routineName=quoted(statement.name), searchPath=path)
    return text_rows(("function_desc",), [(line,) for line in lines])


def explain(session: Session, operation: Operation, statement: s.Explain) -> Rows:
    """The plan of a query as text."""
    from voltray.driver.connect.analyze.explain import Mode, explain_text

    modes = {
        "simple": Mode.EXPLAIN_MODE_SIMPLE,
        "extended": Mode.EXPLAIN_MODE_EXTENDED,
        "codegen": Mode.EXPLAIN_MODE_CODEGEN,
        "cost": Mode.EXPLAIN_MODE_COST,
        "formatted": Mode.EXPLAIN_MODE_FORMATTED,
    }
    if statement.query is None:
        return text_rows(("plan",), [(_command_plan(statement),)])
    try:
        return text_rows(("plan",), [(explain_text(session, statement.query, modes[statement.mode]),)])
    except SparkError as failure:  # Spark shows what is wrong with a query as its plan
        lines = f"Error occurred during query planning: \n{failure.failure.message}".split("\n")
        return text_rows(("plan",), [(line,) for line in lines])


def _command_plan(statement: s.Explain) -> str:
    """The plan of a statement that is no query: what would be carried out."""
    name, shown = f"{type(statement.statement).__name__}Command", ""
    if isinstance(statement.statement, s.Describe) and statement.statement.what == "query":
        name = "DescribeQueryCommand"
        shown = " " + re.sub(r"(?is)^desc(ribe)?(\s+query)?\s+", "", statement.text)
    return f"== Physical Plan ==\nExecute {name}\n   +- {name}{shown}\n\n"
