"""A query whose results go to a client: its last stage's tasks read in order, a few ahead, at the client's pace."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import ray

from voltray.driver.planning.fragment import Fragment
from voltray.driver.scheduler.executor_watch import ExecutorHandle
from voltray.driver.scheduler.lineage import StoredStage, keys_of
from voltray.driver.scheduler.losses import LOSSES, SpillLoss
from voltray.driver.scheduler.query import ResultBatch, StageProgress
from voltray.driver.scheduler.query_stages import POLL_SECONDS, QueryStages, internal_error, is_short_task
from voltray.driver.scheduler.resuming import SentBatches
from voltray.driver.scheduler.stage_notes import begin_notes
from voltray.driver.scheduler.state import StageState, started
from voltray.proto.failures import SparkError
from voltray.proto.stages import ResultOutput, Stage
from voltray.proto.tasks import ResultReply, TaskReport


@dataclass(frozen=True, slots=True)
class StartedTask:
    """A result task on its way; ``give_back`` lets go of its slot, None once its first batches are there."""

    index: int
    handle: ExecutorHandle
    reference: Any
    give_back: Callable[[], None] | None
    since: float = field(default_factory=time.monotonic)


class ResultStage:
    """Runs the last stage of a query."""

    def __init__(self, stages: QueryStages, fragment: Fragment, output: ResultOutput, *, streaming: bool) -> None:
        self._stages = stages
        self._streaming = streaming
        stage_id = stages.new_stage_id()
        stage = Stage(stage_id, fragment.tasks, output, fragment.output)
        state = StageState.of(stage_id, len(fragment.tasks))
        self._stored = StoredStage(str(stage_id), stage, state, stages.context, streaming, 0)
        for task in fragment.tasks:
            for key in keys_of(task):
                self._stored.inputs.setdefault(key.source, stages.stage_of(key.source))
        self.notes = self._stored.notes = begin_notes(stages.notes, self._stored)
        self.reports: list[TaskReport] = []

    def batches(self) -> Iterator[ResultBatch]:
        """Every task's batches in order; one without rows if there is no other."""
        waiting = deque(range(len(self._stored.stage.tasks)))
        ahead: deque[StartedTask] = deque()
        gave = False
        empty: ResultBatch | None = None
        try:
            while waiting or ahead:
                self._start_ahead(waiting, ahead)
                for batch in self._read(ahead):
                    if batch.row_count:
                        gave = True
                        yield batch
                    else:
                        empty = batch
                self._note(len(self.reports))
            if not gave and empty is not None:
                yield empty
        finally:
            self._drop(ahead)

    def _start_ahead(self, waiting: deque[int], ahead: deque[StartedTask]) -> None:
        most = max(2, self._stages.cluster.size * self._stages.cluster.slots_of_executor)
        while waiting and len(ahead) < most:
            task = self._start(waiting[0], must=not ahead)
            if task is None:
                return
            waiting.popleft()
            ahead.append(task)

    def _start(self, index: int, *, must: bool) -> StartedTask | None:
        stages, stored = self._stages, self._stored
        prepared = stages.prepare(stored, index)
        slots = stages.cluster.slots
        avoided = stored.state.tasks[index].avoided
        executor: int | None = None
        if self._streaming or len(stored.stage.tasks) > 1:
            is_short = is_short_task(stored, index)
            executor = slots.try_take(stages.query_id, prepared.preferred, avoided, is_short=is_short)
            while executor is None and must:
                stages.check()
                executor = slots.take(stages.query_id, prepared.preferred, POLL_SECONDS, is_short=is_short)
            if executor is None:
                return None
            give_back = partial(slots.release, executor, stages.query_id)
        else:  # small work does not queue behind large work
            executor = slots.take_small(prepared.preferred, avoided)
            while executor is None:
                stages.check()
                slots.wait(POLL_SECONDS)
                executor = slots.take_small(prepared.preferred, avoided)
            give_back = partial(slots.release_small, executor)
        handle = stages.cluster.executor(executor)
        stored.state = started(stored.state, index)
        self.notes.task_started()
        try:
            stages.cluster.python.send_files(handle, stored.context)
            reference = handle.actor.result.remote(prepared.data, *prepared.arguments)
        except BaseException:
            give_back()
            raise
        return StartedTask(index, handle, reference, give_back)

    def _read(self, ahead: deque[StartedTask]) -> Iterator[ResultBatch]:
        """The batches of the first started task, which leaves the queue when read to its end."""
        sent = SentBatches()
        reply = self._first_reply(ahead)
        rows = size = 0
        while True:
            handle, following = ahead[0].handle, None
            self._stages.cluster.python.heard(
                self._stages.context.session_id, self._stages.query_id, reply.report.python
            )
            if reply.stream_id is not None:
                following = handle.actor.more.remote(reply.stream_id)
            elif reply.report.failure is not None:
                self._stages.check()
                raise SparkError(reply.report.failure)
            try:
                for count, data in reply.batches:
                    self._stages.check()
                    if sent.is_new(count, data):
                        rows, size = rows + count, size + len(data)
                        yield ResultBatch(count, memoryview(data))
            except BaseException:
                if reply.stream_id is not None:
                    self._close(handle, reply.stream_id)
                raise
            if following is None:
                break
            try:
                reply = self._await(following)
            except LOSSES as loss:
                self._start_again(ahead, loss)
                sent.begin_again()
                reply = self._first_reply(ahead)
        sent.end()
        self.reports.append(reply.report)
        self._note_done(ahead.popleft(), reply.report, rows, size)

    def _first_reply(self, ahead: deque[StartedTask]) -> ResultReply:
        while True:
            task = ahead[0]
            try:
                reply = self._await(task.reference)
            except LOSSES as loss:
                self._start_again(ahead, loss)
                continue
            self._release(task)
            ahead[0] = replace(task, give_back=None)
            return reply

    def _start_again(self, ahead: deque[StartedTask], loss: BaseException) -> None:
        """Start the first started task once more, which was lost."""
        self.notes.task_left()
        for position, other in enumerate(ahead):
            # What is made again needs slots, and those of the tasks behind this one would stay taken until it is read.
            self._release(other)
            ahead[position] = replace(other, give_back=None)
        task = ahead.popleft()
        self._stages.recover(self._stored, task.index, task.handle, loss)
        again = self._start(task.index, must=True)
        assert again is not None
        ahead.appendleft(again)

    def _await(self, reference: Any) -> ResultReply:
        while True:
            self._stages.check()
            ready, _ = ray.wait([reference], timeout=POLL_SECONDS)
            if ready:
                try:
                    reply: ResultReply = ray.get(reference)
                    if reply.report.lost is not None:
                        raise SpillLoss(reply.report.lost)
                    return reply
                except LOSSES:
                    raise
                except ray.exceptions.RayError as error:
                    raise internal_error(error) from None

    def _release(self, task: StartedTask) -> None:
        if task.give_back is not None:
            task.give_back()

    def _drop(self, ahead: deque[StartedTask]) -> None:
        """Let tasks go that were started ahead and are not read."""
        for task in ahead:
            self._release(task)
        if ahead:
            self._stages.cluster.cancel(self._stages.query_id)

    def _close(self, handle: ExecutorHandle, stream_id: str) -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            handle.actor.close.remote(stream_id)

    def _note_done(self, task: StartedTask, report: TaskReport, rows: int, size: int) -> None:
        self.notes.task_left()
        self.notes.done = len(self.reports)
        seconds = report.seconds or time.monotonic() - task.since
        self.notes.task_done(task.index, task.handle.index, report.began, seconds, rows, size)

    def _note(self, done: int) -> None:
        stage = self._stored.stage
        total = len(stage.tasks)
        progress = StageProgress(stage.stage_id, total, done, 0, done == total, self.notes)
        self._stages.progress[stage.stage_id] = progress
