"""All that is noted of a server's work: the operations under way and the last ones that ended."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voltray.driver.monitoring.logs import OperationIds, within
from voltray.driver.monitoring.operations import OperationNotes
from voltray.driver.monitoring.stages import QueryNotes
from voltray.driver.monitoring.totals import Totals
from voltray.proto.status import FAILED

if TYPE_CHECKING:
    from voltray.driver.monitoring.traces import Traces

logger = logging.getLogger("voltray.operations")


class Monitor:
    """Notes of operations: those at work, and as many ended ones as are kept."""

    def __init__(self, kept: int = 1000) -> None:
        self.totals = Totals()
        self.started = time.time()
        self.traces: Traces | None = None
        """Where given, told of each operation as it begins and ends."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._running: dict[str, OperationNotes] = {}
        self._ended: deque[OperationNotes] = deque(maxlen=kept)

    @property
    def is_traced(self) -> bool:
        """Whether traces are made."""
        return self.traces is not None

    def begin(self, notes: OperationNotes) -> None:
        """Note an operation from its request on."""
        notes.number = next(self._numbers)
        notes.totals, notes.is_traced = self.totals, self.is_traced
        with self._lock:
            self._running[notes.work_id] = notes
        if self.traces is not None:
            self.traces.begin(notes)

    @contextmanager
    def watching(self, notes: OperationNotes) -> Iterator[None]:
        """Note an operation's end; what is logged meanwhile carries its ids."""
        with within(OperationIds(notes.session_id, notes.user, notes.operation_id)):
            try:
                yield
            finally:
                self._end(notes)

    def query(self, work_id: str) -> QueryNotes:
        """Begin a query: of an operation that is known, or of nobody's."""
        self.totals.queries += 1
        notes = self._running.get(work_id)
        return QueryNotes(self.totals, self.is_traced) if notes is None else notes.query()

    def operations(self) -> list[OperationNotes]:
        """All operations that are kept, the newest first."""
        with self._lock:
            found = [*self._ended, *self._running.values()]
        return sorted(found, key=lambda notes: -notes.number)

    def running(self) -> list[OperationNotes]:
        """The operations that have not ended."""
        with self._lock:
            return list(self._running.values())

    def operation(self, number: int) -> OperationNotes | None:
        """The operation of a number, while it is kept."""
        return next((notes for notes in self.operations() if notes.number == number), None)

    def _end(self, notes: OperationNotes) -> None:
        notes.end(FAILED)  # what has said nothing of its end
        seconds = (notes.ended or 0.0) - notes.began
        with self._lock:
            self._running.pop(notes.work_id, None)
            self._ended.append(notes)
            self.totals.operations[notes.state] += 1
            self.totals.durations[notes.state].add(seconds)
        if notes.state == FAILED:
            logger.info("operation failed with %s after %.3f s", notes.condition, seconds)
        else:
            logger.debug("operation %s after %.3f s", notes.state, seconds)
        if self.traces is not None:
            self.traces.end(notes)
        notes.settle()
