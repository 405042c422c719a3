"""What one visitor sees of a server: the same for the pages, the API and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voltray.driver.monitoring.monitor import Monitor
from voltray.driver.monitoring.operations import OperationNotes
from voltray.driver.monitoring.visitors import Visitor
from voltray.proto.status import ExecutorStatus, OperationStatus, Overview, ServerStatus, SessionStatus


class Source(Protocol):
    """Where a server's state is read (``driver.connect.status.ServerState``)."""

    @property
    def monitor(self) -> Monitor:
        """The notes of operations."""

    def server(self) -> ServerStatus:
        """The server itself."""

    def sessions(self) -> tuple[SessionStatus, ...]:
        """All open sessions."""

    def executors(self) -> tuple[ExecutorStatus, ...]:
        """The executors; blocks while they are asked."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which operations are asked for; what is empty chooses nothing away."""

    state: str = ""
    user: str = ""
    session: str = ""
    text: str = ""

    def takes(self, notes: OperationNotes) -> bool:
        """Whether an operation is one of them."""
        return (
            self.state in ("", notes.state)
            and self.user in ("", notes.user)
            and self.session in ("", notes.session_id)
            and (not self.text or self._mentions(notes))
        )

    def _mentions(self, notes: OperationNotes) -> bool:
        wanted = self.text.lower()
        words = (notes.statement.text, notes.operation_id, notes.condition or "", *notes.tags)
        return any(wanted in word.lower() for word in words)


class View:
    """The server as one visitor sees it."""

    def __init__(self, source: Source, visitor: Visitor) -> None:
        self._source = source
        self.visitor = visitor

    def server(self) -> ServerStatus:
        """The server itself."""
        return self._source.server()

    def sessions(self) -> tuple[SessionStatus, ...]:
        """The visitor's sessions, those used last first."""
        seen = [s for s in self._source.sessions() if self.visitor.may_see(s.user, s.session_id)]
        return tuple(sorted(seen, key=lambda s: -s.last_used))

    def operations(self, choice: Choice = Choice()) -> list[OperationNotes]:
        """The visitor's operations, the newest first."""
        return [n for n in self._source.monitor.operations() if self._may_see(n) and choice.takes(n)]

    def counts(self) -> dict[str, int]:
        """How many of the visitor's operations are in each state."""
        found: dict[str, int] = {}
        for notes in self.operations():
            found[notes.state] = found.get(notes.state, 0) + 1
        return found

    def operation(self, number: int) -> OperationStatus | None:
        """One operation with its stages; None where there is none that the visitor may see."""
        notes = self._find(number)
        return None if notes is None else notes.status(whole=True)

    def cancel(self, number: int) -> bool | None:
        """Stop an operation: whether it was at work, or None where there is none that the visitor may see."""
        notes = self._find(number)
        if notes is None:
            return None
        by = f" by {self.visitor.user}" if self.visitor.user else ""
        return notes.cancel(f"Cancelled on the server's status page{by}.")

    def overview(self, executors: tuple[ExecutorStatus, ...], choice: Choice, most: int) -> Overview:
        """All of it."""
        operations = tuple([notes.status() for notes in self.operations(choice)[:most]])
        return Overview(self.server(), self.sessions(), operations, executors)

    def _find(self, number: int) -> OperationNotes | None:
        notes = self._source.monitor.operation(number)
        return notes if notes is not None and self._may_see(notes) else None

    def _may_see(self, notes: OperationNotes) -> bool:
        return self.visitor.may_see(notes.user, notes.session_id)


ViewOf = Callable[[Visitor], View]
