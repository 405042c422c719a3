"""Commands of the protocol: one file each, found by the name of the oneof field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.unknown_fields import UnknownFieldSet
from pyspark.sql.connect.proto import commands_pb2

from voltray.driver.connect.commands.checkpoint import checkpoint, remove_checkpoint
from voltray.driver.connect.commands.create_view import create_view
from voltray.driver.connect.commands.data_source import register_data_source
from voltray.driver.connect.commands.functions import register_function, register_table_function
from voltray.driver.connect.commands.resources import create_resource_profile, get_resources
from voltray.driver.connect.commands.sql import run_sql_command
from voltray.driver.connect.commands.streaming import ask_manager, ask_query, serve_listeners, start_stream
from voltray.driver.connect.commands.write import write
from voltray.driver.connect.commands.write_v2 import write_v2
from voltray.driver.connect.errors import invalid_plan, unsupported_operation
from voltray.driver.connect.messages.relations import newer_kind

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

Handler = Callable[["Session", "Operation", Any], None]

COMMANDS: dict[str, Handler] = {
    "register_function": register_function,
    "write_operation": write,
    "create_dataframe_view": create_view,
    "write_operation_v2": write_v2,
    "sql_command": run_sql_command,
    "get_resources_command": get_resources,
    "register_table_function": register_table_function,
    "register_data_source": register_data_source,
    "create_resource_profile_command": create_resource_profile,
    "checkpoint_command": checkpoint,
    "remove_cached_remote_relation_command": remove_checkpoint,
    "write_stream_operation_start": start_stream,
    "streaming_query_command": ask_query,
    "streaming_query_manager_command": ask_manager,
    "streaming_query_listener_bus_command": serve_listeners,
}

UNSUPPORTED: dict[str, str] = {
    "merge_into_table_command": "tables that can be updated in place are not there yet",
    "ml_command": "Spark ML is not supported",
    "execute_external_command": "external commands are classes of a JVM",
    "pipeline_command": "declarative pipelines are not supported",
    "extension": "extensions are classes of a JVM",
}


def perform_command(session: Session, operation: Operation, command: commands_pb2.Command) -> None:
    """Perform a command; its results go out as the operation's responses."""
    kind = command.WhichOneof("command_type")
    if kind is None:
        if UnknownFieldSet(command):
            raise unsupported_operation(f"the command {newer_kind(command)}")
        raise invalid_plan("This oneOf field in spark.connect.Command is not set: COMMANDTYPE_NOT_SET")
    handler = COMMANDS.get(kind)
    if handler is None:
        raise unsupported_operation(f"the command {kind}: {UNSUPPORTED.get(kind, 'it is unknown')}")
    handler(session, operation, getattr(command, kind))
