"""``spark.resources`` and resource profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2, commands_pb2

from voltray.driver.connect.errors import unsupported_operation

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def get_resources(session: Session, operation: Operation, command: commands_pb2.GetResourcesCommand) -> None:
    """Answer with the driver's own resources: it has none (no GPU, no FPGA)."""
    response = base_pb2.ExecutePlanResponse()
    response.get_resources_command_result.SetInParent()
    operation.respond(response)


def create_resource_profile(
    session: Session, operation: Operation, command: commands_pb2.CreateResourceProfileCommand
) -> None:
    """Refuse: executors are sized when the server starts."""
    raise unsupported_operation("resource profiles: executors are sized when the server starts")
