"""``df.writeTo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import commands_pb2

from voltray.driver.catalog.table_writes import WriteToRequest, plan_write_to
from voltray.driver.connect.errors import unsupported_operation
from voltray.driver.connect.messages.expressions import expression_from_message
from voltray.driver.connect.writing import run_write
from voltray.driver.plan.expressions import UnresolvedAttribute
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.plan.streaming import refuse_call

if TYPE_CHECKING:
    from pyspark.sql.connect.proto import expressions_pb2

    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def write_v2(session: Session, operation: Operation, command: commands_pb2.WriteOperationV2) -> None:
    """Write a relation's rows into a table."""
    plan = session.analyze_message(command.input)
    refuse_call(plan, "writeTo")
    mode = commands_pb2.WriteOperationV2.Mode.Name(command.mode).removeprefix("MODE_").lower()
    request = WriteToRequest(
        table=split_identifier(command.table_name),
        mode=mode,
        provider=command.provider if command.HasField("provider") else None,
        partition_columns=tuple([_column(e) for e in command.partitioning_columns]),
        options=tuple(sorted(command.options.items())),
        properties=tuple(sorted(command.table_properties.items())),
    )
    run_write(session, operation, plan_write_to(request, plan, session))


def _column(message: expressions_pb2.Expression) -> str:
    expression = expression_from_message(message)
    if isinstance(expression, UnresolvedAttribute) and len(expression.parts) == 1:
        return expression.parts[0]
    raise unsupported_operation("partitioning by anything but plain columns")
