"""Functions that a client registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import relations_pb2
from pyspark.sql.connect.proto.expressions_pb2 import CommonInlineUserDefinedFunction

from voltray.driver.analysis.python_functions import RegisteredFunction
from voltray.driver.connect.messages.relations import table_function
from voltray.driver.connect.messages.types import data_type_from_message
from voltray.driver.plan.expressions import PythonFunction
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def register_function(session: Session, operation: Operation, command: CommonInlineUserDefinedFunction) -> None:
    """Register a Python function of the session; a JVM's classes cannot be loaded."""
    if command.WhichOneof("function") == "java_udf":
        class_name = command.java_udf.class_name
        raise spark_error("_LEGACY_ERROR_TEMP_1329", className=class_name)
    python = command.python_udf
    session.register_function(
        command.function_name,
        RegisteredFunction(
            PythonFunction(
                command.function_name,
                command.deterministic,
                python.eval_type,
                data_type_from_message(python.output_type),
                python.command,
                python.python_ver,
                (),
            )
        ),
    )


def register_table_function(
    session: Session,
    operation: Operation,
    command: relations_pb2.CommonInlineUserDefinedTableFunction,
) -> None:
    """Register a Python table function of the session."""
    session.register_function(f"table function {command.function_name}", table_function(command))
