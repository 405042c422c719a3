"""Schemas between DDL and JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.messages.types import data_type_to_message
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import StructField, StructType, sql_type

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session


def ddl_parse(
    session: Session, request: base_pb2.AnalyzePlanRequest.DDLParse, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer with the type that a DDL text means."""
    response.ddl_parse.parsed.CopyFrom(data_type_to_message(session.parse_schema(request.ddl_string)))


def json_to_ddl(
    session: Session, request: base_pb2.AnalyzePlanRequest.JsonToDDL, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer with a schema in JSON as DDL."""
    schema = session.parse_schema(request.json_string)
    if not isinstance(schema, StructType):
        raise spark_error(
            "INVALID_SCHEMA.NON_STRUCT_TYPE",
            ErrorKind.ILLEGAL_ARGUMENT,
            inputSchema=f'"{request.json_string}"',
            dataType=f'"{sql_type(schema)}"',
        )
    response.json_to_ddl.ddl_string = ",".join(_field_ddl(f) for f in schema.fields)


def _field_ddl(field: StructField) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field.name)
    name = field.name if plain else "`" + field.name.replace("`", "``") + "`"
    comment = (field.metadata or {}).get("comment")
    escaped = "" if comment is None else comment.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"{name} {sql_type(field.dataType)}"
        + ("" if field.nullable else " NOT NULL")
        + ("" if comment is None else f" COMMENT '{escaped}'")
    )
