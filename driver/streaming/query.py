"""A streaming query: its thread, its status, and what its callers wait for."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voltray.driver.streaming.progress import Durations, Identity, iso_time
from voltray.driver.streaming.triggers import Trigger
from voltray.proto.failures import ErrorKind, Failure, SparkError, spark_error

if TYPE_CHECKING:
    from voltray.driver.streaming.execution import Execution

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_IDLE_SECONDS = 10.0
_STOP_SECONDS = 120.0
STARTED, PROGRESS, IDLE, TERMINATED = "started", "progress", "idle", "terminated"
Post = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Status:
    """What ``query.status`` says."""

    message: str
    is_data_available: bool = False
    is_trigger_active: bool = False


class StreamingQuery:
    """One run of a query, from its start to its end. ``open_execution`` is called on the query's own thread."""

    def __init__(
        self,
        identity: Identity,
        trigger: Trigger,
        open_execution: Callable[[], Execution],
        post: Post,
        kept_progress: int = 100,
    ) -> None:
        self.identity = identity
        self.trigger = trigger
        self.status = Status("Initializing sources")
        self.failure: Failure | None = None
        self.execution: Execution | None = None
        self.ended = threading.Event()
        self.progress: deque[str] = deque(maxlen=max(1, kept_progress))
        self._open = open_execution
        self._post = post
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._triggers = 0
        self._idle_trigger = 0
        self._idle_since = time.monotonic()

    @property
    def is_active(self) -> bool:
        """Whether the query is at work."""
        return not self.ended.is_set()

    def started_json(self) -> str:
        """The event that tells of the start."""
        return json.dumps(
            {"id": self.identity.query_id, "runId": self.identity.run_id, "name": self.identity.name,
             "timestamp": iso_time(time.time() * 1000), "jobTags": []}
        )  # fmt: skip

    # ---- the query's thread ------------------------------------------------------------------------------
    def run(self) -> None:
        """Run batches until the query is stopped, done or has failed."""
        try:
            self.execution = self._open()
            self._run_triggers(self.execution)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            if not self._stopping.is_set():
                self.failure = failure_of(error, self.identity)
                _log.info("streaming query %s has failed: %s", self.identity.query_id, self.failure.message)
        finally:
            self._end()

    def _run_triggers(self, execution: Execution) -> None:
        execution.open()
        if self.trigger.kind == "available_now":
            execution.freeze()
        while not self._stopping.is_set():
            started = time.monotonic()
            ran = self._run_trigger(execution)
            if self.trigger.kind == "once" or (self.trigger.kind == "available_now" and not ran):
                return
            self._wait(started, ran)

    def _run_trigger(self, execution: Execution) -> bool:
        durations = Durations()
        with self._changed:
            self._triggers += 1
            number = self._triggers
        at = time.monotonic()
        batch = execution.next_batch(limited=self.trigger.kind != "once", on_latest=lambda: None)
        durations.add("latestOffset", time.monotonic() - at)
        if batch is None:
            self._idle(number)
            return False
        self.status = Status("Processing new data", True, True)
        self._tell(PROGRESS, execution.run(batch, durations))
        self._idle_since = time.monotonic()
        return True

    def _idle(self, number: int) -> None:
        with self._changed:
            self._idle_trigger = number
            self._changed.notify_all()
        self.status = Status("Waiting for data to arrive")
        if time.monotonic() - self._idle_since > _IDLE_SECONDS:
            self._idle_since = time.monotonic()
            identity = self.identity
            event = {"id": identity.query_id, "runId": identity.run_id, "timestamp": iso_time(time.time() * 1000)}
            self._post(IDLE, json.dumps(event))

    def _wait(self, started: float, ran: bool) -> None:
        interval = self.trigger.interval_ms / 1000
        if interval:
            due = interval - (time.monotonic() - started)
            if ran:
                self.status = Status("Waiting for next trigger", self.status.is_data_available)
            if due > 0:
                self._stopping.wait(due)
        elif not ran:
            self._stopping.wait(_POLL_SECONDS)

    def _tell(self, kind: str, text: str) -> None:
        self.progress.append(text)
        self._post(kind, json.dumps({"progress": json.loads(text)}))

    def _end(self) -> None:
        try:
            if self.execution is not None:
                self.execution.close()
        except Exception:  # noqa: BLE001 - the query has ended all the same
            _log.exception("closing streaming query %s failed", self.identity.query_id)
        failure = self.failure
        cause = failure.parameters.get("message", "") if failure is not None else ""
        self.status = Status(f"Terminated with exception: {cause}" if failure is not None else "Stopped")
        identity = self.identity
        event = {
            "id": identity.query_id,
            "runId": identity.run_id,
            "exception": None if failure is None else exception_text(failure),
            "errorClassOnException": None if failure is None else failure.parameters.get("errorClass"),
        }
        with self._changed:
            self.ended.set()
            self._changed.notify_all()
        self._post(TERMINATED, json.dumps(event))

    # ---- its callers -------------------------------------------------------------------------------------
    def stop(self) -> None:
        """Stop, and wait until all has ended."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_SECONDS
        while not self.ended.is_set() and time.monotonic() < deadline:
            if self.execution is not None:
                self.execution.cancel()
            self.ended.wait(0.2)

    def await_termination(self, seconds: float | None, is_wanted: Callable[[], bool]) -> bool:
        """Wait for the end; raises what the query failed with. False once the time is over."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.ended.wait(_remaining(deadline)):
            if not is_wanted() or (deadline is not None and time.monotonic() >= deadline):
                return False
        self.raise_failure()
        return True

    def process_all_available(self, is_wanted: Callable[[], bool]) -> None:
        """Wait until a trigger that started from now on has found nothing new."""
        with self._changed:
            wanted = self._triggers
            while not self.ended.is_set() and self._idle_trigger <= wanted and is_wanted():
                self._changed.wait(0.2)
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what the query failed with, if it did."""
        failure = self.failure
        if failure is not None:
            raise spark_error(
                failure.condition, failure.kind, sqlstate=failure.sqlstate, message=failure.message,
                extra={k: v for k, v in failure.parameters.items() if k != "errorClass"},
            )  # fmt: skip


def _remaining(deadline: float | None) -> float:
    return 0.2 if deadline is None else max(0.0, min(0.2, deadline - time.monotonic()))


def failure_of(error: BaseException, identity: Identity) -> Failure:
    """What a query ends with, as STREAM_FAILED."""
    if isinstance(error, SparkError):
        cause = error.failure
        message, inner = cause.message, cause.condition
    else:
        _log.exception("a streaming query failed", exc_info=error)
        message, inner = "[INTERNAL_ERROR] The streaming query met an error of the server's own. SQLSTATE: XX000", ""
    whole = (
        f"[STREAM_FAILED] Query [id = {identity.query_id}, runId = {identity.run_id}] terminated with exception: "
        f"{message} SQLSTATE: XXKST"
    )
    parameters = {"id": identity.query_id, "runId": identity.run_id, "message": message, "errorClass": inner}
    return Failure("STREAM_FAILED", whole, "XXKST", ErrorKind.STREAMING_QUERY, parameters)


def exception_text(failure: Failure) -> str:
    """A failure as ``query.exception()`` shows it."""
    identity = f"[id = {failure.parameters['id']}, runId = {failure.parameters['runId']}]"
    return (
        "org.apache.spark.sql.streaming.StreamingQueryException: "
        f"{failure.parameters['message']}\n=== Streaming Query ===\nIdentifier: {identity}"
    )


def new_run_id() -> str:
    """The id of one run."""
    return str(uuid.uuid4())
