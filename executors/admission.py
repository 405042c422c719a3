"""Which tasks may run at once: as many as their estimated memory lets into the executor's budget."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from voltray.proto.failures import ErrorKind, spark_error

# Tasks this small do not wait for large ones.
_SMALL_BYTES = 16 << 20
_LOOK_SECONDS = 0.2


class Admission:
    """Tasks enter in the order in which they came, each when its estimate fits what is left; the first always does."""

    def __init__(self, budget: int, patience_seconds: float) -> None:
        self.budget = budget
        self._patience = patience_seconds
        self._held = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """The estimates of all that are in."""
        return self._held

    @contextmanager
    def admitted(self, estimate: int, cancelled: threading.Event) -> Iterator[None]:
        """Wait for room, and give it back at the end; UNABLE_TO_ACQUIRE_MEMORY after too long a wait."""
        if estimate <= _SMALL_BYTES:
            yield
            return
        wanted = min(estimate, self.budget)
        self._enter(wanted, cancelled)
        try:
            yield
        finally:
            with self._changed:
                self._held -= wanted
                self._changed.notify_all()

    def _enter(self, wanted: int, cancelled: threading.Event) -> None:
        ticket = object()
        until = time.monotonic() + self._patience
        with self._changed:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or (self._held and self._held + wanted > self.budget):
                    if cancelled.is_set():
                        raise spark_error("OPERATION_CANCELED", ErrorKind.SPARK)
                    if time.monotonic() > until:
                        raise no_memory(wanted, max(0, self.budget - self._held))
                    self._changed.wait(_LOOK_SECONDS)
                self._held += wanted
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()


def no_memory(requested: int, received: int) -> Exception:
    """The error of a task for which there is no memory."""
    return spark_error("UNABLE_TO_ACQUIRE_MEMORY", ErrorKind.SPARK, requestedBytes=requested, receivedBytes=received)
