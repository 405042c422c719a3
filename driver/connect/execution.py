"""Running an operation: a relation's rows or a command's effect, as responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2, relations_pb2

from voltray.driver.connect.commands import perform_command
from voltray.driver.connect.messages.types import data_type_to_message
from voltray.driver.connect.observed import send_accumulators, send_observed
from voltray.driver.connect.operations import Operation
from voltray.driver.connect.plans import content_of
from voltray.driver.connect.progress import progress_response
from voltray.driver.plan.logical import schema_of
from voltray.driver.scheduler.admission import result_too_large

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.scheduler.query import ResultBatch

Response = base_pb2.ExecutePlanResponse
# Clients take messages of 128 MiB; a chunk leaves room for what goes with it.
LARGEST_CHUNK = 64 << 20
SMALLEST_CHUNK = 1 << 10
# Nobody sees the progress of a shorter query, and each response costs the client a call to release it.
_SHORT_SECONDS = 0.1
_LENGTH_DELIMITED = 2
_ARROW_BATCH_TAG = bytes([Response.ARROW_BATCH_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_DATA_TAG = bytes([Response.ArrowBatch.DATA_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])


def perform_operation(session: Session, operation: Operation) -> None:
    """Run an operation to its end."""
    with session.backend.monitor.watching(operation.notes):
        operation.perform(lambda own: _perform(session, own))


def _perform(session: Session, operation: Operation) -> None:
    content = content_of(operation.plan, session.backend.settings.max_message_bytes)
    if isinstance(content, relations_pb2.Relation):
        send_result(session, operation, session.analyze_message(content))
    else:
        perform_command(session, operation, content)
    send_accumulators(operation, session.backend.scheduler.take_accumulators(operation.work_id))


def send_result(session: Session, operation: Operation, plan: LogicalPlan) -> None:
    """Run a plan and send its schema, rows and observed metrics."""
    run = session.execute(plan, operation)
    # The schema rides on the first response: one message less for a small result.
    head = Response(schema=data_type_to_message(schema_of(plan)))
    row, size, share = 0, 0, session.share
    most = share.limits.result_size
    for batch in run.batches():
        size += len(batch.data)
        if most is not None and size > most:
            run.cancel()
            raise result_too_large(share, size)
        for field in _batch_fields(batch, row, operation.chunking):
            operation.respond(head, field)
            head = Response()
        row += batch.row_count
        operation.notes.sent(batch.row_count, len(batch.data))
    if head.HasField("schema"):
        operation.respond(head)
    send_observed(operation, run)
    if operation.seconds > _SHORT_SECONDS:
        operation.respond(progress_response(run.progress()))


def _batch_fields(
    batch: ResultBatch, start_row: int, chunking: base_pb2.ResultChunkingOptions
) -> Iterator[tuple[bytes | memoryview, ...]]:
    """The batch as the field ``arrow_batch`` of one response, or of several where the client takes chunks."""
    plain = Response.ArrowBatch(row_count=batch.row_count, start_offset=start_row)
    if not chunking.allow_arrow_batch_chunking:
        yield _arrow_batch_field(plain, batch.data)
        return
    preferred = chunking.preferred_arrow_chunk_size
    chunk_size = preferred if SMALLEST_CHUNK <= preferred <= LARGEST_CHUNK else LARGEST_CHUNK
    view = memoryview(batch.data)
    plain.num_chunks_in_batch = max(1, -(-len(view) // chunk_size))
    for index in range(plain.num_chunks_in_batch):
        plain.chunk_index = index
        yield _arrow_batch_field(plain, view[index * chunk_size : (index + 1) * chunk_size])


def _arrow_batch_field(
    message: base_pb2.ExecutePlanResponse.ArrowBatch, data: bytes | memoryview
) -> tuple[bytes | memoryview, ...]:
    """The field written by hand: through a message, the data would be copied three times."""
    small = message.SerializeToString()
    head = small + _DATA_TAG + _varint(len(data))
    return _ARROW_BATCH_TAG + _varint(len(head) + len(data)) + head, data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
