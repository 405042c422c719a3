"""The responses of one operation: numbered, bounded in bytes, read by one stream at a time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from enum import Enum

from pyspark.sql.connect.proto import base_pb2

from voltray.proto.failures import ErrorKind, Failure, SparkError, spark_error

_ENTRY_BYTES = 64
Pieces = tuple[bytes | memoryview, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One response as it goes over the wire."""

    index: int
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that the entry costs."""
        return len(self.data) + _ENTRY_BYTES


class Signal(Enum):
    """What a reader gets where there is no response."""

    COMPLETE = "complete"
    TIMEOUT = "timeout"


class Released(Exception):
    """The client has released the operation: what it still produces goes nowhere."""


class ResponseBuffer:
    """Responses between the query that makes them and the stream that sends them.

    With ``keep`` (reattachable operations), responses stay until the client releases them or newer ones need
    the room; those that no stream has taken yet are never dropped: a full buffer holds the query back.
    """

    def __init__(self, limit: int, keep: bool) -> None:
        self._limit = limit
        self._keep = keep
        self._changed = threading.Condition()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._taken_bytes = 0
        self._last = 0
        self._taken = 0
        self._failure: Failure | None = None
        self._complete = False
        self._released = False
        self._reader = 0
        self._detached_since = time.monotonic()
        self._prefix = str(uuid.uuid4())[:24]

    def add(self, response: base_pb2.ExecutePlanResponse, field: Pieces = ()) -> None:
        """Append a response and a field of it; waits for room.

        Raises :class:`Released` once nobody can ask for it.
        """
        with self._changed:
            size = response.ByteSize() + sum(map(len, field)) + _ENTRY_BYTES
            while not self._ended_early() and self._bytes and self._bytes + size > self._limit:
                if self._may_drop_first():
                    self._drop_first()
                else:
                    self._changed.wait()
            self._append(response, field)

    def try_add(self, response: base_pb2.ExecutePlanResponse) -> None:
        """Append a small response that may be left out (progress) where there is room and still something to come."""
        with self._changed:
            if not self._complete and self._failure is None and self._bytes < self._limit:
                self._append(response)

    def _append(self, response: base_pb2.ExecutePlanResponse, field: Pieces = ()) -> None:
        if self._ended_early():
            raise Released
        self._last += 1
        response.response_id = f"{self._prefix}{self._last:012x}"
        entry = Entry(self._last, b"".join((response.SerializeToString(), *field)))
        self._entries.append(entry)
        self._bytes += entry.size
        self._changed.notify_all()

    def complete(self) -> None:
        """Say that there are no more responses."""
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def fail(self, failure: Failure) -> None:
        """Say that the operation has failed: told after the responses before."""
        with self._changed:
            if not self._complete and self._failure is None:
                self._failure = failure
            self._changed.notify_all()

    def attach(self, after: str | None = None) -> tuple[int, int]:
        """Make the caller the one reader, from the start or after a response id; returns its turn and position.

        The reader before it gets INVALID_CURSOR.DISCONNECTED.
        """
        with self._changed:
            position = 0 if not after else self._position(after)
            first_kept = self._entries[0].index if self._entries else self._last + 1
            if position + 1 < first_kept:
                missing = self._id_of(position + 1)
                raise spark_error(
                    "INVALID_CURSOR.POSITION_NOT_AVAILABLE",
                    ErrorKind.SQL,
                    index=position + 1,
                    responseId=missing,
                )
            self._reader += 1
            self._detached_since = float("inf")
            self._changed.notify_all()
            return self._reader, position

    def detach(self, reader: int) -> None:
        """Say that a reader has gone."""
        with self._changed:
            if reader == self._reader:
                self._detached_since = time.monotonic()

    def take(self, reader: int, position: int, timeout: float | None) -> Entry | Signal:
        """The response after ``position``; blocks. Raises what the operation failed with."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                if reader != self._reader:
                    raise spark_error("INVALID_CURSOR.DISCONNECTED", ErrorKind.SQL)
                if position < self._last:
                    return self._taken_entry(position + 1)
                if self._failure is not None:
                    raise failure_as_error(self._failure)
                if self._complete:
                    return Signal.COMPLETE
                if self._released:
                    raise spark_error("OPERATION_CANCELED", ErrorKind.SQL)
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return Signal.TIMEOUT
                self._changed.wait(remaining)

    def _taken_entry(self, index: int) -> Entry:
        if not self._entries or index < self._entries[0].index:
            raise spark_error(
                "INVALID_CURSOR.POSITION_NOT_AVAILABLE",
                ErrorKind.SQL,
                index=index,
                responseId=self._id_of(index),
            )
        entry = self._entries[index - self._entries[0].index]
        if index > self._taken:
            self._taken = index
            self._taken_bytes += entry.size
        if not self._keep:
            while self._entries and self._entries[0].index <= index:
                self._drop_first()
        self._changed.notify_all()
        return entry

    def release_until(self, response_id: str) -> None:
        """Drop responses up to and with one."""
        with self._changed:
            index = self._position(response_id)
            while self._entries and self._entries[0].index <= index:
                self._drop_first()
            self._changed.notify_all()

    def release(self) -> None:
        """Drop everything; a producer that waits for room gets :class:`Released`."""
        with self._changed:
            self._released = True
            self._entries.clear()
            self._bytes = 0
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether the last response or the failure is there."""
        return self._complete or self._failure is not None or self._released

    @property
    def detached_since(self) -> float:
        """The monotonic time at which the last reader went; infinite while there is one."""
        return self._detached_since

    @property
    def kept_bytes(self) -> int:
        """Bytes that the buffer holds."""
        return self._bytes

    def _position(self, response_id: str) -> int:
        number = response_id.removeprefix(self._prefix)
        try:
            index = int(number, 16) if len(number) == 12 else 0
        except ValueError:
            index = 0
        if not 1 <= index <= self._last:
            raise spark_error("INVALID_CURSOR.POSITION_NOT_FOUND", ErrorKind.SQL, responseId=response_id)
        return index

    def _id_of(self, index: int) -> str:
        return f"{self._prefix}{index:012x}"

    def _ended_early(self) -> bool:
        return self._released or self._failure is not None

    def _may_drop_first(self) -> bool:
        # What was sent may still be on its way when a connection breaks: half of the room is kept for it.
        has_untaken = self._taken < self._last
        return self._entries[0].index <= self._taken and (self._taken_bytes > self._limit // 2 or not has_untaken)

    def _drop_first(self) -> None:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        if entry.index <= self._taken:
            self._taken_bytes -= entry.size


def failure_as_error(failure: Failure) -> SparkError:
    """A failure that was kept, as an error again."""
    return spark_error(
        failure.condition,
        failure.kind,
        contexts=failure.contexts,
        sqlstate=failure.sqlstate,
        message=failure.message,
        extra=failure.parameters,
    )
