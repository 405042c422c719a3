"""What a server tells of itself: the status API's answers, as they travel in JSON. Times are seconds of the epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

QUEUED, RUNNING, FINISHED, FAILED, CANCELLED = STATES = ("queued", "running", "finished", "failed", "cancelled")
ENDED = (FINISHED, FAILED, CANCELLED)
SKEW, SKEW_SECONDS, SKEW_ROWS = 3.0, 1.0, 10_000

Status = TypeVar("Status")


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of a query. Of the seconds and rows of its tasks the median and the largest are told."""

    stage_id: int
    kind: str
    """What becomes of its rows: ``result``, ``cache``, ``write``, or an exchange's kind."""
    inputs: tuple[int, ...]
    """The stages whose output it reads."""
    caches: tuple[str, ...]
    operators: tuple[str, ...]
    began: float
    ended: float | None
    tasks: int
    tasks_done: int
    tasks_running: int
    tasks_lost: int
    copies: int
    """Tasks that were started a second time because they were slow."""
    partitions: int
    rows: int
    bytes: int
    file_bytes: int
    """Bytes of the files that its tasks read."""
    spilled_bytes: int
    median_seconds: float
    longest_seconds: float
    median_rows: float
    most_rows: int

    @property
    def skew(self) -> float | None:
        """How many times the median the largest task is, by rows or by time; None for fewer than two tasks."""
        if self.tasks_done < 2:
            return None
        found = [
            largest / median
            for largest, median in ((self.longest_seconds, self.median_seconds), (self.most_rows, self.median_rows))
            if median
        ]
        return max(found, default=None)

    @property
    def is_skewed(self) -> bool:
        """Whether the skew is worth a look: among little work some is always many times the median."""
        matters = self.longest_seconds >= SKEW_SECONDS or self.most_rows >= SKEW_ROWS
        return matters and (self.skew or 0.0) >= SKEW


@dataclass(frozen=True, slots=True)
class QueryStatus:
    """One query that an operation ran: a stage's inputs are stages of the same query."""

    stages: tuple[StageStatus, ...]


@dataclass(frozen=True, slots=True)
class OperationStatus:
    """One operation. ``number`` is the server's own: clients choose ids, and two may choose one."""

    number: int
    operation_id: str
    session_id: str
    user: str
    tags: tuple[str, ...]
    statement: str
    state: str
    queue_position: int
    condition: str | None
    message: str | None
    began: float
    admitted: float | None
    ended: float | None
    rows: int
    bytes: int
    stages: int
    tasks: int
    tasks_done: int
    spilled_bytes: int
    queries: tuple[QueryStatus, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it is at work no more."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session that is open."""

    session_id: str
    user: str
    started: float
    last_used: float
    operations_running: int
    operations_ended: int
    streams: int


@dataclass(frozen=True, slots=True)
class ExecutorStatus:
    """One executor. What it has to be asked for is None where it did not answer in time."""

    index: int
    generation: int
    is_up: bool
    node: str
    cpus: int
    slots: int
    running_tasks: int
    memory_budget: int
    memory_used: int | None
    python_workers: int | None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The server itself."""

    version: str
    spark_version: str
    started: float
    now: float
    address: str
    queue_length: int
    memory_used: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All that one visitor may see."""

    server: ServerStatus
    sessions: tuple[SessionStatus, ...]
    operations: tuple[OperationStatus, ...]
    executors: tuple[ExecutorStatus, ...]


def to_json(status: Any) -> dict[str, Any]:
    """A status as JSON has it."""
    return asdict(status)


def overview_from_json(data: dict[str, Any]) -> Overview:
    """An overview from what :func:`to_json` made of it; fields of a newer server are left out."""
    return Overview(
        server=_read(ServerStatus, data["server"]),
        sessions=tuple([_read(SessionStatus, s) for s in data["sessions"]]),
        operations=tuple([_read(OperationStatus, {**o, "queries": ()}) for o in data["operations"]]),
        executors=tuple([_read(ExecutorStatus, e) for e in data["executors"]]),
    )


def _read(kind: type[Status], data: dict[str, Any]) -> Status:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in data.items() if name in known})
