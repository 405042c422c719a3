"""CREATE VIEW and ALTER VIEW: temporary views of a session or of all, and those that last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.names import check_name
from voltray.driver.catalog.records import CATALOG, GLOBAL_TEMP_DATABASE, Table
from voltray.driver.catalog.session_catalog import table_exists, table_not_found
from voltray.driver.connect.statements.lookup import Name, existing_view
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.connect.statements.view_checks import analyzed_for_view, refuse_nameless, refuse_temporary
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan import table_changes as c
from voltray.driver.plan.identifiers import quote, quoted
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.proto.failures import SparkError, spark_error
from voltray.proto.types import StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
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
    check_references(session, view.identifier, change.query)
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


# ---- CREATE VIEW -------------------------------------------------------------------------------------
def create_view(session: Session, operation: Operation, statement: s.CreateView) -> Rows:
    """Name a query, for the session, for all sessions, or for good."""
    if len(statement.name) > 1 and statement.scope == "temporary":
        raise spark_error("TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS", actualName=quoted(statement.name))
    query, temporary = analyzed_for_view(session, statement.query)
    _check_columns(session, statement, [a.name for a in query.output])
    plan = query
    if statement.columns:
        plan = session.analyze(r.ToDataFrame(statement.query, tuple([name for name, _ in statement.columns])))
    if statement.scope == "persistent":
        _check_parts(session, statement, temporary, [a.name for a in query.output])
        _store_view(session, statement, plan, tuple([a.name for a in query.output]))
        return NOTHING
    catalog, name = session.catalog, statement.name[-1]
    create = catalog.create_global_temp_view if statement.scope == "global" else catalog.create_temp_view
    create(name, plan, replace=statement.replace, text=statement.text)
    return NOTHING


def _check_parts(
    session: Session, statement: s.CreateView, temporary: list[tuple[str, Name]], names: list[str]
) -> None:
    view = (CATALOG, *session.catalog.qualified(statement.name))
    check_references(session, (*view[:-1], view[-1].lower()), statement.query)
    refuse_temporary(view, temporary)
    if not statement.columns:
        refuse_nameless(view, statement.query, names)


def _check_columns(session: Session, statement: s.CreateView, given: Sequence[str]) -> None:
    names = [name for name, _ in statement.columns] or given
    if len(names) != len(given):
        which = "NOT_ENOUGH_DATA_COLUMNS" if len(given) < len(names) else "TOO_MANY_DATA_COLUMNS"
        shown = statement.name
        if statement.scope == "persistent":
            shown = (CATALOG, *session.catalog.qualified(statement.name))
        raise spark_error(
            f"CREATE_VIEW_COLUMN_ARITY_MISMATCH.{which}", viewName=quoted(shown),
            viewColumns=", ".join([quote(n) for n in names]), dataColumns=", ".join([quote(n) for n in given]),
        )  # fmt: skip
    folded = [n if session.case_sensitive else n.lower() for n in names]
    for name in folded:
        if folded.count(name) > 1:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=quote(name))


def _store_view(session: Session, statement: s.CreateView, plan: LogicalPlan, names: tuple[str, ...]) -> None:
    catalog = session.catalog
    database, name = catalog.qualified(statement.name)
    database = catalog.existing_database(database).name
    check_name(name)
    existing = catalog.store.table(database, name)
    if existing is not None and statement.if_not_exists:
        return
    if existing is not None and not existing.is_view and statement.replace:
        raise spark_error("EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE", tableName=existing.shown_name,
                          operation="CREATE OR REPLACE VIEW")  # fmt: skip
    if existing is not None and not statement.replace:
        raise table_exists(existing.shown_name)
    check_references(session, (CATALOG, database, name.lower()), statement.query)
    view = Table(
        database=database,
        name=name.lower(),
        kind="VIEW",
        schema=view_schema(schema_of(plan).fields, statement.columns),
        view_text=statement.text,
        view_database=catalog.current_database,
        view_names=names,
        view_confs=captured_confs(session),
        view_schema_mode=statement.schema_mode,
        properties=statement.properties,
        comment=statement.comment,
        owner=session.user,
    )
    catalog.store.create_table(view, replacing=existing is not None)


def check_references(session: Session, view: tuple[str, ...], query: r.Relation) -> None:
    """A view that lasts cannot be made of temporary ones, nor of itself."""
    for name in _tables_of(query):
        if session.catalog.temp_view(name) is not None:
            raise spark_error("INVALID_TEMP_OBJ_REFERENCE", obj="VIEW", objName=quoted(view), tempObj="VIEW",
                              tempObjName=quoted(name))  # fmt: skip
    _check_cycle(session, view, query, (view,))


def _check_cycle(session: Session, view: tuple[str, ...], query: r.Relation, path: tuple[Name, ...]) -> None:
    for name in _tables_of(query):
        if len(name) > 1 and session.catalog.store.database(name[-2]) is None:
            continue
        database, table = session.catalog.qualified(name)
        full = (CATALOG, database, table.lower())
        if full == view:
            cycle = " -> ".join([quoted(n) for n in (*path, full)])
            raise spark_error("RECURSIVE_VIEW", viewIdent=quoted(view), newPath=cycle)
        stored = session.catalog.store.table(database, table)
        if stored is not None and stored.is_view and full not in path:
            _check_cycle(session, view, session.parse_query(stored.view_text), (*path, full))


def _tables_of(query: r.Relation) -> list[Name]:
    """The names of tables in a query, but for those that WITH defines."""
    found: list[Name] = []
    stack: list[tuple[Any, frozenset[str]]] = [(query, frozenset())]
    while stack:
        node, defined = stack.pop()
        if isinstance(node, r.NamedTable):
            if len(node.parts) > 1 or node.parts[0].lower() not in defined:
                found.append(node.parts)
        elif isinstance(node, tuple):
            stack.extend((part, defined) for part in node)
        elif hasattr(node, "__dataclass_fields__"):
            if isinstance(node, r.With):
                defined |= {name.lower() for name, *_ in node.definitions}
            stack.extend((getattr(node, name), defined) for name in node.__dataclass_fields__)
    return found


def current_view(session: Session, table: Table) -> Table:
    """A stored view with the columns that its query has now, where its schema mode lets them change."""
    if not table.is_view or table.view_schema_mode not in ("EVOLUTION", "TYPE EVOLUTION"):
        return table
    try:
        fields = schema_of(session.analyze(r.NamedTable(table.identifier))).fields
    except SparkError:
        return table
    return replace(table, schema=view_schema(fields, ()), view_names=table.view_names)
