"""Functions that a client registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import relations_pb2
from pyspark.sql.connect.proto.expressions_pb2 import CommonInlineUserDefinedFunction

from voltray.driver.connect.errors import unsupported_operation
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def register_function(session: Session, operation: Operation, command: CommonInlineUserDefinedFunction) -> None:
    """Refuse by kind: a JVM's classes cannot be loaded, and Python functions are not there yet."""
    if command.WhichOneof("function") == "java_udf":
        class_name = command.java_udf.class_name
        raise spark_error("CANNOT_LOAD_FUNCTION_CLASS", className=class_name, functionName=command.function_name)
    raise unsupported_operation(
        f"the function {command.function_name}: Python functions on the server are not there yet"
    )


def register_table_function(
    session: Session,
    operation: Operation,
    command: relations_pb2.CommonInlineUserDefinedTableFunction,
) -> None:
    """Refuse: Python functions are not there yet."""
    raise unsupported_operation(
        f"the table function {command.function_name}: Python functions on the server are not there yet"
    )
