"""What executors hold and say for sessions' Python functions: files sent to them, logs and profiles come back."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.session_files import PythonReport, SessionFile

if TYPE_CHECKING:
    from voltray.driver.scheduler.executor_watch import ExecutorHandle

_output = logging.getLogger("voltray.python")
PART_BYTES = 16 << 20
KEPT_LOG_RECORDS = 100_000
_END_SECONDS = 5.0


class PythonSessions:
    """The driver's side of Python on executors, for all sessions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, int, int], tuple[SessionFile, ...]] = {}
        self._sending: dict[tuple[str, int, int], threading.Lock] = {}
        self._logs: dict[str, deque[str]] = {}
        self._accumulators: dict[str, list[bytes]] = {}

    def send_files(self, handle: ExecutorHandle, context: EvaluationContext) -> None:
        """Bring a session's files to an executor that does not have them all; a dead one's task tells of itself."""
        if not context.files:
            return
        key = (context.session_id, handle.index, handle.generation)
        with self._lock:
            user = context.session_id.rpartition("/")[0]
            sending = self._sending.setdefault((user, *key[1:]), threading.Lock())
        with sending:
            if self._sent.get(key) == context.files:
                return
            with contextlib.suppress(ray.exceptions.RayActorError):
                _send(handle.actor, context.session_id, context.files)
                self._sent[key] = context.files

    def heard(self, session_id: str, query_id: str, report: PythonReport | None) -> None:
        """Keep what a task's workers said."""
        if report is None:
            return
        for line in report.output:
            _output.info("session %s: %s", session_id, line)
        with self._lock:
            if report.logs:
                self._logs.setdefault(session_id, deque(maxlen=KEPT_LOG_RECORDS)).extend(report.logs)
            if report.accumulators:
                self._accumulators.setdefault(query_id.rpartition("#")[0], []).extend(report.accumulators)

    def logs(self, session_id: str) -> tuple[str, ...]:
        """A session's log records, as JSON."""
        with self._lock:
            return tuple(self._logs.get(session_id, ()))

    def take_accumulators(self, operation_id: str) -> tuple[bytes, ...]:
        """Updates of accumulators for an operation's client."""
        with self._lock:
            return tuple(self._accumulators.pop(operation_id, ()))

    def end_session(self, handles: list[ExecutorHandle], session_id: str) -> None:
        """Forget a session, here and on the executors."""
        with self._lock:
            self._logs.pop(session_id, None)
            for key in [k for k in self._sent if k[0] == session_id]:
                del self._sent[key]
        for handle in handles:
            with contextlib.suppress(Exception):
                handle.actor.end_session.remote(session_id)


def end_executors(handles: list[ExecutorHandle]) -> None:
    """Have executors end their Python workers and remove their files before they are killed."""
    references = []
    for handle in handles:
        with contextlib.suppress(Exception):
            references.append(handle.actor.end.remote())
    with contextlib.suppress(Exception):
        ray.wait(references, num_returns=len(references), timeout=_END_SECONDS)


def _send(actor: Any, session_id: str, files: tuple[SessionFile, ...]) -> None:
    paths = {f.digest: Path(f.path) for f in files}
    for digest in ray.get(actor.missing_files.remote(session_id, tuple(paths))):
        size = paths[digest].stat().st_size
        with paths[digest].open("rb") as source:
            offset = 0
            while True:
                part = source.read(PART_BYTES)
                last = offset + len(part) >= size
                ray.get(actor.receive_file.remote(session_id, digest, offset, part, last))
                offset += len(part)
                if last:
                    break
    ray.get(actor.install_files.remote(session_id, files))
