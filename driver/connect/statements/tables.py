"""CREATE, DROP, TRUNCATE and INSERT of databases, tables and views."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.catalog import table_creation
from voltray.driver.catalog.records import CATALOG, Table
from voltray.driver.catalog.session_catalog import table_exists
from voltray.driver.catalog.table_writes import arity_mismatch, plan_insert_by_position, writable_table
from voltray.driver.catalog.write_planning import PlannedWrite, WriteRequest, plan_write
from voltray.driver.connect.statements.lookup import existing_table
from voltray.driver.connect.statements.partitions import specified, truncate_partitions
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import spark_error
from voltray.proto.types import NULL, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def use(session: Session, operation: Operation, statement: s.Use) -> Rows:
    """Make a database the current one."""
    name = statement.name
    if name == (CATALOG,):
        return NOTHING
    name = name[1:] if len(name) > 1 and name[0].lower() == CATALOG else name
    if len(name) > 1:
        raise spark_error("SCHEMA_NOT_FOUND", schemaName=quoted((CATALOG, *name)))
    session.catalog.set_current_database(name[0])
    return NOTHING


def create_database(session: Session, operation: Operation, statement: s.CreateDatabase) -> Rows:
    """Make a database."""
    table_creation.create_database(
        session,
        statement.name[-1],
        if_not_exists=statement.if_not_exists,
        comment=statement.comment,
        location=statement.location,
        properties=statement.properties,
    )
    return NOTHING


def drop_database(session: Session, operation: Operation, statement: s.DropDatabase) -> Rows:
    """Drop a database."""
    name = statement.name[-1]
    table_creation.drop_database(session, name, if_exists=statement.if_exists, cascade=statement.cascade)
    return NOTHING


# ---- views ----------------------------------------------------------------------------------------
def create_view(session: Session, operation: Operation, statement: s.CreateView) -> Rows:
    """Name a query, for the session, for all sessions, or for good."""
    relation = statement.query
    if statement.columns:
        relation = r.ToDataFrame(relation, tuple([name for name, _ in statement.columns]))
    plan = session.analyze(relation)
    if statement.scope == "persistent":
        _store_view(session, statement, plan)
        return NOTHING
    if len(statement.name) > 1 and statement.scope == "temporary":
        raise spark_error("TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS", actualName=quoted(statement.name))
    catalog, name = session.catalog, statement.name[-1]
    if statement.if_not_exists and catalog.temp_view((name,)) is not None:
        return NOTHING
    create = catalog.create_global_temp_view if statement.scope == "global" else catalog.create_temp_view
    create(name, plan, replace=statement.replace, text=statement.text)
    return NOTHING


def _store_view(session: Session, statement: s.CreateView, plan: LogicalPlan) -> None:
    catalog = session.catalog
    database, name = catalog.qualified(statement.name)
    database = catalog.existing_database(database).name
    existing = catalog.store.table(database, name)
    if existing is not None and not statement.replace:
        if statement.if_not_exists:
            return
        raise table_exists(existing.shown_name)
    comments = dict(statement.columns)
    fields = [
        StructField(f.name, f.dataType, f.nullable, {"comment": comments[f.name]} if comments.get(f.name) else {})
        for f in schema_of(plan).fields
    ]
    view = Table(
        database=database,
        name=name.lower(),
        kind="VIEW",
        schema=StructType(fields),
        view_text=statement.text,
        view_database=catalog.current_database,
        properties=statement.properties,
        comment=statement.comment,
        owner=session.user,
    )
    catalog.store.create_table(view, replacing=existing is not None)


def create_temporary_view_using(session: Session, operation: Operation, statement: s.CreateTemporaryViewUsing) -> Rows:
    """A temporary view over files."""
    schema = statement.schema.json() if statement.schema is not None else None
    plan = session.analyze(r.DataSource(statement.format, schema, statement.options, ()))
    catalog = session.catalog
    create = catalog.create_global_temp_view if statement.is_global else catalog.create_temp_view
    create(statement.name[-1], plan, replace=statement.replace)
    return NOTHING


def drop_view(session: Session, operation: Operation, statement: s.DropView) -> Rows:
    """Drop a view of any kind."""
    table_creation.drop_table(session, statement.name, if_exists=statement.if_exists, view=True)
    return NOTHING


# ---- tables ---------------------------------------------------------------------------------------
def create_table(session: Session, operation: Operation, statement: s.CreateTable) -> Rows:
    """An empty table, a copy of a table's shape, or a query's rows."""
    if statement.replace:
        operation_name = "REPLACE TABLE AS SELECT" if statement.query is not None else "REPLACE TABLE"
        raise spark_error(
            "UNSUPPORTED_FEATURE.TABLE_OPERATION", tableName=quoted(statement.name), operation=operation_name
        )
    if statement.query is not None:
        _create_as_select(session, operation, statement)
        return NOTHING
    if statement.like is not None:
        like = session.catalog.existing_table(statement.like)
        statement = replace(
            statement,
            schema=like.schema,
            format=statement.format or like.provider or None,
            partition_columns=like.partition_columns,
        )
    table_creation.create_table(
        session,
        statement.name,
        provider=statement.format,
        schema=statement.schema,
        path=statement.location,
        options=statement.options,
        partition_columns=statement.partition_columns,
        bucket_count=statement.num_buckets or 0,
        bucket_columns=statement.bucket_columns,
        properties=statement.properties,
        comment=statement.comment,
        if_not_exists=statement.if_not_exists,
    )
    return NOTHING


def _create_as_select(session: Session, operation: Operation, statement: s.CreateTable) -> None:
    assert statement.query is not None
    if statement.schema is not None:
        raise spark_error(
            "PARSE_SYNTAX_ERROR", error="'AS'", hint=": a table made of a query takes its columns from it"
        )
    request = WriteRequest(
        format=statement.format,
        mode="ignore" if statement.if_not_exists else "error",
        table=statement.name,
        method="save_as_table",
        path=statement.location,
        partition_columns=statement.partition_columns,
        options=statement.options,
        bucket_count=statement.num_buckets or 0,
        bucket_columns=statement.bucket_columns,
    )
    run_write(session, operation, plan_write(request, session.analyze(statement.query), session))


def drop_table(session: Session, operation: Operation, statement: s.DropTable) -> Rows:
    """Drop a table."""
    table_creation.drop_table(session, statement.name, if_exists=statement.if_exists)
    return NOTHING


def truncate_table(session: Session, operation: Operation, statement: s.TruncateTable) -> Rows:
    """Remove a table's rows, or those of some partitions."""
    table = existing_table(session, statement.name, "TRUNCATE TABLE")
    if statement.partition is not None:
        truncate_partitions(session, table, statement.partition)
    else:
        table_creation.truncate_table(session, statement.name)
    return NOTHING


# ---- INSERT ---------------------------------------------------------------------------------------
def insert(session: Session, operation: Operation, statement: s.Insert) -> Rows:
    """Put a query's rows into a table."""
    table = writable_table(session.catalog, statement.table)
    plan = session.analyze(_in_table_order(session, table, statement))
    fixed = tuple([(n, None if v is None else _constant_text(v)) for n, v in statement.partition if v is not None])
    planned = plan_insert_by_position(table, plan, session, overwrite=statement.overwrite, static_partition=fixed)
    run_write(session, operation, planned)
    return NOTHING


def _constant_text(value: Expression) -> str | None:
    return None if not isinstance(value, Literal) or value.value is None else str(value.value)


def _in_table_order(session: Session, table: Table, statement: s.Insert) -> r.Relation:
    """The query's columns as the table has them: fixed partition values added, missing columns NULL."""
    fields = table.schema.fields
    fixed = {n.lower(): v for n, v in statement.partition if v is not None}
    if not fixed and not statement.columns and not statement.by_name:
        return statement.query
    query = session.analyze(statement.query)
    given = list(statement.columns) if statement.columns else None
    if statement.by_name:
        given = [a.name for a in query.output]
    if given is None:
        given = [f.name for f in fields if f.name.lower() not in fixed]
    if len(given) != len(query.output):
        raise arity_mismatch(table, [a.name for a in query.output])
    known = {f.name.lower() for f in fields}
    for name in given:
        if name.lower() not in known:
            shown = ", ".join([f"`{f.name}`" for f in fields])
            raise spark_error("UNRESOLVED_COLUMN.WITH_SUGGESTION", objectName=f"`{name}`", proposal=shown)
    places = {name.lower(): f"_{i}" for i, name in enumerate(given)}
    inner = r.ToDataFrame(statement.query, tuple([f"_{i}" for i in range(len(given))]))
    items: list[Expression] = []
    for column in fields:
        value: Expression = Literal(None, NULL)
        if column.name.lower() in places:
            value = u.UnresolvedAttribute((places[column.name.lower()],))
        elif column.name.lower() in fixed:
            value = fixed[column.name.lower()]
        items.append(u.UnresolvedAlias(value, (column.name,)))
    return r.Project(inner, tuple(items))


def run_write(session: Session, operation: Operation, planned: PlannedWrite) -> None:
    """Run a planned write and commit it, or leave nothing behind."""
    if planned.specification is None:
        planned.commit(())
        return
    try:
        reports = session.backend.scheduler.write(
            session.optimize(planned.plan),
            session.evaluation_context(),
            planned.specification,
            operation_id=operation.operation_id,
        )
        operation.check_canceled()
        planned.commit(reports)
    except BaseException:
        planned.abort()
        raise


def insert_directory(session: Session, operation: Operation, statement: s.InsertDirectory) -> Rows:
    """Write a query's rows into a folder."""
    request = WriteRequest(format=statement.format, mode="overwrite", path=statement.path, options=statement.options)
    run_write(session, operation, plan_write(request, session.analyze(statement.query), session))
    return NOTHING
