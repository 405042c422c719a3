"""Runs one query's stages: starts tasks, waits for them, starts lost ones again."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import ray

from voltray.driver.monitoring.stages import QueryNotes
from voltray.driver.planning.fragment import StageResult
from voltray.driver.scheduler.cluster import Cluster
from voltray.driver.scheduler.executor_watch import ExecutorHandle
from voltray.driver.scheduler.lineage import CACHE_PREFIX, StoredStage, TaskOutcome, destination_of, keys_of
from voltray.driver.scheduler.losses import DEATHS, LOSSES, SpillLoss, lost_outputs
from voltray.driver.scheduler.query import StageProgress
from voltray.driver.scheduler.stage_notes import begin_notes, note_done
from voltray.driver.scheduler.state import MAX_ATTEMPTS, StageState, failed, finished, is_exhausted, lost, started
from voltray.driver.scheduler.stragglers import stragglers
from voltray.driver.scheduler.tables import StoredTables, take_out_tables
from voltray.driver.scheduler.task_memory import check_fits, task_memory
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto import operators
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.operators import Operator
from voltray.proto.stages import CacheOutput, Exchange, Stage, WriteOutput
from voltray.proto.tasks import BY_PARTITION, PieceSlice, Task, TaskReport, encode_task

_log = logging.getLogger(__name__)
POLL_SECONDS = 0.1
_LONG_BYTES = 512 << 20
_LONG_ROWS = 20_000_000
_LONGEST_WITHOUT_EXECUTORS = 120.0
# Beside so many others, all that are ready are settled at once: each wait looks at every one.
_MANY = 8


@dataclass(frozen=True, slots=True)
class PreparedTask:
    """A task as it is sent: its bytes, the arguments beside them, and the executor that has most of its input."""

    data: bytes
    arguments: tuple[Any, ...]
    preferred: int | None


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task on its way: its index, where it runs, and the references of what it will answer."""

    index: int
    handle: ExecutorHandle
    references: tuple[Any, ...]
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class StageRun:
    """One run of a stage's tasks: those on their way by reference, and what is known of their times."""

    running: dict[Any, RunningTask] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    """How long each finished task took."""
    prepared: dict[int, PreparedTask] = field(default_factory=dict)
    """A task that is ready to be sent and got no slot yet."""
    loss: BaseException | None = None
    """What said that inputs are gone; they are made again once no task of the stage holds a slot."""

    def has_copy(self, index: int) -> bool:
        """Whether a task is on its way."""
        return any(task.index == index for task in self.running.values())


@dataclass(slots=True)
class QueryStages:
    """The stages of one query (planning's ``StageRunner``)."""

    cluster: Cluster
    tables: StoredTables
    caches: dict[str, StoredStage]
    context: EvaluationContext
    query_id: str
    cancelled: threading.Event = field(default_factory=threading.Event)
    stages: dict[str, StoredStage] = field(default_factory=dict)
    progress: dict[int, StageProgress] = field(default_factory=dict)
    notes: QueryNotes = field(default_factory=QueryNotes)
    _next_id: int = 0

    def new_stage_id(self) -> int:
        """The next stage's number."""
        self._next_id += 1
        return self._next_id - 1

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        """Run a stage whose output stays in the cluster."""
        stored = self.run_stored(stage, str(stage.stage_id), streaming=streaming)
        self.stages[stored.source] = stored
        return stored.result()

    def run_stored(self, stage: Stage, source: str, *, streaming: bool) -> StoredStage:
        """Run a stage; where its output lies, and how to make it again."""
        partitions = stage.output.num_partitions if isinstance(stage.output, Exchange) else 1
        stored = StoredStage(
            source=source,
            stage=stage,
            state=StageState.of(stage.stage_id, len(stage.tasks)),
            context=self.context,
            streaming=streaming,
            destinations=min(self.cluster.size, partitions),
        )
        for task in stage.tasks:
            for key in keys_of(task):
                stored.inputs.setdefault(key.source, self.stage_of(key.source))
        stored.notes = begin_notes(self.notes, stored)
        self.run_tasks(stored)
        stored.notes.end()
        return stored

    def cached(self, cache_id: str) -> StageResult:
        """What a cache holds."""
        return self.stage_of(CACHE_PREFIX + cache_id).result()

    def stage_of(self, source: str) -> StoredStage:
        """The stage or cache behind a key."""
        if not source.startswith(CACHE_PREFIX):
            return self.stages[source]
        stored = self.caches.get(source.removeprefix(CACHE_PREFIX))
        if stored is None:
            raise spark_error("CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND", ErrorKind.SPARK, rddBlockId=source)
        return stored

    def cancel(self) -> None:
        """Stop all work of the query."""
        self.cancelled.set()
        self.cluster.cancel(self.query_id)

    def end(self) -> None:
        """Let go of everything: the query is over."""
        self.stages.clear()
        self.notes.end()
        self.cluster.end_query(self.query_id)

    def check(self) -> None:
        """Raise once the query was cancelled."""
        if self.cancelled.is_set():
            raise spark_error("OPERATION_CANCELED", ErrorKind.SPARK)
        if self.cluster.slots.seconds_down > _LONGEST_WITHOUT_EXECUTORS:
            text = "There is no executor left, and none could be started."
            raise spark_error("INTERNAL_ERROR_EXECUTOR", ErrorKind.SPARK, message=text)

    def prepare(self, stored: StoredStage, index: int) -> PreparedTask:
        """A task of a stage ready to be sent."""
        stage, operator = stored.stage, stored.stage.tasks[index]
        tree, arguments = take_out_tables(operator, self.tables)
        if self.query_id in self.cluster.spilling:
            check_fits(operator, stored.inputs, self.cluster.executor_memory)
        elif stage.metadata:
            self.cluster.spilling[self.query_id] = None
        collected = list(arguments)
        pieces: list[tuple[str, tuple[PieceSlice, ...]]] = []
        preferred = None
        for key in keys_of(operator):
            source = stored.inputs[key.source]
            slices = []
            for _, _, reference, part in source.pieces(key):
                slices.append(PieceSlice(len(collected), part.first, part.last))
                collected.append(reference)
            pieces.append((key.text, tuple(slices)))
            if key.mode == BY_PARTITION and source.destinations > 1:
                preferred = destination_of(key.first, source.num_partitions, source.destinations)
            elif key.mode != BY_PARTITION and preferred is None:
                preferred = source.outcomes[key.first].executor
        for key in keys_of(operator):
            if key.maps is not None:  # parts of one partition go where they were written, not all to one executor
                preferred = stored.inputs[key.source].outcomes[key.maps[0]].executor
        task = Task(
            query_id=self.query_id,
            stage_id=stage.stage_id,
            partition=index,
            operator=tree,
            output=stage.output,
            attributes=stage.attributes,
            context=replace(stored.context, partition_id=index),
            pieces=tuple(pieces),
            destinations=_returned(stored),
            streaming=stored.streaming,
            gated=stored.streaming and is_long(operator),
            memory_bytes=task_memory(operator, stored.inputs),
            **dict(stage.metadata),
        )
        return PreparedTask(encode_task(task), tuple(collected), preferred)

    def run_tasks(self, stored: StoredStage) -> None:
        """Run all tasks of a stage that are not done, again where executors or inputs are lost."""
        run = StageRun()
        try:
            while not stored.state.is_done:
                self.check()
                if run.loss is None:
                    self._start_waiting(stored, run)
                    self._start_stragglers(stored, run)
                elif not run.running:
                    # Inputs need slots as well: no task that waits for nothing but them may hold one meanwhile.
                    loss, run.loss = run.loss, None
                    run.prepared.clear()
                    self.restore_inputs(stored, loss)
                    continue
                self._note(stored)
                if run.running:
                    for reference in _ready(list(run.running)):
                        task = run.running.pop(reference)
                        self.cluster.slots.release(task.handle.index, self.query_id)
                        self._settle(stored, task, run)
            self._note(stored)
            self._leave(run)
        except BaseException:
            for task in run.running.values():
                self.cluster.slots.release(task.handle.index, self.query_id)
            self.cluster.cancel(self.query_id)
            raise

    def _start_waiting(self, stored: StoredStage, run: StageRun) -> None:
        slots = self.cluster.slots
        for index in stored.state.waiting:
            prepared = run.prepared.pop(index, None) or self.prepare(stored, index)
            avoided = stored.state.tasks[index].avoided
            is_short = is_short_task(stored, index)
            executor = slots.try_take(self.query_id, prepared.preferred, avoided, is_short=is_short)
            if executor is None and not run.running:
                executor = slots.take(self.query_id, prepared.preferred, POLL_SECONDS, is_short=is_short)
            if executor is None:
                run.prepared[index] = prepared
                return
            self._send(stored, index, executor, prepared, run)
            stored.state = started(stored.state, index)

    def _send(
        self, stored: StoredStage, index: int, executor: int, prepared: PreparedTask, run: StageRun
    ) -> None:
        """Send a task to an executor, one of whose slots was taken for it."""
        try:
            handle = self.cluster.executor(executor)
            self.cluster.python.send_files(handle, stored.context)
            count = 1 + _returned(stored)
            references = handle.actor.store.options(num_returns=count).remote(prepared.data, *prepared.arguments)
        except BaseException:
            self.cluster.slots.release(executor, self.query_id)
            raise
        references = tuple(references) if count > 1 else (references,)
        if stored.notes is not None:
            stored.notes.task_started(is_copy=run.has_copy(index))
        run.running[references[0]] = RunningTask(index, handle, references)

    def _start_stragglers(self, stored: StoredStage, run: StageRun) -> None:
        """Run those tasks a second time, elsewhere, that take many times what the others took."""
        multiple = self.cluster.straggler_multiple
        if not multiple or isinstance(stored.stage.output, WriteOutput) or stored.state.waiting:
            return
        now = time.monotonic()
        ages = [(t.index, t.handle.index, now - t.since) for t in run.running.values()]
        for index, executor in stragglers(ages, run.seconds, multiple):
            elsewhere = self.cluster.slots.try_take(self.query_id, None, frozenset({executor}))
            if elsewhere is None:
                return
            if elsewhere == executor:
                self.cluster.slots.release(elsewhere, self.query_id)
                return
            _log.info("task %d of stage %d is slow; it runs a second time", index, stored.stage.stage_id)
            self._send(stored, index, elsewhere, self.prepare(stored, index), run)

    def _leave(self, run: StageRun) -> None:
        """Let the slower copies of finished tasks run to their ends, whenever these come."""
        for task in run.running.values():
            give_back = partial(self.cluster.slots.release, task.handle.index, self.query_id)
            task.references[0].future().add_done_callback(lambda _, give_back=give_back: give_back())

    def _settle(self, stored: StoredStage, task: RunningTask, run: StageRun) -> None:
        if stored.notes is not None:
            stored.notes.task_left()
        try:
            report: TaskReport = ray.get(task.references[0])
            if report.lost is not None:
                raise SpillLoss(report.lost)
        except LOSSES as loss:
            if self._is_needed(stored, task, run):
                self._note_loss(stored, task.index, task.handle, loss)
                if any(lost_outputs(source, loss) for source in stored.inputs.values()):
                    run.loss = loss
            return
        except ray.exceptions.RayError as error:
            raise internal_error(error) from None
        self.cluster.python.heard(self.context.session_id, self.query_id, report.python)
        if report.failure is not None:
            self.check()
            raise SparkError(report.failure)
        if stored.state.tasks[task.index].outcome is not None:
            return
        run.seconds.append(time.monotonic() - task.since)
        note_done(stored, task.index, task.handle.index, report, run.seconds[-1])
        outcome = TaskOutcome(report, task.references[1:], task.handle.index)
        stored.state = finished(stored.state, task.index, outcome)

    def _is_needed(self, stored: StoredStage, task: RunningTask, run: StageRun) -> bool:
        return stored.state.tasks[task.index].outcome is None and not run.has_copy(task.index)

    def recover(self, stored: StoredStage, index: int, handle: ExecutorHandle, loss: BaseException) -> None:
        """Make a lost task ready to run again: a new executor, and its inputs once more where they are gone."""
        self._note_loss(stored, index, handle, loss)
        self.restore_inputs(stored, loss)

    def _note_loss(self, stored: StoredStage, index: int, handle: ExecutorHandle, loss: BaseException) -> None:
        if is_exhausted(stored.state, index):
            raise too_many_losses(stored.stage.stage_id, index, loss)
        _log.warning("task %d of stage %d was lost: %s", index, stored.stage.stage_id, type(loss).__name__)
        if stored.notes is not None:
            stored.notes.task_lost()
        died = isinstance(loss, DEATHS)
        if died:
            self.cluster.replace(handle)
        stored.state = failed(stored.state, index, handle.index if died else None)

    def restore_inputs(self, stored: StoredStage, loss: BaseException) -> None:
        """Make again what a stage's tasks read and is gone."""
        for source in stored.inputs.values():
            self.restore(source, loss)

    def restore(self, stored: StoredStage, loss: BaseException) -> None:
        """Run again those tasks of a stage whose output is gone."""
        for index in lost_outputs(stored, loss):
            stored.state = lost(stored.state, index)
        if not stored.state.is_done:
            self.restore_inputs(stored, loss)
            self.run_tasks(stored)

    def _note(self, stored: StoredStage) -> None:
        stage, done = stored.stage, stored.state.done_count
        if stored.notes is not None:
            stored.notes.done = done
        if isinstance(stage.output, Exchange | CacheOutput | WriteOutput):
            self.progress[stage.stage_id] = StageProgress(
                stage.stage_id, len(stage.tasks), done, 0, stored.state.is_done, stored.notes
            )


def _ready(references: list[Any]) -> list[Any]:
    """Those that are ready, once there is one; none after a while without."""
    ready, others = ray.wait(references, num_returns=1, timeout=POLL_SECONDS)
    if ready and len(others) > _MANY:
        more, _ = ray.wait(others, num_returns=len(others), timeout=0)
        return [*ready, *more]
    return list(ready)


def _returned(stored: StoredStage) -> int:
    """Objects that each task of a stage puts out; the number of executors may change while it runs."""
    match stored.stage.output:
        case Exchange():
            return stored.destinations
        case CacheOutput():
            return 1
    return 0


def is_short_task(stored: StoredStage, index: int) -> bool:
    """Whether a task takes so little that it need not wait for the large ones of others."""
    return not stored.streaming or not is_long(stored.stage.tasks[index])


def is_long(operator: Operator) -> bool:
    """Whether a task's leaves take so long that it must be possible to stop it there."""
    stored, rows = 0, 0
    for node in operators.walk(operator):
        if isinstance(node, operators.FileScan):
            stored += sum(f.block_length for f in node.files)
        elif isinstance(node, operators.RangeScan):
            rows += abs(node.end - node.start) // abs(node.step)
        elif isinstance(node, operators.NestedLoopJoin):
            rows += _LONG_ROWS
    return stored >= _LONG_BYTES or rows >= _LONG_ROWS


def too_many_losses(stage_id: int, index: int, loss: BaseException) -> SparkError:
    """The error of a task under which executors died again and again."""
    text = (
        f"Task {index} of stage {stage_id} was lost {MAX_ATTEMPTS} times, the last time by {type(loss).__name__}: "
        "its executor died or its input was gone. A query that needs more memory than an executor has does this."
    )
    return spark_error("INTERNAL_ERROR_EXECUTOR", ErrorKind.SPARK, message=text)


def internal_error(error: BaseException) -> SparkError:
    """The error of a task that failed outside its own work."""
    text = str(error).strip().splitlines()[-1][:500] if str(error).strip() else type(error).__name__
    return spark_error("INTERNAL_ERROR_EXECUTOR", ErrorKind.SPARK, message=text)
