"""DESCRIBE of tables, views, partitions and columns, as rows or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.records import CATALOG, Table
from voltray.driver.catalog.session_catalog import table_not_found
from voltray.driver.connect.statements.defaults import default_of
from voltray.driver.connect.statements.lookup import column_not_found
from voltray.driver.connect.statements.partitions import existing_partition, folder_of
from voltray.driver.connect.statements.rows import Rows, text_rows
from voltray.driver.connect.statements.table_information import (
    CREATED_BY,
    information,
    moment,
    raw_type,
    redacted,
    shown_pairs,
    storage_rows,
)
from voltray.driver.connect.statements.views import current_view
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.logical import schema_of
from voltray.executors.sources.partitions import DEFAULT_PARTITION
from voltray.proto.failures import spark_error
from voltray.proto.types import (
    ArrayType,
    CharType,
    DataType,
    DecimalType,
    MapType,
    StringType,
    StructField,
    StructType,
    VarcharType,
    type_name,
)

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

DESCRIBED = ("col_name", "data_type", "comment")
Line = tuple[str, str, str | None]
_BLANK: Line = ("", "", "")
_HEADER: Line = ("# col_name", "data_type", "comment")
STATISTICS = ("min", "max", "num_nulls", "distinct_count", "avg_col_len", "max_col_len")


def column_lines(fields: Sequence[StructField]) -> list[Line]:
    """Name, type and comment of columns."""
    return [(f.name, raw_type(f), (f.metadata or {}).get("comment")) for f in fields]


def describe_table(session: Session, statement: s.Describe) -> Rows:
    """DESCRIBE of a table, a view, one partition or one column."""
    view = session.catalog.temp_view(statement.name)
    table = None if view is not None else session.catalog.table(statement.name)
    if view is None and table is None:
        raise table_not_found(statement.name)
    table = table if table is None else current_view(session, table)
    fields = schema_of(view.plan).fields if view is not None else table.schema.fields if table is not None else []
    if statement.column:
        return _describe_column(statement, table, fields)
    if statement.partition is not None and (table is None or table.is_view):
        kind = "TEMPORARY VIEW" if table is None else "VIEW"
        shown = quoted(statement.name)
        raise spark_error("FORBIDDEN_OPERATION", statement="DESC PARTITION", objectType=kind, objectName=shown)
    if statement.as_json:
        return text_rows(("json_metadata",), [(_json(statement.name[-1], table, fields),)])
    lines = column_lines(fields)
    if table is not None:
        lines += _layout_lines(table)
        if statement.partition is not None:
            lines += _partition_lines(session, statement, table)
        elif statement.extended:
            lines += [_BLANK, ("# Detailed Table Information", "", "")]
            lines += [(key, value, "") for key, value in information(table)]
        lines += _default_lines(fields)
    return text_rows(DESCRIBED, lines, ("comment",))


def _layout_lines(table: Table) -> list[Line]:
    lines: list[Line] = []
    for title, names in (("Partition", table.partition_columns), ("Clustering", table.clustering_columns)):
        wanted = [f for name in names for f in table.schema.fields if f.name.lower() == name.lower()]
        if wanted:
            lines += [(f"# {title} Information", "", ""), _HEADER, *column_lines(wanted)]
    return lines


def _default_lines(fields: Sequence[StructField]) -> list[Line]:
    found: list[Line] = [(f.name, raw_type(f), default_of(f)) for f in fields if default_of(f) is not None]
    return [_BLANK, ("# Column Default Values", "", ""), *found] if found else []


def _partition_lines(session: Session, statement: s.Describe, table: Table) -> list[Line]:
    assert statement.partition is not None
    values = existing_partition(session, table, statement.partition)
    if not statement.extended:
        return []
    pairs = zip(table.partition_columns, values, strict=True)
    shown = [f"{n}={DEFAULT_PARTITION if v is None else v}" for n, v in pairs]
    rows = [
        ("Database", table.database),
        ("Table", table.name),
        ("Partition Values", f"[{', '.join(shown)}]"),
        ("Location", f"file:{folder_of(table, values)}"),
        ("Storage Properties", shown_pairs(table.options) if table.options else ""),
        ("Created Time", moment(table.created_at)),
        ("Last Access", "UNKNOWN"),
    ]
    lines: list[Line] = [_BLANK, ("# Detailed Partition Information", "", "")]
    lines += [(key, value, "") for key, value in rows if value]
    lines += [_BLANK, ("# Storage Information", "", "")]
    return lines + [(key, value, "") for key, value in storage_rows(table)]


# ---- one column ------------------------------------------------------------------------------------
def _describe_column(statement: s.Describe, table: Table | None, fields: Sequence[StructField]) -> Rows:
    whole = table.identifier if table is not None else statement.name
    parts = _without_qualifier(statement.column, whole)
    field = next((f for f in fields if f.name.lower() == parts[0].lower()), None)
    if field is None:
        raise column_not_found(".".join(parts))
    if len(parts) > 1 and not isinstance(field.dataType, StructType):
        raise spark_error("INVALID_EXTRACT_BASE_FIELD_TYPE", base=f'"{field.name}"', other=type_name(field.dataType))
    if len(parts) > 1:
        message = f"DESC TABLE COLUMN does not support nested column: {'.'.join(parts)}."
        raise spark_error("_LEGACY_ERROR_TEMP_1060", message=message, command="DESC TABLE COLUMN",
                          column=".".join(parts))  # fmt: skip
    comment = (field.metadata or {}).get("comment")
    rows = [("col_name", field.name), ("data_type", raw_type(field))]
    rows.append(("comment", "NULL" if comment is None else comment))
    if statement.extended:
        known = dict(table.statistics) if table is not None else {}
        rows += [(key, known.get(f"{field.name}.{key}", "NULL")) for key in STATISTICS]
        rows.append(("histogram", "NULL"))
    default = default_of(field)
    if default is not None and statement.extended:
        rows.append(("default", default))
    return text_rows(("info_name", "info_value"), rows)


def _without_qualifier(column: tuple[str, ...], table: tuple[str, ...]) -> tuple[str, ...]:
    lowered = tuple([p.lower() for p in column])
    for size in range(min(len(table), len(column) - 1), 0, -1):
        if lowered[:size] == tuple([p.lower() for p in table[-size:]]):
            return column[size:]
    return column


# ---- JSON ------------------------------------------------------------------------------------------
def _json(name: str, table: Table | None, fields: Sequence[StructField]) -> str:
    namespace = [table.database] if table is not None else ["session"]
    document: dict[str, Any] = {
        "table_name": name.lower(),
        "catalog_name": CATALOG if table is not None else "system",
        "namespace": namespace,
        "schema_name": namespace[-1],
        "columns": [_column_json(f) for f in fields],
    }
    if table is not None:
        document |= _table_json(table)
    document["collation"] = "UTF8_BINARY"
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _table_json(table: Table) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if table.bucket_count:
        found |= {"num_buckets": table.bucket_count, "bucket_columns": list(table.bucket_columns),
                  "sort_columns": list(table.sort_columns)}  # fmt: skip
    if table.location:
        found["location"] = f"file:{table.location}"
    if table.options:
        found["storage_properties"] = dict(redacted(table.options))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(table.created_at / 1000))
    found |= {"created_time": created, "last_access": "UNKNOWN", "created_by": CREATED_BY, "type": table.kind}
    if table.is_view:
        return found | _view_json(table)
    found["provider"] = table.shown_provider or table.provider
    if table.comment:
        found["comment"] = table.comment
    if table.properties:
        found["table_properties"] = dict(redacted(table.properties))
    if table.partition_columns:
        found |= {"partition_provider": "Catalog", "partition_columns": list(table.partition_columns)}
    return found


def _view_json(table: Table) -> dict[str, Any]:
    found: dict[str, Any] = {"comment": table.comment} if table.comment else {}
    return found | {
        "view_text": table.view_text,
        "view_original_text": table.view_text,
        "view_schema_mode": table.view_schema_mode,
        "view_catalog_and_namespace": f"{CATALOG}.{table.view_database or table.database}",
        "view_query_output_columns": list(table.view_names) or [f.name for f in table.schema.fields],
        "view_creation_spark_configuration": dict(table.view_confs),
    }


def _column_json(field: StructField) -> dict[str, Any]:
    found: dict[str, Any] = {"name": field.name, "type": _type_json(field.dataType), "nullable": field.nullable}
    comment, default = (field.metadata or {}).get("comment"), default_of(field)
    if comment is not None:
        found["comment"] = comment
    if default is not None:
        found["default"] = default
    return found


def _type_json(dtype: DataType) -> dict[str, Any]:
    match dtype:
        case StringType():
            return {"name": "string", "collation": getattr(dtype, "collation", None) or "UTF8_BINARY"}
        case CharType() | VarcharType():
            return {"name": dtype.typeName(), "length": dtype.length}
        case DecimalType():
            return {"name": "decimal", "precision": dtype.precision, "scale": dtype.scale}
        case ArrayType():
            return {"name": "array", "element_type": _type_json(dtype.elementType),
                    "element_nullable": dtype.containsNull}  # fmt: skip
        case MapType():
            return {"name": "map", "key_type": _type_json(dtype.keyType), "value_type": _type_json(dtype.valueType),
                    "value_nullable": dtype.valueContainsNull}  # fmt: skip
        case StructType():
            return {"name": "struct", "fields": [_column_json(f) for f in dtype.fields]}
    return {"name": dtype.simpleString()}
