"""Running an operation: a relation's rows or a command's effect, as responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2, relations_pb2

from voltray.driver.connect.commands import perform_command
from voltray.driver.connect.messages.literals import literal_to_message
from voltray.driver.connect.messages.types import data_type_to_message
from voltray.driver.connect.operations import Operation
from voltray.driver.connect.plans import content_of
from voltray.driver.connect.progress import progress_response
from voltray.driver.plan.logical import schema_of

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.scheduler.query import ObservedMetrics, ResultBatch

Response = base_pb2.ExecutePlanResponse
# Clients take messages of 128 MiB; a chunk leaves room for what goes with it.
LARGEST_CHUNK = 64 << 20
SMALLEST_CHUNK = 1 << 10


def perform_operation(session: Session, operation: Operation) -> None:
    """Run an operation to its end."""
    operation.perform(lambda own: _perform(session, own))


def _perform(session: Session, operation: Operation) -> None:
    content = content_of(operation.plan, session.backend.settings.max_message_bytes)
    if isinstance(content, relations_pb2.Relation):
        send_result(session, operation, session.analyze_message(content))
    else:
        perform_command(session, operation, content)


def send_result(session: Session, operation: Operation, plan: LogicalPlan) -> None:
    """Run a plan and send its schema, rows and observed metrics."""
    run = session.execute(plan, operation)
    # The schema rides on the first response: one message less for a small result.
    head = Response(schema=data_type_to_message(schema_of(plan)))
    row = 0
    for batch in run.batches():
        for response in _batch_responses(batch, row, operation.chunking):
            head.MergeFrom(response)
            operation.respond(head)
            head = Response()
        row += batch.row_count
    if head.HasField("schema"):
        operation.respond(head)
    observed = run.observed()
    if observed:
        operation.respond(Response(observed_metrics=[_observed_message(o) for o in observed]))
    operation.respond(progress_response(run.progress()))


def _batch_responses(
    batch: ResultBatch, start_row: int, chunking: base_pb2.ResultChunkingOptions
) -> Iterator[Response]:
    size = len(batch.data)
    if not chunking.allow_arrow_batch_chunking:
        message = Response.ArrowBatch(row_count=batch.row_count, data=batch.data, start_offset=start_row)
        yield Response(arrow_batch=message)
        return
    preferred = chunking.preferred_arrow_chunk_size
    chunk_size = preferred if SMALLEST_CHUNK <= preferred <= LARGEST_CHUNK else LARGEST_CHUNK
    count = max(1, -(-size // chunk_size))
    for index in range(count):
        data = batch.data if count == 1 else batch.data[index * chunk_size : (index + 1) * chunk_size]
        yield Response(
            arrow_batch=Response.ArrowBatch(
                row_count=batch.row_count,
                data=data,
                start_offset=start_row,
                chunk_index=index,
                num_chunks_in_batch=count,
            )
        )


def _observed_message(observed: ObservedMetrics) -> Response.ObservedMetrics:
    pairs = zip(observed.values, observed.metrics, strict=True)
    values = [literal_to_message(value, metric.dtype) for value, metric in pairs]
    return Response.ObservedMetrics(name=observed.name, values=values, keys=[m.name for m in observed.metrics])
