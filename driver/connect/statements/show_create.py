"""SHOW CREATE TABLE: the statement that would make a table or view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.catalog.file_relation import CHAR_VARCHAR
from voltray.driver.catalog.records import Pairs, Table
from voltray.driver.connect.statements.defaults import default_of
from voltray.driver.connect.statements.lookup import existing, permanent_view
from voltray.driver.connect.statements.rows import Rows, text_rows
from voltray.driver.connect.statements.table_information import quote_if_needed, redacted
from voltray.driver.connect.statements.views import current_view
from voltray.driver.plan import statements as s
from voltray.proto.failures import spark_error
from voltray.proto.types import ArrayType, DataType, MapType, StringType, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def show_create_table(session: Session, operation: Operation, statement: s.ShowCreateTable) -> Rows:
    """The one row with the statement's text."""
    if session.catalog.temp_view(statement.name) is not None:
        raise permanent_view(statement.name, "SHOW CREATE TABLE")
    table = existing(session, statement.name)
    if statement.as_serde and not table.is_view:
        raise spark_error(
            "UNSUPPORTED_SHOW_CREATE_TABLE.ON_DATA_SOURCE_TABLE_WITH_AS_SERDE", tableName=table.shown_name
        )
    table = current_view(session, table)
    text = _view_text(table) if table.is_view else _table_text(table)
    return text_rows(("createtab_stmt",), [(text,)])


def _name(*parts: str) -> str:
    return ".".join([quote_if_needed(p) for p in parts])


def escaped(text: str) -> str:
    """A text as it stands inside single quotes."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _columns(lines: list[str]) -> str:
    return " (\n  " + ",\n  ".join(lines) + ")\n"


def _pairs(title: str, pairs: Pairs) -> str:
    if not pairs:
        return ""
    lines = [f"'{escaped(k)}' = '{escaped(v)}'" for k, v in redacted(pairs)]
    return f"{title} (\n  " + ",\n  ".join(lines) + ")\n"


def _comment(text: str | None) -> str:
    return f"COMMENT '{escaped(text)}'\n" if text else ""


def sql_type(dtype: DataType) -> str:
    """A type as DDL."""
    match dtype:
        case StructType():
            return "STRUCT<" + ", ".join([_member(f) for f in dtype.fields]) + ">"
        case ArrayType():
            return f"ARRAY<{sql_type(dtype.elementType)}>"
        case MapType():
            return f"MAP<{sql_type(dtype.keyType)}, {sql_type(dtype.valueType)}>"
        case StringType():
            collation = getattr(dtype, "collation", None)
            return "STRING" if collation in (None, "UTF8_BINARY") else f"STRING COLLATE {collation}"
    return dtype.simpleString().upper()


def _member(field: StructField) -> str:
    comment = (field.metadata or {}).get("comment")
    required = "" if field.nullable else " NOT NULL"
    tail = f" COMMENT '{escaped(comment)}'" if comment else ""
    return f"{quote_if_needed(field.name)}: {sql_type(field.dataType)}{required}{tail}"


def _column(field: StructField) -> str:
    metadata = field.metadata or {}
    declared = metadata.get(CHAR_VARCHAR)
    text = f"{quote_if_needed(field.name)} {declared.upper() if declared else sql_type(field.dataType)}"
    default = default_of(field)
    if default is not None:
        text += f" DEFAULT {default}"
    comment = metadata.get("comment")
    return text + (f" COMMENT '{escaped(comment)}'" if comment else "")


def _table_text(table: Table) -> str:
    text = f"CREATE TABLE {_name(*table.identifier)}" + _columns([_column(f) for f in table.schema.fields])
    text += f"USING {table.shown_provider or table.provider}\n"
    text += _pairs("OPTIONS", table.options)
    layout = list(table.partition_columns)
    if table.clustering_columns:
        layout.append(f"cluster_by({', '.join(table.clustering_columns)})")
    if layout:
        text += f"PARTITIONED BY ({', '.join([n if '(' in n else quote_if_needed(n) for n in layout])})\n"
    if table.bucket_count:
        text += f"CLUSTERED BY ({', '.join(table.bucket_columns)})\n"
        if table.sort_columns:
            text += f"SORTED BY ({', '.join(table.sort_columns)})\n"
        text += f"INTO {table.bucket_count} BUCKETS\n"
    text += _comment(table.comment)
    if table.kind == "EXTERNAL":
        text += f"LOCATION 'file:{table.location}'\n"
    return text + _pairs("TBLPROPERTIES", table.properties)


def _view_text(view: Table) -> str:
    lines = []
    for field in view.schema.fields:
        comment = (field.metadata or {}).get("comment")
        lines.append(quote_if_needed(field.name) + (f" COMMENT '{escaped(comment)}'" if comment else ""))
    text = f"CREATE VIEW {_name(view.database, view.name)}" + _columns(lines)
    text += _comment(view.comment) + _pairs("TBLPROPERTIES", view.properties)
    return text + f"WITH SCHEMA {view.view_schema_mode}\nAS {view.view_text}\n"
