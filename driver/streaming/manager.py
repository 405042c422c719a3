"""The streaming queries of one session, and who listens to them."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.streaming.progress import Identity
from voltray.driver.streaming.query import StreamingQuery, new_run_id
from voltray.driver.streaming.writing import StreamWriteRequest, plan_stream
from voltray.proto.failures import ErrorKind, SparkError, spark_error

if TYPE_CHECKING:
    from voltray.driver.streaming.environment import StreamingSession

Event = tuple[str, str]
StartThread = Callable[[Callable[[], None], str], Any]
_KEPT_ENDED = 100


class StreamingManager:
    """Starts, finds and ends the queries of a session."""

    def __init__(self, session: StreamingSession, start_thread: StartThread) -> None:
        self._session = session
        self._start_thread = start_thread
        self._lock = threading.Condition()
        self._queries: dict[str, StreamingQuery] = {}
        self._ended: dict[str, StreamingQuery] = {}
        self._terminated: list[StreamingQuery] = []
        self._listeners: list[queue.SimpleQueue[Event | None]] = []
        self._closed = False

    # ---- queries -----------------------------------------------------------------------------------------
    def start(self, request: StreamWriteRequest, plan: LogicalPlan) -> StreamingQuery:
        """Start a query."""
        session = self._session
        planned = plan_stream(request, plan, session)
        identity = Identity(planned.checkpoint.query_id, new_run_id(), request.name)
        operation_id = f"stream-{identity.run_id}"
        query = StreamingQuery(
            identity,
            request.trigger,
            lambda: planned.execution(session, identity, operation_id),
            self._post,
            int(session.conf("spark.sql.streaming.numRecentProgressUpdates") or 100),
        )
        try:
            with self._lock:
                self._check_new(query, request.name)
                self._queries[identity.query_id] = query
        except SparkError:
            planned.checkpoint.close()
            raise

        def run() -> None:
            self._run(query)
            planned.checkpoint.close()

        self._start_thread(run, f"stream-{identity.name or identity.query_id}")
        return query

    def _check_new(self, query: StreamingQuery, name: str | None) -> None:
        if self._closed:
            raise spark_error("OPERATION_CANCELED", ErrorKind.SQL)
        if name and any(q.identity.name == name for q in self._queries.values()):
            message = (
                f"Cannot start query with name {name} as a query with that name is already active in this SparkSession"
            )
            raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message)
        same = self._queries.get(query.identity.query_id)
        if same is not None:
            raise spark_error(
                "CONCURRENT_QUERY", ErrorKind.SPARK,
                message=f"[CONCURRENT_QUERY] Another run of the streaming query [id = {query.identity.query_id}] "
                f"[existing runId = {same.identity.run_id}] is active. SQLSTATE: 0A000", sqlstate="0A000",
            )  # fmt: skip

    def _run(self, query: StreamingQuery) -> None:
        query.run()
        with self._lock:
            self._queries.pop(query.identity.query_id, None)
            self._ended[query.identity.run_id] = query
            while len(self._ended) > _KEPT_ENDED:
                self._ended.pop(next(iter(self._ended)))
            self._terminated.append(query)
            self._lock.notify_all()

    def active(self) -> tuple[StreamingQuery, ...]:
        """The queries at work."""
        with self._lock:
            return tuple([q for q in self._queries.values() if q.is_active])

    def get(self, query_id: str) -> StreamingQuery | None:
        """A query at work."""
        try:
            key = str(uuid.UUID(query_id))
        except ValueError:
            message = f"Invalid UUID string: {query_id}"
            raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message) from None
        found = self._queries.get(key)
        return found if found is not None and found.is_active else None

    def of_run(self, query_id: str, run_id: str) -> StreamingQuery:
        """A query by its run, at work or ended not long ago."""
        found = self._queries.get(query_id)
        if found is not None and found.identity.run_id == run_id:
            return found
        ended = self._ended.get(run_id)
        if ended is not None:
            return ended
        raise unknown_query(query_id, run_id)

    def await_any(self, seconds: float | None, is_wanted: Callable[[], bool]) -> bool:
        """Wait until a query has ended since the last reset; raises what one has failed with."""
        import time

        deadline = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            while not self._terminated:
                left = None if deadline is None else deadline - time.monotonic()
                if not is_wanted() or self._closed or (left is not None and left <= 0):
                    return False
                self._lock.wait(0.2 if left is None else min(0.2, left))
            ended = list(self._terminated)
        for query in ended:
            query.raise_failure()
        return True

    def reset_terminated(self) -> None:
        """Forget who has ended."""
        with self._lock:
            self._terminated = []

    def close(self) -> None:
        """Stop every query, and tell listeners that there is nothing more."""
        with self._lock:
            self._closed = True
            queries = list(self._queries.values())
            self._lock.notify_all()
        for query in queries:
            query.stop()
        self.remove_listeners()

    # ---- listeners ---------------------------------------------------------------------------------------
    def add_listener(self) -> queue.SimpleQueue[Event | None]:
        """A queue that gets every event from now on, and None at the end."""
        listener: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        with self._lock:
            self._listeners.append(listener)
        return listener

    def remove_listeners(self) -> None:
        """End every listener's queue."""
        with self._lock:
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.put(None)

    def _post(self, kind: str, text: str) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put((kind, text))


def unknown_query(query_id: str, run_id: str) -> SparkError:
    """The error for a query that the session does not know."""
    message = f"Streaming query {query_id} with run {run_id} is not found"
    return spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message)
