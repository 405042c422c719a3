"""SHOW, DESCRIBE and EXPLAIN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from voltray.driver.catalog.builtin_functions import builtin_functions
from voltray.driver.catalog.operations import matches
from voltray.driver.catalog.records import CATALOG, GLOBAL_TEMP_DATABASE
from voltray.driver.connect.statements.rows import Rows, text_rows
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.logical import schema_of
from voltray.proto.failures import spark_error
from voltray.proto.types import StructType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def show(session: Session, operation: Operation, statement: s.Show) -> Rows:
    """Any SHOW."""
    return _SHOWN[statement.what](session, statement)


def _databases(session: Session, statement: s.Show) -> Rows:
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
    names = [] if statement.scope == "user" else list(builtin_functions())
    return text_rows(("function",), [(n,) for n in sorted(names) if matches(statement.pattern, n)])


def _catalogs(session: Session, statement: s.Show) -> Rows:
    return text_rows(("catalog",), [(n,) for n in [CATALOG] if matches(statement.pattern, n)])


_SECRET = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)
_REDACTED = "*********(redacted)"


def _table_properties(session: Session, statement: s.Show) -> Rows:
    if session.catalog.temp_view(statement.name) is not None:
        return text_rows(("key", "value"), [])
    table = session.catalog.existing_table(statement.name)
    properties = {k: _REDACTED if _SECRET.search(k) else v for k, v in table.properties}
    if statement.key is not None:
        missing = f"Table {'.'.join(table.identifier)} does not have property: {statement.key}"
        return text_rows(("key", "value"), [(statement.key, properties.get(statement.key, missing))])
    return text_rows(("key", "value"), sorted(properties.items()))


def _current_namespace(session: Session, statement: s.Show) -> Rows:
    return text_rows(("catalog", "namespace"), [(CATALOG, session.catalog.current_database)])


def _refused(session: Session, statement: s.Show) -> Rows:
    what = statement.what.replace("_", " ").upper()
    raise spark_error("UNSUPPORTED_FEATURE", message=f"[UNSUPPORTED_FEATURE] Voltray does not support SHOW {what}.")


_SHOWN: Mapping[str, Callable[[Session, s.Show], Rows]] = {  # type: ignore[misc, unused-ignore]
    "databases": _databases,
    "tables": _tables,
    "views": _views,
    "columns": _columns,
    "functions": _functions,
    "catalogs": _catalogs,
    "tblproperties": _table_properties,
    "current_namespace": _current_namespace,
    "partitions": _refused,
    "create_table": _refused,
}

DESCRIBED = ("col_name", "data_type", "comment")


def describe(session: Session, operation: Operation, statement: s.Describe) -> Rows:
    """DESCRIBE a table, a query, a database or a function."""
    if statement.what == "query":
        assert statement.query is not None
        return text_rows(DESCRIBED, _column_rows(schema_of(session.analyze(statement.query))), ("comment",))
    if statement.what == "database":
        return _describe_database(session, statement)
    if statement.what == "function":
        return _describe_function(statement)
    schema = schema_of(session.analyze(r.NamedTable(statement.name)))
    rows = _column_rows(schema)
    table = session.catalog.table(statement.name) if session.catalog.temp_view(statement.name) is None else None
    if table is not None and table.partition_columns:
        wanted = {c.lower() for c in table.partition_columns}
        rows += [("# Partition Information", "", ""), ("# col_name", "data_type", "comment")]
        rows += [row for row in _column_rows(schema) if row[0].lower() in wanted]
    if table is not None and statement.extended:
        rows += [("", "", ""), ("# Detailed Table Information", "", "")]
        details = {
            "Catalog": CATALOG,
            "Database": table.database,
            "Table": table.name,
            "Owner": table.owner,
            "Type": table.kind,
            "Provider": table.provider,
            "Comment": table.comment or "",
            "View Text": table.view_text,
            "Location": f"file:{table.location}" if table.location else "",
        }
        rows += [(key, value, "") for key, value in details.items() if value]
    return text_rows(DESCRIBED, rows, ("comment",))


def _column_rows(schema: StructType) -> list[tuple[str, str, str | None]]:
    return [(f.name, f.dataType.simpleString(), (f.metadata or {}).get("comment")) for f in schema.fields]


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


def _describe_function(statement: s.Describe) -> Rows:
    name = ".".join(statement.name)
    if name.lower() not in builtin_functions():
        raise spark_error("UNRESOLVED_ROUTINE", routineName=f"`{name}`", searchPath="[`system`.`builtin`]")
    return text_rows(("function_desc",), [(f"Function: {name}",)])


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
    return text_rows(("plan",), [(explain_text(session, statement.query, modes[statement.mode]),)])
