"""CREATE VIEW and ALTER VIEW: temporary views of a session or of all, and those that last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.catalog.records import GLOBAL_TEMP_DATABASE, Table
from voltray.driver.catalog.session_catalog import table_not_found
from voltray.driver.connect.statements.lookup import existing_view
from voltray.driver.plan import statements as s
from voltray.driver.plan import table_changes as c
from voltray.driver.plan.logical import schema_of
from voltray.proto.types import StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

_OPERATIONS = {
    c.SetProperties: ("ALTER VIEW ... SET TBLPROPERTIES", True),
    c.UnsetProperties: ("ALTER VIEW ... UNSET TBLPROPERTIES", True),
    c.SetViewQuery: ("ALTER VIEW ... AS", False),
    c.SetViewSchemaMode: ("ALTER VIEW ... WITH SCHEMA", False),
}
# Confs that a view keeps from the session that made it.
_CAPTURED = ("spark.sql.",)
_NOT_CAPTURED = ("spark.sql.codegen.", "spark.sql.execution.", "spark.sql.adaptive.", "spark.sql.shuffle.")


def captured_confs(session: Session) -> tuple[tuple[str, str], ...]:
    """What a view's query depends on: the session's SQL confs."""
    explicit = session.confs.explicit().items()
    return tuple(sorted((k, v) for k, v in explicit if k.startswith(_CAPTURED) and not k.startswith(_NOT_CAPTURED)))


def alter_view(session: Session, statement: s.Alter) -> None:
    """Change a view's query, properties or schema mode."""
    change = statement.change
    if isinstance(change, c.SetViewQuery) and _alter_temporary(session, statement.name, change):
        return
    operation, alternative = _OPERATIONS[type(change)]
    if session.catalog.temp_view(statement.name) is None and session.catalog.table(statement.name) is None:
        raise table_not_found(statement.name)
    view = existing_view(session, statement.name, operation, alternative=alternative)
    if isinstance(change, c.SetViewQuery):
        view = _with_query(session, view, change)
    elif isinstance(change, c.SetProperties):
        view = replace(view, properties=tuple({**dict(view.properties), **dict(change.properties)}.items()))
    elif isinstance(change, c.UnsetProperties):
        view = replace(view, properties=tuple([(k, v) for k, v in view.properties if k not in change.keys]))
    elif isinstance(change, c.SetViewSchemaMode):
        view = replace(view, view_schema_mode=change.mode)
    session.catalog.store.create_table(view, replacing=True)


def _alter_temporary(session: Session, name: tuple[str, ...], change: c.SetViewQuery) -> bool:
    catalog = session.catalog
    if catalog.temp_view(name) is None:
        return False
    is_global = len(name) > 1 and name[-2].lower() == GLOBAL_TEMP_DATABASE
    create = catalog.create_global_temp_view if is_global else catalog.create_temp_view
    create(name[-1], session.analyze(change.query), replace=True, text=change.text)
    return True


def _with_query(session: Session, view: Table, change: c.SetViewQuery) -> Table:
    schema = schema_of(session.analyze(change.query))
    return replace(
        view,
        schema=view_schema(schema.fields, ()),
        view_text=change.text,
        view_database=session.catalog.current_database,
        view_names=tuple([f.name for f in schema.fields]),
        view_confs=captured_confs(session),
    )


def view_schema(fields: Sequence[StructField], columns: Sequence[tuple[str, str | None]]) -> StructType:
    """A view's columns: those of its query, with the comments that the statement gives."""
    comments = {name: comment for name, comment in columns if comment}
    made = []
    for field in fields:
        metadata = {k: v for k, v in (field.metadata or {}).items() if k in ("comment", "__CHAR_VARCHAR_TYPE_STRING")}
        if field.name in comments:
            metadata["comment"] = comments[field.name] or ""
        made.append(StructField(field.name, field.dataType, field.nullable, metadata))
    return StructType(made)


def rename_temporary(session: Session, name: tuple[str, ...], to: tuple[str, ...]) -> bool:
    """Rename a temporary view, where the name is one's."""
    catalog = session.catalog
    view = catalog.temp_view(name)
    if view is None:
        return False
    is_global = len(name) > 1 and name[-2].lower() == GLOBAL_TEMP_DATABASE
    create = catalog.create_global_temp_view if is_global else catalog.create_temp_view
    create(to[-1], view.plan, replace=False, text=view.text)
    (catalog.drop_global_temp_view if is_global else catalog.drop_temp_view)(name[-1])
    return True
