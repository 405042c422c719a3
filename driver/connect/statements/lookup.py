"""Tables and views that a statement names, and the errors for the wrong kind of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voltray.driver.catalog.records import Table
from voltray.driver.catalog.session_catalog import table_not_found
from voltray.driver.plan.identifiers import quote, quoted
from voltray.proto.failures import SparkError, spark_error
from voltray.proto.types import StructField

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

Name = tuple[str, ...]
# Every other statement about a table changes it.
_READING = ("SHOW", "DESC", "ANALYZE")


def existing_table(session: Session, name: Name, operation: str, *, alternative: bool = False) -> Table:
    """A table that is no view."""
    if session.catalog.temp_view(name) is not None:
        raise _not_view(quoted(name), operation, alternative)
    table = existing(session, name)
    if table.is_view:
        raise _not_view(table.shown_name, operation, alternative)
    if not operation.startswith(_READING):
        session.catalog.access.check_table(table.database, table.name, write=True)
    return table


def existing(session: Session, name: Name) -> Table:
    """A stored table or view."""
    table = session.catalog.table(name)
    if table is None:
        raise table_not_found(name)
    return table


def existing_view(session: Session, name: Name, operation: str, *, alternative: bool = False) -> Table:
    """A stored view."""
    if session.catalog.temp_view(name) is not None:
        raise permanent_view(name, operation)
    view = existing(session, name)
    if not view.is_view:
        which = "USE_ALTER_TABLE" if alternative else "NO_ALTERNATIVE"
        raise spark_error(f"EXPECT_VIEW_NOT_TABLE.{which}", tableName=view.shown_name, operation=operation)
    return view


def permanent_view(name: Name, operation: str) -> SparkError:
    """The error for a temporary view where one that lasts is wanted."""
    return spark_error("EXPECT_PERMANENT_VIEW_NOT_TEMP", operation=f"'{operation}'", viewName=quoted(name))


def _not_view(shown: str, operation: str, alternative: bool) -> SparkError:
    which = "USE_ALTER_VIEW" if alternative else "NO_ALTERNATIVE"
    return spark_error(f"EXPECT_TABLE_NOT_VIEW.{which}", operation=f"'{operation}'", viewName=shown)


def unsupported_operation(table: str, operation: str) -> SparkError:
    """The error for what tables of files cannot do."""
    return spark_error("UNSUPPORTED_FEATURE.TABLE_OPERATION", tableName=table, operation=operation)


def find_field(table: Table, name: str, *, case_sensitive: bool = False) -> StructField | None:
    """A column by its name."""
    wanted = name if case_sensitive else name.lower()
    return next((f for f in table.schema.fields if (f.name if case_sensitive else f.name.lower()) == wanted), None)


def existing_field(table: Table, name: Name, *, case_sensitive: bool = False) -> StructField:
    """A column that must be there."""
    found = find_field(table, name[0], case_sensitive=case_sensitive)
    if found is None:
        raise unresolved_column(name, [f.name for f in table.schema.fields])
    return found


def unresolved_column(name: Name, columns: Sequence[str]) -> SparkError:
    """The error for a column that is not there."""
    proposal = ", ".join([quote(c) for c in columns])
    return spark_error("UNRESOLVED_COLUMN.WITH_SUGGESTION", objectName=quoted(name), proposal=proposal)


def column_not_found(name: str) -> SparkError:
    """The error for a column that a statement about columns does not find."""
    return spark_error("COLUMN_NOT_FOUND", colName=quote(name), caseSensitiveConfig='"spark.sql.caseSensitive"')
