"""INSERT: a query's rows brought into the table's columns, defaults and fixed partition values added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.records import Table
from voltray.driver.catalog.session_catalog import table_not_found
from voltray.driver.catalog.table_writes import plan_insert_by_position
from voltray.driver.catalog.write_planning import PlannedWrite, WriteRequest, plan_write
from voltray.driver.connect.statements.defaults import default_of
from voltray.driver.connect.statements.lookup import existing_table, unresolved_column
from voltray.driver.connect.statements.partitions import partition_values, specified
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quote
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import NULL, StructField

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

_DEFAULT = "DEFAULT"


def insert(session: Session, operation: Operation, statement: s.Insert) -> Rows:
    """Put a query's rows into a table."""
    if session.catalog.temp_view(statement.table) is None and session.catalog.table(statement.table) is None:
        raise table_not_found(statement.table)
    table = existing_table(session, statement.table, "INSERT")
    if statement.replace_where:
        message = f"Cannot write into v1 table: {table.shown_name}."
        raise spark_error("_LEGACY_ERROR_TEMP_1012", message=message, identifier=table.shown_name)
    fixed = specified(session, table, statement.partition)
    _check_partition(table, statement)
    if statement.if_not_exists and tuple(fixed[n] for n in table.partition_columns) in partition_values(table):
        return NOTHING
    if statement.overwrite and table.partition_locations:
        raise _not_supported("INSERT OVERWRITE of a table with partitions in places of their own")
    plan = session.analyze(_in_table_order(session, table, statement))
    static = tuple(fixed.items())
    overwrite = statement.overwrite
    run_write(
        session, operation, plan_insert_by_position(table, plan, session, overwrite=overwrite, static_partition=static)
    )
    if table.statistics:
        session.catalog.store.create_table(replace(table, statistics=()), replacing=True)
    return NOTHING


def insert_all(session: Session, operation: Operation, statement: s.InsertAll) -> Rows:
    """Several inserts out of one relation."""
    for each in statement.inserts:
        insert(session, operation, each)
    return NOTHING


def insert_directory(session: Session, operation: Operation, statement: s.InsertDirectory) -> Rows:
    """Write a query's rows into a folder."""
    request = WriteRequest(format=statement.format, mode="overwrite", path=statement.path, options=statement.options)
    run_write(session, operation, plan_write(request, session.analyze(statement.query), session))
    return NOTHING


def _not_supported(what: str) -> SparkError:
    message = f"[UNSUPPORTED_FEATURE] {what} is not supported. SQLSTATE: 0A000"
    return spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, sqlstate="0A000", message=message)


def _check_partition(table: Table, statement: s.Insert) -> None:
    given = {name.lower() for name, _ in statement.partition}
    if statement.partition and given != {c.lower() for c in table.partition_columns}:
        asked, held = ",".join(n for n, _ in statement.partition), ",".join(table.partition_columns)
        message = (
            f"Requested partitioning does not match the table {table.shown_name}:\n"
            f"Requested partitions: {asked}.\nTable partitions: {held}."
        )
        raise spark_error("_LEGACY_ERROR_TEMP_1169", message=message, tableName=table.shown_name,
                          normalizedPartSpec=asked, partColNames=held)  # fmt: skip


# ---- the query in the table's order ------------------------------------------------------------------
def _in_table_order(session: Session, table: Table, statement: s.Insert) -> r.Relation:
    """The query's columns as the table has them: fixed partition values and defaults added."""
    fields = table.schema.fields
    fixed = {n.lower(): v for n, v in statement.partition if v is not None}
    free = [f for f in fields if f.name.lower() not in fixed]
    targets = _listed(table, statement.columns) if statement.columns else free
    query = _with_defaults(session, statement.query, targets)
    if not fixed and not statement.columns and not statement.by_name:
        return query
    output = session.analyze(query).output
    if statement.by_name:
        targets = _by_name(table, [a.name for a in output], free)
    if len(targets) != len(output):
        shown = statement.columns or [f.name for f in fields]
        raise _arity_mismatch(table, shown, [a.name for a in output], len(output) < len(targets))
    places = {field.name.lower(): f"_{i}" for i, field in enumerate(targets)}
    inner = r.ToDataFrame(query, tuple(places.values()))
    items: list[Expression] = []
    for column in fields:
        name = column.name.lower()
        value: Expression
        if name in places:
            value = u.UnresolvedAttribute((places[name],))
        elif name in fixed:
            value = u.UnresolvedCast(fixed[name] or Literal(None, NULL), column.dataType)
        else:
            value = _default(session, column)
        items.append(u.UnresolvedAlias(value, (column.name,)))
    return r.Project(inner, tuple(items))


def _arity_mismatch(table: Table, columns: Sequence[str], given: Sequence[str], short: bool) -> SparkError:
    return spark_error(
        "INSERT_COLUMN_ARITY_MISMATCH." + ("NOT_ENOUGH_DATA_COLUMNS" if short else "TOO_MANY_DATA_COLUMNS"),
        tableName=table.shown_name,
        tableColumns=", ".join([quote(c) for c in columns]),
        dataColumns=", ".join([quote(c) for c in given]),
    )


def _listed(table: Table, columns: Sequence[str]) -> list[StructField]:
    """The columns that the statement lists."""
    known = {f.name.lower(): f for f in table.schema.fields}
    found: list[StructField] = []
    for name in columns:
        field = known.get(name.lower())
        if field is None:
            raise unresolved_column((name,), [f.name for f in table.schema.fields])
        if field in found:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=quote(name.lower()))
        found.append(field)
    return found


def _by_name(table: Table, names: Sequence[str], free: Sequence[StructField]) -> list[StructField]:
    """The columns that a query's names stand for."""
    condition = "INCOMPATIBLE_DATA_FOR_TABLE."
    if len(names) > len(free):
        raise _arity_mismatch(table, [f.name for f in free], names, False)
    lowered = [n.lower() for n in names]
    for name in names:
        if lowered.count(name.lower()) > 1:
            raise spark_error(condition + "AMBIGUOUS_COLUMN_NAME", tableName=table.shown_name, colName=quote(name))
    known = {f.name.lower(): f for f in free}
    extra = ", ".join([quote(n) for n in names if n.lower() not in known])
    if extra:
        raise spark_error(condition + "EXTRA_COLUMNS", tableName=table.shown_name, extraColumns=extra)
    return [known[name] for name in lowered]


# ---- defaults ----------------------------------------------------------------------------------------
def _default(session: Session, field: StructField) -> Expression:
    text = default_of(field)
    if text is None:
        return Literal(None, NULL)
    return u.UnresolvedCast(session.parse_expression(text), field.dataType)


def _with_defaults(session: Session, query: r.Relation, targets: Sequence[StructField]) -> r.Relation:
    """The query with its words DEFAULT replaced, where they stand alone in a select list or in VALUES."""
    if isinstance(query, r.SetOperation):
        left, right = (_with_defaults(session, side, targets) for side in (query.left, query.right))
        same = left is query.left and right is query.right
        return query if same else replace(query, left=left, right=right)
    if isinstance(query, r.SubqueryAlias | r.InlineTable):
        child = _with_defaults(session, query.child, targets)
        return query if child is query.child else replace(query, child=child)
    if not isinstance(query, r.Project):
        return query
    items = [_item(session, item, place, targets) for place, item in enumerate(query.items)]
    return query if all(a is b for a, b in zip(items, query.items, strict=True)) else replace(query, items=tuple(items))


def _item(session: Session, item: Expression, place: int, targets: Sequence[StructField]) -> Expression:
    value = item.child if isinstance(item, u.UnresolvedAlias) else item
    if _is_default(value):
        found = _default(session, targets[place]) if place < len(targets) else Literal(None, NULL)
        return u.UnresolvedAlias(found, (f"col{place + 1}",))
    if _mentions_default(value):
        raise spark_error("DEFAULT_PLACEMENT_INVALID")
    return item


def _is_default(value: object) -> bool:
    return (
        isinstance(value, u.UnresolvedAttribute)
        and len(value.parts) == 1
        and value.parts[0].upper() == _DEFAULT
        and not value.is_quoted
    )


def _mentions_default(value: Any) -> bool:
    stack: list[Any] = [value]
    while stack:
        node = stack.pop()
        if _is_default(node):
            return True
        if isinstance(node, tuple):
            stack.extend(node)
        elif isinstance(node, Expression):
            stack.extend(getattr(node, name) for name in node.__dataclass_fields__)
    return False


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
            operation_id=operation.work_id,
        )
        operation.check_canceled()
        planned.commit(reports)
    except BaseException:
        planned.abort()
        raise
