"""What is noted of one operation, from its request to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voltray.driver.monitoring.stages import QueryNotes
from voltray.driver.monitoring.totals import Totals
from voltray.driver.plan.redaction import redacted_text
from voltray.proto.status import ENDED, QUEUED, RUNNING, OperationStatus

LONGEST_STATEMENT = 50_000
LONGEST_MESSAGE = 4_000
KEPT_QUERIES = 100
"""Queries of one operation whose stages are kept: a script may run thousands."""


class Statement:
    """An operation's text with its secrets hidden, made when somebody looks.

    Once the operation is over, ``pack`` gives a source that takes less room, or None for the text itself.
    """

    def __init__(self, write: Callable[[], str], pack: Callable[[], Callable[[], str] | None]) -> None:
        self._write: Callable[[], str] | None = write
        self._pack: Callable[[], Callable[[], str] | None] | None = pack
        self._text = ""

    @property
    def text(self) -> str:
        """The text."""
        if (write := self._write) is not None:
            self._text = _shortened(redacted_text(_written(write)), LONGEST_STATEMENT)
            self._write = self._pack = None
        return self._text

    def settle(self) -> None:
        """Let the source go: the operation is over."""
        pack, self._pack = self._pack, None
        if pack is None or self._write is None:
            return
        if (smaller := pack()) is not None:
            self._write = smaller
        else:
            _ = self.text


def _has_ended(reason: str) -> bool:
    return False


def _written(write: Callable[[], str]) -> str:
    try:
        return write()
    except Exception as failure:  # noqa: BLE001 - what cannot be read is the client's failure, told there
        return f"(a plan that cannot be shown: {type(failure).__name__})"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n… {len(text) - most} characters more"


@dataclass(slots=True, eq=False)
class OperationNotes:
    """One operation. The operation's own thread writes; any thread reads."""

    operation_id: str
    session_id: str
    user: str
    tags: tuple[str, ...]
    statement: Statement
    cancel: Callable[[str], bool]
    work_id: str = ""
    traceparent: str | None = None
    number: int = 0
    totals: Totals = field(default_factory=Totals)
    is_traced: bool = False
    began: float = field(default_factory=time.time)
    admitted: float | None = None
    ended: float | None = None
    state: str = RUNNING
    condition: str | None = None
    message: str | None = None
    rows: int = 0
    bytes: int = 0
    queries: list[QueryNotes] = field(default_factory=list)
    span: object = None
    _position: Callable[[], int] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def queued(self, position: Callable[[], int]) -> None:
        """The operation waits for its place; ``position`` tells how many are before it, itself included."""
        self._position = position
        self.state = QUEUED

    def run(self) -> None:
        """The operation has its place."""
        self.admitted = time.time()
        if self.state == QUEUED:
            self.state = RUNNING
            self._position = None

    def sent(self, rows: int, size: int) -> None:
        """Rows went to the client."""
        self.rows += rows
        self.bytes += size
        self.totals.rows += rows
        self.totals.bytes += size

    def query(self) -> QueryNotes:
        """Begin a query of the operation."""
        notes = QueryNotes(self.totals, self.is_traced)
        if len(self.queries) < KEPT_QUERIES:
            self.queries.append(notes)
        return notes

    def end(self, state: str, condition: str | None = None, message: str | None = None) -> None:
        """The operation is over; only the first word counts."""
        with self._lock:
            if self.state in ENDED:
                return
            self.condition = condition
            self.message = None if message is None else _shortened(redacted_text(message), LONGEST_MESSAGE)
            self.ended = time.time()
            self.state = state
        self._position = None
        for query in self.queries:
            query.end()

    def settle(self) -> None:
        """Keep no more than what is shown, and nothing of the operation itself; the client has its answer by now."""
        self.cancel = _has_ended
        self.statement.settle()
        for query in self.queries:
            query.settle()

    def status(self, *, whole: bool = False) -> OperationStatus:
        """The operation as it stands; ``whole`` with its stages."""
        position = self._position
        stages = [stage for query in tuple(self.queries) for stage in tuple(query.stages)]
        return OperationStatus(
            number=self.number,
            operation_id=self.operation_id,
            session_id=self.session_id,
            user=self.user,
            tags=self.tags,
            statement=self.statement.text,
            state=self.state,
            queue_position=0 if position is None else position(),
            condition=self.condition,
            message=self.message,
            began=self.began,
            admitted=self.admitted,
            ended=self.ended,
            rows=self.rows,
            bytes=self.bytes,
            stages=len(stages),
            tasks=sum(s.tasks for s in stages),
            tasks_done=sum(s.done for s in stages),
            spilled_bytes=sum(s.spilled_bytes for s in stages),
            queries=tuple([q.status() for q in tuple(self.queries)]) if whole else (),
        )
