"""The state of a stage's tasks, and the only ways in which it changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

MAX_ATTEMPTS = 4
MAX_INPUT_LOSSES = 20


class TaskStatus(Enum):
    """Where a task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task: its attempts so far, the executors that died or lost data under it, and its outcome."""

    status: TaskStatus = TaskStatus.WAITING
    attempts: int = 0
    avoided: frozenset[int] = frozenset()
    outcome: Any = None
    input_losses: int = 0
    """How often it could not run because its input was gone, which is not its fault."""


@dataclass(frozen=True, slots=True)
class StageState:
    """All tasks of a stage."""

    stage_id: int
    tasks: tuple[TaskState, ...]
    done_count: int = 0
    """Tasks that are done."""

    @classmethod
    def of(cls, stage_id: int, count: int) -> StageState:
        """A stage none of whose tasks has started."""
        return cls(stage_id, (TaskState(),) * count)

    @property
    def waiting(self) -> tuple[int, ...]:
        """Tasks to start."""
        return tuple([i for i, t in enumerate(self.tasks) if t.status is TaskStatus.WAITING])

    @property
    def is_done(self) -> bool:
        """Whether all tasks are."""
        return self.done_count == len(self.tasks)


def _with(state: StageState, index: int, task: TaskState) -> StageState:
    done = (task.status is TaskStatus.DONE) - (state.tasks[index].status is TaskStatus.DONE)
    tasks = (*state.tasks[:index], task, *state.tasks[index + 1 :])
    return StageState(state.stage_id, tasks, state.done_count + done)


def started(state: StageState, index: int) -> StageState:
    """A task went to an executor."""
    task = state.tasks[index]
    return _with(state, index, replace(task, status=TaskStatus.RUNNING, attempts=task.attempts + 1))


def finished(state: StageState, index: int, outcome: Any) -> StageState:
    """A task gave its outcome."""
    return _with(state, index, replace(state.tasks[index], status=TaskStatus.DONE, outcome=outcome))


def failed(state: StageState, index: int, executor: int | None) -> StageState:
    """A task's executor died, or its input was lost: it is to start again, elsewhere where that can be."""
    task = state.tasks[index]
    again = replace(task, status=TaskStatus.WAITING, outcome=None)
    if executor is None:
        return _with(state, index, replace(again, attempts=task.attempts - 1, input_losses=task.input_losses + 1))
    return _with(state, index, replace(again, avoided=task.avoided | {executor}))


def lost(state: StageState, index: int) -> StageState:
    """What a task had put out is gone: it is to run again, with all its attempts."""
    return _with(state, index, replace(state.tasks[index], status=TaskStatus.WAITING, attempts=0, outcome=None))


def is_exhausted(state: StageState, index: int) -> bool:
    """Whether a task has had all its attempts."""
    task = state.tasks[index]
    return task.attempts >= MAX_ATTEMPTS or task.input_losses >= MAX_INPUT_LOSSES
