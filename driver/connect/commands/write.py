"""``df.write``: to files, or into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import commands_pb2

from voltray.driver.catalog.write_planning import WriteRequest, plan_write
from voltray.driver.connect.commands.data_source import write_with_python
from voltray.driver.connect.observed import send_observed
from voltray.driver.connect.writing import run_write
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.plan.streaming import refuse_call

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

_METHODS = {
    commands_pb2.WriteOperation.SaveTable.TABLE_SAVE_METHOD_SAVE_AS_TABLE: "save_as_table",
    commands_pb2.WriteOperation.SaveTable.TABLE_SAVE_METHOD_INSERT_INTO: "insert_into",
}


def write(session: Session, operation: Operation, command: commands_pb2.WriteOperation) -> None:
    """Write a relation's rows."""
    plan = session.analyze_message(command.input)
    refuse_call(plan, "write")
    request = _request(command)
    if (request.format or "").lower() == "noop":
        # The format that takes rows and keeps none: the query itself is what is wanted.
        run = session.execute(plan, operation)
        for _ in run.batches():
            pass
        send_observed(operation, run)
        return
    source = session.data_source(request.format or "")
    if source is not None and request.method == "save":
        write_with_python(session, operation, source, plan, request)
        return
    run_write(session, operation, plan_write(request, plan, session))


def _request(command: commands_pb2.WriteOperation) -> WriteRequest:
    table = command.table if command.WhichOneof("save_type") == "table" else None
    return WriteRequest(
        format=command.source if command.HasField("source") else None,
        mode=commands_pb2.WriteOperation.SaveMode.Name(command.mode),
        path=command.path if command.WhichOneof("save_type") == "path" else None,
        table=() if table is None else split_identifier(table.table_name),
        method="save" if table is None else _METHODS.get(table.save_method, "save_as_table"),
        partition_columns=tuple(command.partitioning_columns),
        options=tuple(sorted(command.options.items())),
        bucket_count=command.bucket_by.num_buckets if command.HasField("bucket_by") else 0,
        bucket_columns=tuple(command.bucket_by.bucket_column_names),
        sort_columns=tuple(command.sort_column_names),
        clustering_columns=tuple(command.clustering_columns),
    )
