"""``df.createTempView`` and its relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import commands_pb2

from voltray.driver.plan.identifiers import split_identifier
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def create_view(session: Session, operation: Operation, command: commands_pb2.CreateDataFrameViewCommand) -> None:
    """Make a resolved plan a temporary view of the session, or of all sessions."""
    parts = split_identifier(command.name)
    if len(parts) != 1:
        text = f"Invalid view name: {command.name}."
        raise spark_error("_LEGACY_ERROR_TEMP_1321", message=text, sqlstate="", viewName=command.name)
    plan = session.analyze_message(command.input)
    catalog = session.catalog
    create = catalog.create_global_temp_view if command.is_global else catalog.create_temp_view
    create(parts[0], plan, replace=command.replace)
