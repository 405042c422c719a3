"""Connect's data type messages, through the converters that ship with the client."""

from __future__ import annotations

from pyspark.sql.connect.proto import types_pb2
from pyspark.sql.connect.types import proto_schema_to_pyspark_data_type, pyspark_types_to_proto_types

from voltray.proto.failures import spark_error
from voltray.proto.types import DataType


def data_type_from_message(message: types_pb2.DataType) -> DataType:
    """The Spark type that a message means; text (``unparsed``) is parsed."""
    kind = message.WhichOneof("kind")
    if kind == "unparsed":
        from voltray.driver.sql.schema import parse_schema

        return parse_schema(message.unparsed.data_type_string)
    if kind is None:
        raise spark_error("UNSUPPORTED_DATATYPE", typeName="a data type message without a kind")
    try:
        return proto_schema_to_pyspark_data_type(message)
    except Exception as failure:
        raise spark_error("UNSUPPORTED_DATATYPE", typeName=kind) from failure


def data_type_to_message(dtype: DataType) -> types_pb2.DataType:
    """The message of a Spark type."""
    return pyspark_types_to_proto_types(dtype)
