"""CREATE and DROP of functions by their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.catalog.builtin_functions import builtin_functions
from voltray.driver.catalog.records import CATALOG, StoredFunction
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.proto.failures import ErrorKind, spark_error

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
    if statement.temporary:
        return _drop_temporary(session, statement)
    single = len(statement.name) == 1
    if single and (statement.name[0].lower() in builtin_functions() or statement.name[0].lower() in session.functions):
        hint = "Please use fully qualified identifier to drop the persistent function."
        raise spark_error("_LEGACY_ERROR_TEMP_1017", sqlstate="", name=statement.name[0], cmd="DROP FUNCTION",
                          hintStr=f" {hint}",
                          message=f"{statement.name[0]} is a built-in/temporary function. {hint}")  # fmt: skip
    database, name = session.catalog.qualified(statement.name)
    if not session.catalog.store.drop_function(database, name) and not statement.if_exists:
        path = f"[`system`.`builtin`, `system`.`session`, `{CATALOG}`.`{session.catalog.current_database}`]"
        raise spark_error("UNRESOLVED_ROUTINE", routineName=quoted(statement.name), searchPath=path)
    return NOTHING


def _drop_temporary(session: Session, statement: s.DropFunction) -> Rows:
    if len(statement.name) > 1:
        raise spark_error("INVALID_SQL_SYNTAX.MULTI_PART_NAME", ErrorKind.PARSE, name=quoted(statement.name),
                          statement="DROP TEMPORARY FUNCTION")  # fmt: skip
    name = statement.name[0]
    if name.lower() in builtin_functions() and name.lower() not in session.functions:
        raise spark_error("_LEGACY_ERROR_TEMP_1255", sqlstate="", functionName=name,
                          message=f"Cannot drop built-in function '{name}'.")  # fmt: skip
    if not session.unregister_function(name) and not statement.if_exists:
        raise spark_error("ROUTINE_NOT_FOUND", routineName=quoted(statement.name))
    return NOTHING
