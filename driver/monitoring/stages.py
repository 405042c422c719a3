"""What is noted of a query's stages while the scheduler runs them. Each is written by one thread and read by any."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voltray.driver.monitoring.totals import Totals
from voltray.proto.status import QueryStatus, StageStatus

KEPT_TASKS = 64
"""Stages with more tasks keep, once they are over, only what their tasks come to."""
TRACED_TASKS = 1000
"""Tasks of one stage whose times are kept for traces."""


@dataclass(frozen=True, slots=True)
class TaskNote:
    """One task that is done: when the executor began it, by its own clock, and how long it took there."""

    index: int
    executor: int
    began: float
    seconds: float
    rows: int


@dataclass(slots=True)
class Spread:
    """A figure of a stage's tasks, one number a task, later only what they come to."""

    values: list[float]
    _kept: tuple[float, float, float] | None = None

    def summary(self) -> tuple[float, float, float]:
        """The sum, the median and the largest of the tasks that are done."""
        if self._kept is not None:
            return self._kept
        known = [v for v in tuple(self.values) if v >= 0]
        return (sum(known), statistics.median(known), max(known)) if known else (0.0, 0.0, 0.0)

    def fold(self) -> None:
        """Keep the summary alone."""
        if len(self.values) > KEPT_TASKS:
            self._kept = self.summary()
            self.values = []

    def put(self, index: int, value: float) -> None:
        """Note a task's figure, over that of an attempt of before."""
        if self._kept is None:
            self.values[index] = value


_UNKNOWN = -1.0


@dataclass(slots=True, eq=False)
class StageNotes:
    """One stage."""

    stage_id: int
    kind: str
    tasks: int
    partitions: int
    inputs: tuple[int, ...]
    caches: tuple[str, ...]
    file_bytes: int
    operators: Callable[[], tuple[str, ...]]
    """Their lines, made at the first call, which lets them go."""
    totals: Totals
    is_traced: bool = False
    began: float = field(default_factory=time.time)
    ended: float | None = None
    done: int = 0
    running: int = 0
    lost: int = 0
    copies: int = 0
    spilled_bytes: int = 0
    seconds: Spread = field(init=False)
    rows: Spread = field(init=False)
    bytes: Spread = field(init=False)
    traced: list[TaskNote] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make room for one figure a task."""
        self.seconds, self.rows, self.bytes = (Spread([_UNKNOWN] * self.tasks) for _ in range(3))

    def task_started(self, *, is_copy: bool = False) -> None:
        """A task went to an executor."""
        self.running += 1
        if is_copy:
            self.copies += 1
            self.totals.task_copies += 1

    def task_lost(self) -> None:
        """A task is to run again: its executor or its input is gone."""
        self.lost += 1
        self.totals.tasks_lost += 1

    def task_left(self) -> None:
        """A task no longer runs, whatever came of it."""
        self.running = max(0, self.running - 1)

    def task_done(
        self, index: int, executor: int, began: float, seconds: float, rows: int, size: int, *, spilled: bool = False
    ) -> None:
        """A task gave its output."""
        self.seconds.put(index, seconds)
        self.rows.put(index, rows)
        self.bytes.put(index, size)
        self.totals.tasks_done += 1
        if spilled:
            self.spilled_bytes += size
            self.totals.spilled_bytes += size
        if self.is_traced and len(self.traced) < TRACED_TASKS:
            self.traced.append(TaskNote(index, executor, began, seconds, rows))

    def end(self) -> None:
        """The stage's work is over, done or not."""
        if self.ended is None:
            self.ended = time.time()
            self.running = 0
            self.totals.stages += 1
            for spread in (self.seconds, self.rows, self.bytes):
                spread.fold()

    def status(self) -> StageStatus:
        """The stage as it stands."""
        _, median_seconds, longest = self.seconds.summary()
        rows, median_rows, most = self.rows.summary()
        return StageStatus(
            stage_id=self.stage_id,
            kind=self.kind,
            inputs=self.inputs,
            caches=self.caches,
            operators=self.operators(),
            began=self.began,
            ended=self.ended,
            tasks=self.tasks,
            tasks_done=self.done,
            tasks_running=self.running,
            tasks_lost=self.lost,
            copies=self.copies,
            partitions=self.partitions,
            rows=int(rows),
            bytes=int(self.bytes.summary()[0]),
            file_bytes=self.file_bytes,
            spilled_bytes=self.spilled_bytes,
            median_seconds=median_seconds,
            longest_seconds=longest,
            median_rows=median_rows,
            most_rows=int(most),
        )


@dataclass(slots=True, eq=False)
class QueryNotes:
    """The stages of one query."""

    totals: Totals = field(default_factory=Totals)
    is_traced: bool = False
    stages: list[StageNotes] = field(default_factory=list)

    def stage(
        self,
        stage_id: int,
        kind: str,
        tasks: int,
        *,
        partitions: int,
        inputs: tuple[int, ...],
        caches: tuple[str, ...],
        file_bytes: int,
        operators: Callable[[], tuple[str, ...]],
    ) -> StageNotes:
        """Begin a stage."""
        notes = StageNotes(
            stage_id, kind, tasks, partitions, inputs, caches, file_bytes, operators, self.totals, self.is_traced
        )
        self.stages.append(notes)
        return notes

    def end(self) -> None:
        """The query is over."""
        for stage in self.stages:
            stage.end()

    def settle(self) -> None:
        """Keep the operators' lines rather than the operators."""
        for stage in self.stages:
            stage.operators()

    def status(self) -> QueryStatus:
        """The query as it stands."""
        return QueryStatus(tuple([stage.status() for stage in tuple(self.stages)]))
