"""ANALYZE TABLE: the size and rows of a table, and what is known of its columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.records import Pairs, Table
from voltray.driver.connect.statements import partitions
from voltray.driver.connect.statements.lookup import column_not_found, existing, find_field, permanent_view
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quote, quoted
from voltray.proto.failures import spark_error
from voltray.proto.types import DecimalType, StructField, type_name

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

_SIZES = {"boolean": 1, "byte": 1, "short": 2, "integer": 4, "long": 8, "float": 4, "double": 8, "date": 4,
          "timestamp": 8, "timestamp_ntz": 8}  # fmt: skip
_TEXTS = ("string", "char", "varchar", "binary")
_NO_BOUNDS = (*_TEXTS,)
_DEFAULT_TEXT_SIZE = {"string": 20, "char": 20, "varchar": 20, "binary": 100}


def analyze_table(session: Session, operation: Operation, statement: s.AnalyzeTable) -> Rows:
    """Find out and keep statistics of one table."""
    if session.catalog.temp_view(statement.name) is not None:
        raise permanent_view(statement.name, "ANALYZE TABLE")
    table = existing(session, statement.name)
    if table.is_view:
        raise spark_error("UNSUPPORTED_FEATURE.ANALYZE_VIEW")
    if statement.partition is not None:
        partitions.specified(session, table, statement.partition)
        known = {c.lower() for c in table.partition_columns}
        for name, _ in statement.partition:
            if name.lower() not in known:
                raise spark_error("PARTITIONS_NOT_FOUND", partitionList=quote(name), tableName=table.shown_name)
        return NOTHING
    fields = _wanted(table, statement.columns)
    _keep(session, table, fields, count=not statement.no_scan)
    return NOTHING


def analyze_tables(session: Session, operation: Operation, statement: s.AnalyzeTables) -> Rows:
    """Statistics of all tables of a database."""
    name = statement.database[-1] if statement.database else session.catalog.current_database
    database = session.catalog.existing_database(name).name
    for table in session.catalog.store.tables(database):
        if not table.is_view:
            _keep(session, table, (), count=not statement.no_scan)
    return NOTHING


def _wanted(table: Table, columns: tuple[str, ...] | None) -> Sequence[StructField]:
    if columns is None:
        return ()
    if not columns:
        return [f for f in table.schema.fields if _is_supported(f)]
    found = []
    for name in columns:
        field = find_field(table, name)
        if field is None:
            raise column_not_found(name)
        if not _is_supported(field):
            raise spark_error(
                "UNSUPPORTED_FEATURE.ANALYZE_UNSUPPORTED_COLUMN_TYPE", columnType=type_name(field.dataType),
                columnName=quote(name), tableName=table.shown_name,
            )  # fmt: skip
        found.append(field)
    return found


def _is_supported(field: StructField) -> bool:
    return field.dataType.typeName() in (*_SIZES, *_TEXTS, "decimal")


def _size(folder: str) -> int:
    paths = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(os.path.getsize(p) for p in paths if not os.path.basename(p).startswith(("_", ".")))


def _keep(session: Session, table: Table, fields: Sequence[StructField], *, count: bool) -> None:
    found = {k: v for k, v in table.statistics if "." in k}
    found["size"] = str(_size(table.location))
    if count:
        found["rows"] = str(_row(session, f"SELECT count(*) FROM {quoted(table.identifier)}")[0])
    for field in fields:
        found |= dict(_column_statistics(session, table, field))
    session.catalog.store.create_table(replace(table, statistics=tuple(found.items())), replacing=True)


def _row(session: Session, text: str) -> list[Any]:
    answer = session.collect(session.analyze(session.parse_query(text)))
    return [column[0].as_py() for column in answer.columns]


def _column_statistics(session: Session, table: Table, field: StructField) -> Pairs:
    name, kind = quote(field.name), field.dataType.typeName()
    low, high = f"min({name})", f"max({name})"
    if kind in ("timestamp", "timestamp_ntz"):
        pattern = "yyyy-MM-dd HH:mm:ss.SSSSSS" + (" Z" if kind == "timestamp" else "")
        low, high = f"date_format({low}, '{pattern}')", f"date_format({high}, '{pattern}')"
    bounds = "null, null" if kind in _NO_BOUNDS else f"cast({low} as string), cast({high} as string)"
    sizes = f"ceil(avg(octet_length({name}))), max(octet_length({name}))" if kind in _TEXTS else "null, null"
    query = (
        f"SELECT {bounds}, count(*) - count({name}), least(approx_count_distinct({name}), count({name})), {sizes} "
        f"FROM {quoted(table.identifier)}"
    )
    lowest, highest, nulls, distinct, average, longest = _row(session, query)
    size = _SIZES.get(kind, _DEFAULT_TEXT_SIZE.get(kind, 8))
    if isinstance(field.dataType, DecimalType):
        size = 8 if field.dataType.precision <= 18 else 16
    values = {
        "min": lowest, "max": highest, "num_nulls": nulls, "distinct_count": distinct,
        "avg_col_len": size if average is None else average, "max_col_len": size if longest is None else longest,
    }  # fmt: skip
    return tuple([(f"{field.name}.{key}", str(value)) for key, value in values.items() if value is not None])
