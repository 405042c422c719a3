"""Which queries may run now: those over a limit wait in a queue, and are refused where that is full or too long."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from voltray.driver.scheduler.limits import SERVER, Holder, Share
from voltray.driver.scheduler.query import ObservedMetrics, ResultBatch, StageProgress
from voltray.proto.failures import ErrorKind, SparkError, spark_error

QUEUE_STAGE = -1
"""The stage number under which progress messages tell of the queue."""
_LOOK_SECONDS = 0.5
_CONDITION = "USER_LIMIT_EXCEEDED"


@dataclass(slots=True, eq=False)
class Ticket:
    """A query's place: first in the queue (where it is followed as a ``QueryRun``), then among those that run."""

    share: Share
    number: int
    is_abandoned: Callable[[], bool]
    stop: Callable[[SparkError], object]
    """Ends the query with an error."""
    decided: threading.Event = field(default_factory=threading.Event)
    is_running: bool = False
    refused: SparkError | None = None
    queued_at: float = 0.0
    started_at: float = 0.0
    first_position: int = 0
    position: int = 0

    def batches(self) -> Iterator[ResultBatch]:
        """There are none."""
        return iter(())

    def cancel(self) -> None:
        """Give the place up."""
        self.refused = self.refused or spark_error("OPERATION_CANCELED", ErrorKind.SPARK)
        self.decided.set()

    def progress(self) -> tuple[StageProgress, ...]:
        """The queue as a stage: as many tasks as queries were ahead, this one included."""
        if self.is_running or not self.first_position:
            return ()
        gone = max(0, self.first_position - self.position)
        return (StageProgress(QUEUE_STAGE, self.first_position, gone, 0, False),)

    def observed(self) -> tuple[ObservedMetrics, ...]:
        """There are none."""
        return ()


class Admission:
    """The queue before the scheduler, shared by all users."""

    def __init__(self, running_queries: int = 0, queued_queries: int | None = None) -> None:
        self._server_running = running_queries
        self._server_queued = queued_queries
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._counts: Counter[Holder] = Counter()
        self._queued: list[Ticket] = []
        self._timed: set[Ticket] = set()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def admitted(
        self,
        share: Share,
        *,
        follow: Callable[[Ticket], object],
        stop: Callable[[SparkError], object],
        is_abandoned: Callable[[], bool],
    ) -> Iterator[Ticket]:
        """Hold a place; ``follow`` is told of the ticket where it has to wait in the queue."""
        ticket = self.enter(share, follow=follow, stop=stop, is_abandoned=is_abandoned)
        try:
            yield ticket
        finally:
            self.leave(ticket)

    def enter(
        self,
        share: Share,
        *,
        follow: Callable[[Ticket], object],
        stop: Callable[[SparkError], object],
        is_abandoned: Callable[[], bool],
    ) -> Ticket:
        """Wait for a place; raises where the queue is full or the wait too long."""
        ticket = Ticket(share, next(self._numbers), is_abandoned, stop)
        with self._lock:
            blocking = self._blocking(share)
            if blocking is None:
                self._start(ticket)
                return ticket
            self._check_queue(share)
            ticket.queued_at = time.monotonic()
            self._queued.append(ticket)
            self._place()
            ticket.first_position = ticket.position
            self._watch()
        follow(ticket)
        ticket.decided.wait()
        if ticket.refused is not None:
            self.leave(ticket)
            raise ticket.refused
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a place back."""
        with self._lock:
            if ticket in self._queued:
                self._queued.remove(ticket)
            elif ticket.is_running:
                ticket.is_running = False
                self._timed.discard(ticket)
                for holder in _holders(ticket.share):
                    self._counts[holder] -= 1
                    if not self._counts[holder]:
                        del self._counts[holder]
            if self._queued:
                self._admit_next()

    def queued(self) -> int:
        """Queries in the queue."""
        return len(self._queued)

    def running(self) -> int:
        """Queries that run."""
        return self._counts[SERVER]

    def _start(self, ticket: Ticket) -> None:
        ticket.is_running = True
        ticket.started_at = time.monotonic()
        for holder in _holders(ticket.share):
            self._counts[holder] += 1
        if ticket.share.limits.run_seconds is not None:
            self._timed.add(ticket)
            self._watch()

    def _blocking(self, share: Share) -> tuple[Holder, int] | None:
        """The limit of running queries that is reached."""
        caps = share.caps("running_queries")
        if self._server_running:
            caps = (*caps, (SERVER, self._server_running))
        return next(((holder, most) for holder, most in caps if self._counts[holder] >= most), None)

    def _check_queue(self, share: Share) -> None:
        caps = share.caps("queued_queries")
        if self._server_queued is not None:
            caps = (*caps, (SERVER, self._server_queued))
        for holder, most in caps:
            waiting = sum(holder in _holders(t.share) for t in self._queued)
            if waiting >= most:
                raise _exceeded("QUEUED_QUERIES", holder, limit=str(most), waiting=str(waiting))

    def _order(self) -> list[Ticket]:
        """The queue as it would be let in: users who run the least for their weight first, then who came first."""
        expected = Counter({t.share.user: self._counts[Holder("user", t.share.user)] for t in self._queued})
        ordered = []
        for ticket in sorted(self._queued, key=lambda t: t.number):
            ordered.append(((expected[ticket.share.user] + 1) / ticket.share.weight, ticket.number, ticket))
            expected[ticket.share.user] += 1
        return [ticket for _, _, ticket in sorted(ordered, key=lambda entry: entry[:2])]

    def _place(self) -> None:
        for position, ticket in enumerate(self._order(), 1):
            ticket.position = position

    def _admit_next(self) -> None:
        for ticket in self._order():
            if self._blocking(ticket.share) is None and not ticket.decided.is_set():
                self._queued.remove(ticket)
                self._start(ticket)
                ticket.decided.set()
        self._place()

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look, name="admission", daemon=True)
            self._watcher.start()

    def _look(self) -> None:
        """End what has waited or run too long, and what nobody waits for; stops once there is nothing to look at."""
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                waiting, timed = list(self._queued), list(self._timed)
                if not waiting and not timed:
                    self._watcher = None
                    return
            now = time.monotonic()
            for ticket in waiting:
                self._look_at_waiting(ticket, now)
            for ticket in timed:
                seconds = ticket.share.limits.run_seconds or 0.0
                if now - ticket.started_at > seconds:
                    with self._lock:
                        self._timed.discard(ticket)
                    ticket.stop(_exceeded("RUN_TIME", Holder("user", ticket.share.user), limit=f"{seconds:g}"))

    def _look_at_waiting(self, ticket: Ticket, now: float) -> None:
        seconds = ticket.share.limits.queue_seconds
        if ticket.is_abandoned():
            ticket.cancel()
        elif seconds is not None and now - ticket.queued_at > seconds:
            with self._lock:
                holder, most = self._blocking(ticket.share) or (SERVER, self._server_running)
                if ticket.is_running:
                    return
                ticket.refused = _exceeded("QUEUE_TIME", holder, limit=str(most), seconds=f"{seconds:g}")
                ticket.decided.set()


def result_too_large(share: Share, size: int) -> SparkError:
    """The error of a result past the user's limit."""
    most = share.limits.result_size or 0
    return _exceeded("RESULT_SIZE", Holder("user", share.user), limit=str(most), size=str(size))


def _exceeded(reason: str, holder: Holder, **parameters: Any) -> SparkError:
    return spark_error(f"{_CONDITION}.{reason}", ErrorKind.SPARK, holder=str(holder), **parameters)


def _holders(share: Share) -> tuple[Holder, ...]:
    return (SERVER, Holder("user", share.user), *[Holder("group", name) for name, _ in share.groups])
