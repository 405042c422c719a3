"""ADD and LIST of jars, files and archives, REFRESH FUNCTION, SET CATALOG and statements that change rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voltray.driver.catalog.builtin_functions import builtin_functions
from voltray.driver.catalog.records import CATALOG
from voltray.driver.catalog.session_catalog import table_not_found
from voltray.driver.connect.statements.lookup import existing_table, unsupported_operation
from voltray.driver.connect.statements.rows import NOTHING, Rows, text_rows
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.executors.sources.listing import local_path
from voltray.proto.failures import ErrorKind, spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def resources(session: Session, operation: Operation, statement: s.Resources) -> Rows:
    """Jars have no use here; files that SQL adds would only be on the driver's machine."""
    if statement.verb == "list":
        return text_rows(("Results",), [])
    session.catalog.access.check_read(statement.paths)
    for path in statement.paths:
        if statement.kind != "jar" and not os.path.exists(local_path(path)):
            message = f"File file:{local_path(path)} does not exist"
            raise spark_error("", ErrorKind.FILE_NOT_FOUND, message=message)
    if statement.kind != "jar":
        raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, sqlstate="0A000",
                          message=f"[UNSUPPORTED_FEATURE] ADD {statement.kind.upper()} is not supported; "
                          "use addArtifacts of the session. SQLSTATE: 0A000")  # fmt: skip
    return NOTHING


def refresh_function(session: Session, operation: Operation, statement: s.RefreshFunction) -> Rows:
    """There is nothing to load anew: a function must only be there."""
    name = statement.name[-1].lower()
    if len(statement.name) == 1 and (name in builtin_functions() or session.user_function((name,)) is not None):
        message = f"{name} is a built-in/temporary function. 'REFRESH FUNCTION' expects a persistent function."
        raise spark_error("_LEGACY_ERROR_TEMP_1017", message=message, name=name, cmd="REFRESH FUNCTION", hintStr="")
    database, name = session.catalog.qualified(statement.name)
    if session.catalog.store.function(database, name) is None:
        path = f"[`system`.`builtin`, `system`.`session`, `{CATALOG}`.`{session.catalog.current_database}`]"
        raise spark_error("UNRESOLVED_ROUTINE", routineName=quoted(statement.name), searchPath=path)
    return NOTHING


def set_catalog(session: Session, operation: Operation, statement: s.SetCatalog) -> Rows:
    """There is the one catalog."""
    if statement.name.lower() != CATALOG:
        raise spark_error("CATALOG_NOT_FOUND", catalogName=f"`{statement.name}`",
                          config=f'"spark.sql.catalog.{statement.name}"')  # fmt: skip
    return NOTHING


def change_rows(session: Session, operation: Operation, statement: s.ChangeRows) -> Rows:
    """DELETE, UPDATE, MERGE and LOAD DATA: what they name must be there, then tables of files refuse them."""
    if statement.operation == "LOAD DATA":
        existing_table(session, statement.name, "LOAD DATA")
        table = existing_table(session, statement.name, "LOAD DATA")
        message = f"LOAD DATA is not supported for datasource tables: {table.shown_name}."
        raise spark_error("_LEGACY_ERROR_TEMP_1265", message=message, tableIdentWithDB=table.shown_name)
    if session.catalog.temp_view(statement.name) is None and session.catalog.table(statement.name) is None:
        raise table_not_found(statement.name)
    for check in statement.checks:
        session.analyze(check)
    stored = session.catalog.table(statement.name)
    shown = stored.shown_name if stored is not None else quoted(statement.name)
    raise unsupported_operation(shown, statement.operation)
