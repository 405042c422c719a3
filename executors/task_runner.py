"""Runs tasks: the operator tree as one LazyFrame, its rows to where the task's output says."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from voltray.executors.admission import Admission, no_memory
from voltray.executors.key_summaries import put_together, summaries_of
from voltray.executors.memory import give_back_memory, release_freed_memory
from voltray.executors.memory_watch import MemoryWatch
from voltray.executors.operators.catalogue import compile_operator
from voltray.executors.operators.task import TaskContext
from voltray.executors.python.pool import POOL
from voltray.executors.results import ResultEncoder
from voltray.executors.shuffle.pieces import Piece, compact_table, read_pieces
from voltray.executors.shuffle.spilled import (
    LocalFiles,
    SpillFile,
    SpillLostError,
    SpillReader,
    chunks_of,
    concatenated,
    new_path,
)
from voltray.executors.shuffle.writer import cut, sample_of
from voltray.executors.spill_folders import SpillFolders
from voltray.executors.task_failures import as_spark_error
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.key_summaries import KeySummary
from voltray.proto.operators import Operator
from voltray.proto.stages import CacheOutput, Exchange, ResultOutput, WriteOutput
from voltray.proto.tasks import ResultReply, Task, TaskReport, decode_task, with_tables

INLINE_BYTES = 1 << 20
STREAM_ITEM_BYTES = 4 << 20
_UNORDERED = ("hash", "range")
Batch = tuple[int, Any]

# The driver's optimizer has put joins in order; Polars' own order made TPC-H's query 5 thirty times slower.
OPTIMIZATIONS = pl.QueryOptFlags(join_order=False)


@dataclass(slots=True)
class Stream:
    """The rest of a result task's batches, for the client's pace."""

    query_id: str
    batches: Iterator[Batch]
    task: TaskContext


@dataclass(slots=True)
class RunningQueries:
    """Which queries have work here, and which were cancelled."""

    flags: dict[str, threading.Event] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    """Why queries were ended from here, where it was not their user's wish."""
    sizes: dict[str, int] = field(default_factory=dict)
    """The largest estimate of each query's tasks."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, query_id: str) -> threading.Event:
        """Count a task in; its cancel flag."""
        with self.lock:
            self.uses[query_id] = self.uses.get(query_id, 0) + 1
            return self.flags.setdefault(query_id, threading.Event())

    def leave(self, query_id: str) -> None:
        """Count a task out."""
        with self.lock:
            self.uses[query_id] -= 1
            if not self.uses[query_id]:
                del self.uses[query_id], self.flags[query_id]
                self.failures.pop(query_id, None)
                self.sizes.pop(query_id, None)

    def fail_largest(self, held: int, limit: int) -> None:
        """End the query whose tasks are the largest, for want of memory."""
        with self.lock:
            going = [q for q, flag in self.flags.items() if not flag.is_set()]
            if going:
                query_id = max(going, key=lambda q: self.sizes.get(q, 0))
                self.failures[query_id] = no_memory(held, limit)
                self.flags[query_id].set()

    def cancel(self, query_id: str) -> None:
        """Raise the flag of a query's tasks."""
        with self.lock:
            if flag := self.flags.get(query_id):
                flag.set()

    def count(self) -> int:
        """Tasks that are running or have batches left to give."""
        with self.lock:
            return sum(self.uses.values())


class TaskRunner:
    """The work of one executor, apart from Ray."""

    def __init__(
        self,
        threads: int,
        *,
        memory: int = 1 << 40,
        patience_seconds: float = 600.0,
        spill: SpillFolders | None = None,
        files: SpillReader | None = None,
    ) -> None:
        # Plans of thousands of nodes are walked recursively: threads of our own, with deep stacks.
        threading.stack_size(256 << 20)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="task")
        self._queries = RunningQueries()
        self._streams: dict[str, Stream] = {}
        self._ids = itertools.count(1)
        self._admission = Admission(memory, patience_seconds)
        self._spill = spill
        self._files = files or LocalFiles()
        self._watch = MemoryWatch(memory, self._queries.count, self._queries.fail_largest)

    def result(self, data: bytes, arguments: Sequence[Any]) -> ResultReply:
        """Run a task with a ResultOutput up to its first batches."""
        return self._pool.submit(self._result, data, arguments).result()

    def more(self, stream_id: str) -> ResultReply:
        """The next few batches of a result; without a stream id once there are no more."""
        return self._pool.submit(self._more, stream_id).result()

    def close(self, stream_id: str) -> None:
        """Let a stream go, read to its end or not."""
        if stream := self._streams.pop(stream_id, None):
            stream.batches = iter(())
            self._queries.leave(stream.query_id)
            give_back_memory(self._queries.count())

    def store(self, data: bytes, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Run a task with any other output: its report, then its pieces."""
        return self._pool.submit(self._store, data, arguments).result()

    def cancel(self, query_id: str) -> None:
        """Stop a query's tasks at their next look at the flag."""
        self._queries.cancel(query_id)
        POOL.cancel(query_id)
        for stream_id, stream in list(self._streams.items()):
            if stream.query_id == query_id:
                self.close(stream_id)

    def running(self) -> int:
        """Number of running tasks and open streams."""
        return self._queries.count()

    def _result(self, data: bytes, arguments: Sequence[Any]) -> ResultReply:
        task = decode_task(data)
        assert isinstance(task.output, ResultOutput)
        flag = self._enter(task)
        stream_id = None
        try:
            with self._admission.admitted(task.memory_bytes, flag):
                frame, context = _compile(task, arguments, flag)
                batches = _encoded(_frames(frame, task, flag), ResultEncoder(task.output))
                first = _take(batches, INLINE_BYTES)
            if sum(len(data) for _, data in first) < INLINE_BYTES:
                return ResultReply(first, None, _report(context))
            stream_id = f"{task.query_id}/{next(self._ids)}"
            self._streams[stream_id] = Stream(task.query_id, batches, context)
            return ResultReply(first, stream_id)
        except BaseException as error:  # noqa: BLE001 - every failure is the query's, not the executor's
            return ResultReply(report=self._failure(error, task.query_id, task.operator))
        finally:
            if stream_id is None:
                self._queries.leave(task.query_id)

    def _more(self, stream_id: str) -> ResultReply:
        stream = self._streams.get(stream_id)
        if stream is None:
            failure = spark_error("OPERATION_CANCELED", ErrorKind.SPARK).args[0]
            return ResultReply(report=TaskReport(failure=failure))
        try:
            batches = _take(stream.batches, STREAM_ITEM_BYTES)
            if sum(len(data) for _, data in batches) >= STREAM_ITEM_BYTES:
                return ResultReply(batches, stream_id)
            report = _report(stream.task)
        except BaseException as error:  # noqa: BLE001 - every failure is the query's, not the executor's
            batches, report = (), self._failure(error, stream.query_id)
        self.close(stream_id)
        return ResultReply(batches, None, report)

    def _store(self, data: bytes, arguments: Sequence[Any]) -> tuple[Any, ...]:
        task = decode_task(data)
        count = task.destinations
        flag = self._enter(task)
        try:
            with self._admission.admitted(task.memory_bytes, flag):
                frame, context = _compile(task, arguments, flag)
                if task.spill_bytes and self._spill is not None:
                    return _store_or_spill(task, frame, context, flag, self._spill, self._files)
                return _STORE_RULES[type(task.output)](task, frame, context, flag)
        except BaseException as error:  # noqa: BLE001 - every failure is the query's, not the executor's
            return (self._failure(error, task.query_id, task.operator), *[None] * count)
        finally:
            self._queries.leave(task.query_id)

    def _enter(self, task: Task) -> threading.Event:
        flag = self._queries.enter(task.query_id)
        self._queries.sizes[task.query_id] = max(task.memory_bytes, self._queries.sizes.get(task.query_id, 0))
        self._watch.wake()
        return flag

    def _failure(self, error: BaseException, query_id: str, operator: Operator | None = None) -> TaskReport:
        if isinstance(error, SpillLostError):
            return TaskReport(lost=error.path)
        error = self._queries.failures.get(query_id, error)
        return TaskReport(failure=as_spark_error(error, operator).args[0], python=POOL.take_report(query_id))


def _compile(task: Task, arguments: Sequence[Any], flag: threading.Event) -> tuple[pl.LazyFrame, TaskContext]:
    inputs = {key: read_pieces(slices, arguments) for key, slices in task.pieces}
    context = TaskContext(
        evaluation=replace(task.context, query_id=task.query_id),
        partition_id=task.partition,
        inputs=inputs,
        ordered=not (isinstance(task.output, Exchange) and task.output.kind in _UNORDERED),
        gate=_gate(flag) if task.gated else None,
    )
    return compile_operator(_resolved(task.operator, arguments), inputs, context), context


def _resolved(operator: Operator, arguments: Sequence[Any]) -> Operator:
    return with_tables(operator, tuple(arguments)) if arguments else operator


def _gate(flag: threading.Event) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    def look(frame: pl.DataFrame) -> pl.DataFrame:
        _check(flag)
        return frame

    def lay(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.map_batches(
            look,
            streamable=True,
            predicate_pushdown=True,
            projection_pushdown=True,
            slice_pushdown=True,
            validate_output_schema=False,
        )

    return lay


def _check(flag: threading.Event) -> None:
    if flag.is_set():
        raise spark_error("OPERATION_CANCELED", ErrorKind.SPARK)


def _frames(frame: pl.LazyFrame, task: Task, flag: threading.Event) -> Iterator[pl.DataFrame]:
    assert isinstance(task.output, ResultOutput)
    if not task.streaming:
        yield frame.collect(engine="in-memory", optimizations=OPTIMIZATIONS)
        return
    batches = frame.collect_batches(
        chunk_size=task.output.batch_rows, maintain_order=True, engine="streaming", optimizations=OPTIMIZATIONS
    )
    for batch in batches:
        _check(flag)
        yield batch


def _encoded(frames: Iterator[pl.DataFrame], encoder: ResultEncoder) -> Iterator[Batch]:
    count = 0
    for frame in frames:
        for batch in encoder.encode(frame):
            count += 1
            yield batch
    if not count:
        yield encoder.empty()


def _take(batches: Iterator[Batch], limit: int) -> tuple[Batch, ...]:
    taken: list[Batch] = []
    total = 0
    for batch in batches:
        taken.append(batch)
        total += len(batch[1])
        if total >= limit:
            break
    return tuple(taken)


def _collected(frame: pl.LazyFrame, task: Task, flag: threading.Event) -> pl.DataFrame:
    if not task.streaming:
        return frame.collect(engine="in-memory", optimizations=OPTIMIZATIONS)
    _check(flag)
    return frame.collect(engine="streaming", optimizations=OPTIMIZATIONS)


def _report(context: TaskContext, **parts: Any) -> TaskReport:
    metrics = [
        (name, compact_table(pl.concat(frames, how="vertical"))) for name, frames in context.metrics.items() if frames
    ]
    python = POOL.take_report(context.evaluation.query_id)
    seconds = max(0.0, time.time() - context.began)
    return TaskReport(metrics=tuple(metrics), python=python, began=context.began, seconds=seconds, **parts)


def _store_exchange(task: Task, frame: pl.LazyFrame, context: TaskContext, flag: threading.Event) -> tuple[Any, ...]:
    assert isinstance(task.output, Exchange)
    return _stored(task, _collected(frame, task, flag), context)


def _stored(task: Task, rows: pl.DataFrame, context: TaskContext) -> tuple[Any, ...]:
    assert isinstance(task.output, Exchange)
    pieces, counts, sizes = cut(rows, task.output, task.destinations, context.evaluation)
    sample = sample_of(rows, task.output, context.evaluation)
    summaries = summaries_of(rows, task.output.summarised)
    report = _report(context, rows=counts, bytes=sizes, sample=sample, summaries=summaries)
    return (report, *pieces, *[None] * (task.destinations - len(pieces)))


def _store_or_spill(
    task: Task,
    frame: pl.LazyFrame,
    context: TaskContext,
    flag: threading.Event,
    spill: SpillFolders,
    files: SpillReader,
) -> tuple[Any, ...]:
    """A small output to the object store, a large one chunk by chunk to a file."""
    assert isinstance(task.output, Exchange)
    chunks = chunks_of(_streamed(frame, task, flag), task.chunk_bytes)
    first = next(chunks)
    if task.output.kind == "sample":
        samples = [sample_of(chunk, task.output, context.evaluation) for chunk in itertools.chain((first,), chunks)]
        piece = Piece(compact_table(first.clear()), 0, (0,))
        return (_report(context, rows=(0,), bytes=(0,), sample=concatenated(samples)), piece)
    following = next(chunks, None) if first.estimated_size() <= task.spill_bytes else first
    if following is None:
        return _stored(task, first, context)
    waiting = (first,) if following is first else (first, following)
    path = new_path(spill.of_query(task.query_id), task.stage_id, task.partition)
    file = SpillFile(path, task.output, context.evaluation)
    try:
        samples = []
        told: list[tuple[KeySummary, ...]] = []
        for chunk in itertools.chain(waiting, chunks):
            _check(flag)
            file.write(chunk)
            samples.append(sample_of(chunk, task.output, context.evaluation))
            told.append(summaries_of(chunk, task.output.summarised))
        pieces = file.finish(task.destinations, files)
        _check(flag)
    except BaseException:
        file.discard()
        raise
    finally:
        release_freed_memory()
    rows, sizes = tuple(file.rows.tolist()), tuple(file.bytes.tolist())
    request = task.output.summarised
    summaries = tuple([put_together(parts, request) for parts in zip(*told, strict=True)]) if request else ()
    sample = concatenated(samples)
    report = _report(context, rows=rows, bytes=sizes, sample=sample, summaries=summaries, spilled=str(path))
    return (report, *pieces, *[None] * (task.destinations - len(pieces)))


def _streamed(frame: pl.LazyFrame, task: Task, flag: threading.Event) -> Iterator[pl.DataFrame]:
    assert isinstance(task.output, Exchange)
    if not task.streaming:
        yield frame.collect(engine="in-memory", optimizations=OPTIMIZATIONS)
        return
    gave = False
    ordered = task.output.kind not in _UNORDERED
    for batch in frame.collect_batches(maintain_order=ordered, engine="streaming", optimizations=OPTIMIZATIONS):
        _check(flag)
        gave = True
        yield batch
    if not gave:
        yield frame.clear().collect()


def _store_cache(task: Task, frame: pl.LazyFrame, context: TaskContext, flag: threading.Event) -> tuple[Any, ...]:
    rows = _collected(frame, task, flag)
    table = compact_table(rows)
    report = _report(context, rows=(rows.height,), bytes=(table.nbytes,))
    return (report, Piece(table, 0, (rows.height,)))


def _store_files(task: Task, frame: pl.LazyFrame, context: TaskContext, flag: threading.Event) -> tuple[Any, ...]:
    from voltray.executors.sources.catalogue import write_task

    assert isinstance(task.output, WriteOutput)
    written = write_task(frame, task.output.specification, task.output.attributes, context, task.partition)
    return (_report(context, written=written),)


_STORE_RULES: Mapping[type, Callable[..., tuple[Any, ...]]] = {
    Exchange: _store_exchange,
    CacheOutput: _store_cache,
    WriteOutput: _store_files,
}
