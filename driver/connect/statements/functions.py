"""CREATE and DROP of functions by their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.catalog.records import CATALOG, StoredFunction
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def create_function(session: Session, operation: Operation, statement: s.CreateFunction) -> Rows:
    """Note a function's class in the catalog; a temporary one would have to be loaded at once, which needs a JVM."""
    if statement.temporary:
        name = ".".join(statement.name)
        raise spark_error("CANNOT_LOAD_FUNCTION_CLASS", className=statement.class_name, functionName=f"`{name}`")
    database, name = session.catalog.qualified(statement.name)
    database = session.catalog.existing_database(database).name
    if session.catalog.store.function(database, name) is not None and not statement.replace:
        if statement.if_not_exists:
            return NOTHING
        raise spark_error("ROUTINE_ALREADY_EXISTS", existingRoutineType="routine", newRoutineType="routine",
                          routineName=quoted((CATALOG, database, name)))  # fmt: skip
    function = StoredFunction(database, name.lower(), statement.class_name)
    session.catalog.store.create_function(function, replacing=statement.replace)
    return NOTHING


def drop_function(session: Session, operation: Operation, statement: s.DropFunction) -> Rows:
    """Forget a function."""
    database, name = session.catalog.qualified(statement.name)
    dropped = not statement.temporary and session.catalog.store.drop_function(database, name)
    if not dropped and not statement.if_exists:
        path = f"[`system`.`builtin`, `system`.`session`, `{CATALOG}`.`{session.catalog.current_database}`]"
        raise spark_error("ROUTINE_NOT_FOUND", routineName=quoted(statement.name), searchPath=path)
    return NOTHING
