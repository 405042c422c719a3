"""Operations: one ExecutePlan each, from its request to its release."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.errors import failure_of, invalid_handle
from voltray.driver.connect.progress import progress_response
from voltray.driver.connect.responses import Entry, Released, ResponseBuffer, Signal
from voltray.driver.connect.statement_text import statement_of
from voltray.driver.monitoring.operations import OperationNotes
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.status import CANCELLED, FAILED, FINISHED

if TYPE_CHECKING:
    from voltray.driver.scheduler.admission import Admission, Ticket
    from voltray.driver.scheduler.limits import Share
    from voltray.driver.scheduler.query import QueryRun

Response = base_pb2.ExecutePlanResponse
KEPT_ABANDONED = 10_000
_LOOK_SECONDS = 5.0
# Clients whose connection broke come back at once; the place in a queue of one that does not is another's.
_ABANDONED_SECONDS = 15.0


class Operation:
    """One execution: its state, its query once there is one, and its responses."""

    def __init__(
        self,
        session_id: str,
        server_side_session_id: str,
        request: base_pb2.ExecutePlanRequest,
        *,
        buffer_bytes: int,
        user: str = "",
    ) -> None:
        options = request.request_options
        self.session_id = session_id
        self.server_side_session_id = server_side_session_id
        self.operation_id = request.operation_id or str(uuid.uuid4())
        self.tags = frozenset(request.tags)
        self.plan = request.plan
        self.reattachable = any(o.reattach_options.reattachable for o in options)
        chunking = [o.result_chunking_options for o in options if o.HasField("result_chunking_options")]
        self.chunking = chunking[-1] if chunking else base_pb2.ResultChunkingOptions()
        self.buffer = ResponseBuffer(buffer_bytes, keep=self.reattachable)
        self.finished = threading.Event()
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._run: QueryRun | None = None
        self._canceled: str | None = None
        self._stopped: SparkError | None = None
        self._leave: Callable[[], None] | None = None
        self.notes = OperationNotes(
            self.operation_id, session_id, user, tuple(request.tags), statement_of(self.plan), self.cancel, self.work_id
        )
        """What the pages tell of it."""

    @property
    def work_id(self) -> str:
        """Under what its work is known to the scheduler: clients choose operations' ids, and two may choose one."""
        return f"{self.operation_id}.{self.server_side_session_id[:8]}"

    def perform(self, body: Callable[[Operation], None]) -> None:
        """Run the operation to its end; its failure, too, goes to the client through the buffer."""
        try:
            body(self)
            self.notes.end(FINISHED)
            if self.reattachable:
                self.respond(Response(result_complete=Response.ResultComplete()))
            self.buffer.complete()
        except Released:
            self.notes.end(CANCELLED)
        except BaseException as failure:  # noqa: BLE001 - whatever it is, the client is told
            told = failure_of(self._cancellation() or failure)
            is_cancelled = self._canceled is not None and self._stopped is None
            self.notes.end(CANCELLED if is_cancelled else FAILED, told.condition, told.message)
            self.buffer.fail(told)
        finally:
            self._run = None
            if self._leave is not None:
                self._leave()
            self.finished.set()

    def respond(self, response: Response, field: tuple[bytes | memoryview, ...] = ()) -> None:
        """Send a response to the client; waits while the client has enough to read.

        ``field`` is one more field of the response, as pieces that are written already.
        """
        self._address(response)
        self.buffer.add(response, field)

    def follow(self, run: QueryRun) -> None:
        """Make a query the operation's own: its progress is told, and it ends with the operation."""
        with self._lock:
            self._run = run
        if self._canceled is not None:
            run.cancel()

    @property
    def seconds(self) -> float:
        """How long ago the operation was asked for."""
        return time.monotonic() - self._began

    def admit(self, admission: Admission, share: Share) -> None:
        """Wait for the operation's place among those that run; it is given back as the operation ends."""
        if self._leave is not None:
            return
        self.check_canceled()
        ticket = admission.enter(share, follow=self._queue, stop=self.stop, is_abandoned=self._is_abandoned)
        self.notes.run()
        self._leave = lambda: admission.leave(ticket)

    def _queue(self, ticket: Ticket) -> None:
        self.notes.queued(lambda: ticket.position)
        self.follow(ticket)

    def stop(self, error: SparkError) -> None:
        """End the operation with an error."""
        self._stopped = error
        self.cancel()

    def _is_abandoned(self) -> bool:
        return time.monotonic() - self.buffer.detached_since > _ABANDONED_SECONDS

    def check_canceled(self) -> None:
        """Raise where the operation was interrupted."""
        if (cancellation := self._cancellation()) is not None:
            raise cancellation

    def cancel(self, reason: str = "") -> bool:
        """Stop the operation; False where it had ended. ``reason`` is told to the client."""
        with self._lock:
            if self.finished.is_set() or self._canceled is not None:
                return False
            self._canceled = reason
            run = self._run
        # The client is told at once; the work winds up behind.
        self.buffer.fail(failure_of(self._cancellation() or Released()))
        if run is not None:
            run.cancel()
        return True

    def release(self) -> None:
        """Forget the responses; an operation still at work is stopped."""
        self.cancel()
        self.buffer.release()

    def stream(self, after: str | None, interval: float, is_active: Callable[[], bool]) -> Iterator[bytes]:
        """The responses after one, as they come; progress at intervals of seconds while none comes (0: never).

        Ends once ``is_active`` says that the client has gone.
        """
        reader, position = self.buffer.attach(after)
        return self._stream(reader, position, interval, is_active)

    def _stream(self, reader: int, position: int, interval: float, is_active: Callable[[], bool]) -> Iterator[bytes]:
        try:
            while True:
                match self.buffer.take(reader, position, interval or _LOOK_SECONDS):
                    case Entry(index, data):
                        position = index
                        yield data
                    case Signal.TIMEOUT:
                        if not is_active():
                            return
                        if interval:
                            self._tell_progress()
                    case Signal.COMPLETE:
                        return
        finally:
            self.buffer.detach(reader)

    def _tell_progress(self) -> None:
        run = self._run
        stages = () if run is None else run.progress()
        response = progress_response(stages)
        self._address(response)
        try:
            self.buffer.try_add(response)
        except Released:
            return

    def _address(self, response: Response) -> None:
        response.session_id = self.session_id
        response.server_side_session_id = self.server_side_session_id
        response.operation_id = self.operation_id

    def _cancellation(self) -> BaseException | None:
        if self._canceled is None:
            return None
        if self._stopped is not None:
            return self._stopped
        message = f"[OPERATION_CANCELED] {self._canceled} SQLSTATE: HY008" if self._canceled else None
        return spark_error("OPERATION_CANCELED", ErrorKind.SQL, message=message)


class OperationRegistry:
    """The operations of one session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: dict[str, Operation] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def add(self, operation: Operation) -> Operation:
        """Register a new operation, or return the one that the same request has started before.

        Raises INVALID_HANDLE for an id that was used before or is not a UUID.
        """
        key = operation.operation_id
        check_uuid(key)
        with self._lock:
            if key in self._gone:
                raise invalid_handle("OPERATION_ABANDONED", key)
            present = self._operations.get(key)
            if present is None:
                self._operations[key] = operation
                return operation
        if present.reattachable and present.plan == operation.plan:
            return present
        raise invalid_handle("OPERATION_ALREADY_EXISTS", key)

    def get(self, operation_id: str) -> Operation | None:
        """An operation that is still known."""
        return self._operations.get(operation_id)

    def remove(self, operation: Operation) -> None:
        """Release an operation; its id stays used."""
        operation.release()
        with self._lock:
            if self._operations.pop(operation.operation_id, None) is None:
                return
            self._gone[operation.operation_id] = None
            while len(self._gone) > KEPT_ABANDONED:
                self._gone.popitem(last=False)

    def all(self) -> tuple[Operation, ...]:
        """Every operation that is known."""
        with self._lock:
            return tuple(self._operations.values())

    def running(self) -> tuple[Operation, ...]:
        """The operations at work."""
        return tuple([o for o in self.all() if not o.finished.is_set()])

    def remove_abandoned(self, seconds: float) -> None:
        """Remove what no client has asked for in so many seconds."""
        limit = time.monotonic() - seconds
        for operation in self.all():
            if operation.buffer.detached_since < limit:
                self.remove(operation)

    def interrupt(self, chosen: Callable[[Operation], bool]) -> list[str]:
        """Cancel operations; returns the ids of those that were at work."""
        return [o.operation_id for o in self.running() if chosen(o) and o.cancel()]


def check_uuid(handle: str) -> None:
    """Raise INVALID_HANDLE.FORMAT for what is not a UUID in its usual form."""
    try:
        valid = len(handle) == 36 and str(uuid.UUID(handle)) == handle.lower()
    except ValueError:
        valid = False
    if not valid:
        raise invalid_handle("FORMAT", handle)
