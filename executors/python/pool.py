"""Worker processes: pooled for each session, none shared between sessions, ended with their queries' cancellation."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from voltray.executors.python.files import FILES, SessionFiles, SessionFolder
from voltray.executors.python.planning_protocol import PlanningTask
from voltray.executors.python.protocol import WorkerTask, read_results
from voltray.executors.python.workers import Factories, Worker, start_alone
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.session_files import PythonReport

_log = logging.getLogger(__name__)
IDLE_SECONDS = 60.0
IDLE_PER_SESSION = 4
MEMORY_VARIABLE = "VOLTRAY_PYTHON_WORKER_MEMORY"
TIME_VARIABLE = "VOLTRAY_PYTHON_TASK_SECONDS"
PYTHON_VARIABLE = "PYSPARK_PYTHON"
LOGGING_CONF = "spark.sql.pyspark.worker.logging.enabled"
_SIMPLE_CONF = "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled"
_ENVIRONMENT_PREFIX = "spark.executorEnv."
_HIDDEN_CONF = "spark.sql.execution.pyspark.udf.hideTraceback.enabled"
_PYTHON_CONFS = ("spark.sql.execution.pyspark.python", "spark.pyspark.python")
_WATCH_SECONDS = 0.1
_REAP_SECONDS = 15.0
_LOG_SECONDS = 2.0
_KEPT_CANCELLED = 1000
_BUFFER = 1 << 20
_NOT_USERS = (os.sep + "pyspark" + os.sep, "worker_main.py", "worker_entry.py", "<frozen ")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use: bytes of memory and seconds for a task; 0 is no limit."""

    memory: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """The limits that the driver's settings have put into the executor's environment."""
        return cls(int(environment.get(MEMORY_VARIABLE, "0")), float(environment.get(TIME_VARIABLE, "0")))


@dataclass(slots=True)
class WorkerPool:
    """The workers of one executor, by session; those at work, by query."""

    limits: Limits = field(default_factory=lambda: Limits.of(os.environ))
    files: SessionFiles = field(default_factory=lambda: FILES)
    idle: dict[str, list[Worker]] = field(default_factory=dict)
    busy: dict[str, set[Worker]] = field(default_factory=dict)
    sessions: dict[Worker, str] = field(default_factory=dict)
    reports: dict[str, list[PythonReport]] = field(default_factory=dict)
    cancelled: OrderedDict[str, None] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Processes die with the thread that started them, so one thread, which never ends, starts them all.
    starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "python-workers"))
    factories: Factories = field(default_factory=Factories)
    watcher: threading.Thread | None = None
    work: threading.Event = field(default_factory=threading.Event)

    def warm_up(self) -> None:
        """Have workers ready to be forked."""
        self.starter.submit(self.factories.warm_up)

    def run(
        self, session_id: str, query_id: str, task: WorkerTask | PlanningTask, write: Callable[[BinaryIO], None]
    ) -> Iterator[pa.RecordBatch]:
        """The batches that a task gives for the input that ``write`` sends."""
        confs = dict(task.confs)
        folder = self.files.folder(session_id)
        if folder.failure is not None:
            raise folder.failure
        worker = self._taken(session_id, query_id, _python_of(confs, folder), folder)
        clean = False
        updates: list[bytes] = []
        try:
            placed = replace(task, files_folder=str(folder.files), includes=(*task.includes, *folder.includes))
            environment = _environment(session_id, confs, folder)
            start = worker.prepare(environment, str(folder.files), self.limits.memory) + placed.encoded()
            writer = threading.Thread(target=_send, args=(worker, start, write), daemon=True)
            writer.start()
            clean = yield from read_results(worker.source, updates)
            if clean:
                writer.join()
        except (EOFError, OSError, pa.ArrowInvalid) as error:
            raise self._death(worker, query_id) from error
        finally:
            if confs.get(LOGGING_CONF, "").lower() == "true" and not worker.cause:
                worker.output.logs_ended.wait(_LOG_SECONDS)
            self._returned(worker, session_id, query_id, clean, updates)

    def cancel(self, query_id: str) -> None:
        """Kill the workers that a query has at work; it gets no others."""
        with self.lock:
            self.cancelled[query_id] = None
            while len(self.cancelled) > _KEPT_CANCELLED:
                self.cancelled.popitem(last=False)
            workers = list(self.busy.get(query_id, ()))
        for worker in workers:
            worker.kill("cancelled")

    def end_session(self, session_id: str) -> None:
        """End a session's workers and remove its files."""
        with self.lock:
            workers = self.idle.pop(session_id, [])
            at_work = [w for w, s in self.sessions.items() if s == session_id]
        for worker in at_work:
            worker.kill("cancelled")
        for worker in workers:
            worker.end()
        self.files.end_session(session_id)

    def end(self) -> None:
        """End every worker and remove all files."""
        with self.lock:
            workers = [w for kept in self.idle.values() for w in kept]
            self.idle.clear()
            workers.extend(self.sessions)
        for worker in workers:
            worker.kill("cancelled")
        self.factories.end()
        self.files.end()

    def busy_for(self, query_id: str) -> int:
        """Number of workers that a query has at work."""
        return len(self.busy.get(query_id, ()))

    def process_ids(self) -> tuple[int, ...]:
        """The process ids of all workers."""
        with self.lock:
            workers = [*self.sessions, *[w for kept in self.idle.values() for w in kept]]
        return tuple([w.process.pid for w in workers])

    def take_report(self, query_id: str) -> PythonReport | None:
        """What a query's workers said since the last call."""
        with self.lock:
            reports = self.reports.pop(query_id, None)
        if reports is None:
            return None
        return PythonReport(
            tuple([line for r in reports for line in r.logs]),
            tuple([line for r in reports for line in r.output]),
            tuple([update for r in reports for update in r.accumulators]),
        )

    def _taken(self, session_id: str, query_id: str, python: str, folder: SessionFolder) -> Worker:
        worker = None
        with self.lock:
            idle = self.idle.get(session_id, [])
            for kept in idle:
                if kept.python == python:
                    worker = kept
                    idle.remove(kept)
                    break
        if worker is None or worker.process.poll() is not None:
            if worker is not None:
                worker.end()
            worker = self._started(python, folder)
        worker.busy_since = worker.last_heard = time.monotonic()
        with self.lock:
            self.busy.setdefault(query_id, set()).add(worker)
            self.sessions[worker] = session_id
            gone = query_id in self.cancelled
            if self.watcher is None:
                self.watcher = threading.Thread(target=self._watch, daemon=True, name="python-watcher")
                self.watcher.start()
        self.work.set()
        if gone:
            worker.kill("cancelled")
        return worker

    def _started(self, python: str, folder: SessionFolder) -> Worker:
        if python:
            library = self.starter.submit(_library, folder.path).result()
            try:
                alone = self.starter.submit(start_alone, python, library, str(folder.files)).result()
                self.starter.submit(self.factories.warm_up).result().watch(alone.process.pid)
                return alone
            except OSError as error:
                text = f'Cannot run program "{python}": {error.strerror}.'
                raise spark_error("", ErrorKind.SPARK, message=text) from error
        for _ in range(2):
            worker = self.starter.submit(self.factories.warm_up).result().worker()
            if worker is not None:
                return worker
        raise spark_error("", ErrorKind.SPARK, message="No Python worker could be started.")

    def _returned(self, worker: Worker, session_id: str, query_id: str, clean: bool, updates: list[bytes]) -> None:
        logs, output = worker.output.take()
        with self.lock:
            at_work = self.busy[query_id]
            at_work.discard(worker)
            self.sessions.pop(worker, None)
            report = PythonReport(logs, output, tuple(updates))
            if report and query_id not in self.cancelled:
                self.reports.setdefault(query_id, []).append(report)
            if not at_work:
                del self.busy[query_id]
            kept = self.idle.setdefault(session_id, [])
            if clean and not worker.cause and len(kept) < IDLE_PER_SESSION:
                worker.idle_since = time.monotonic()
                kept.append(worker)
                return
            if not kept:
                del self.idle[session_id]
        worker.end()

    def _death(self, worker: Worker, query_id: str) -> SparkError:
        if worker.cause == "cancelled" or query_id in self.cancelled:
            return spark_error("OPERATION_CANCELED", ErrorKind.SPARK)
        if worker.cause:
            return _crash(worker.cause)
        try:
            code = worker.process.wait(2)
        except subprocess.TimeoutExpired:
            how = "it broke its protocol"
        else:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        worker.output.logs_ended.wait(1.0)
        return _crash(how, "\n".join(_last_words(list(worker.output.tail))))

    def _watch(self) -> None:
        reaped = time.monotonic()
        while True:
            self.work.wait(_REAP_SECONDS)
            with self.lock:
                workers = list(self.sessions)
                if not workers:
                    self.work.clear()
            for worker in workers:
                self._hold_to_limits(worker)
            if time.monotonic() - reaped > _REAP_SECONDS:
                reaped = time.monotonic()
                self._reap()
            if workers:
                time.sleep(_WATCH_SECONDS)

    def _hold_to_limits(self, worker: Worker) -> None:
        limits = self.limits
        if limits.seconds and time.monotonic() - worker.busy_since > limits.seconds:
            worker.kill(f"it was killed, for its task took longer than {limits.seconds:g} s (python-task-seconds)")
        elif limits.memory and (held := worker.resident_bytes()) > limits.memory:
            held, most = held >> 20, limits.memory >> 20
            worker.kill(f"it was killed, for it held {held} MiB of memory, {most} MiB allowed (python-worker-memory)")

    def _reap(self) -> None:
        limit = time.monotonic() - IDLE_SECONDS
        old: list[Worker] = []
        with self.lock:
            for session_id, workers in list(self.idle.items()):
                old.extend(w for w in workers if w.idle_since < limit)
                self.idle[session_id] = [w for w in workers if w.idle_since >= limit]
                if not self.idle[session_id]:
                    del self.idle[session_id]
        for worker in old:
            worker.end()


def _python_of(confs: Mapping[str, str], folder: SessionFolder) -> str:
    """The Python that runs a session's functions; the executor's own is the empty text."""
    chosen = next((confs[name] for name in _PYTHON_CONFS if confs.get(name)), os.environ.get(PYTHON_VARIABLE, ""))
    if not chosen or chosen == sys.executable:
        return ""
    inside = folder.files / chosen
    return str(inside) if inside.exists() else chosen


def _environment(session_id: str, confs: Mapping[str, str], folder: SessionFolder) -> dict[str, str | None]:
    def flag(name: str, default: str) -> bool:
        return confs.get(name, default).lower() == "true"

    given = {
        name.removeprefix(_ENVIRONMENT_PREFIX): value
        for name, value in confs.items()
        if name.startswith(_ENVIRONMENT_PREFIX)
    }
    return {
        **given,
        "SPARK_SIMPLIFIED_TRACEBACK": "1" if flag(_SIMPLE_CONF, "true") else None,
        "SPARK_HIDE_TRACEBACK": "1" if flag(_HIDDEN_CONF, "false") else None,
        "PYSPARK_SPARK_SESSION_UUID": session_id.rpartition("/")[2] if flag(LOGGING_CONF, "false") else None,
        "VOLTRAY_FILES_FOLDER": str(folder.files),
        "TMPDIR": str(folder.temporary),
    }


def _library(folder: Path) -> str:
    """A folder with nothing but the executor's pyspark, for Pythons that have none."""
    import pyspark

    library = folder / "library"
    library.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (library / "pyspark").symlink_to(Path(pyspark.__file__).parent)
    return str(library)


def _crash(how: str, last_words: str = "") -> SparkError:
    message = f"Python worker exited unexpectedly (crashed): {how}."
    if last_words:
        message = f"{message}\n{last_words}"
    return spark_error("PYTHON_WORKER_CRASHED", ErrorKind.SPARK, message=message, sqlstate="38000")


def _last_words(tail: list[str]) -> list[str]:
    """The interpreter's own report of its death, with the user's frames; else what was printed last."""
    start = next((i for i, line in enumerate(tail) if line.startswith("Fatal Python error")), None)
    if start is None:
        return tail[-10:]
    frames = [line for line in tail[start + 1 :] if line.startswith("  File ")]
    return [tail[start], *[f for f in frames if not any(part in f for part in _NOT_USERS)]]


def _send(worker: Worker, start: bytes, write: Callable[[BinaryIO], None]) -> None:
    try:
        with worker.connection.makefile("wb", _BUFFER) as sink:
            sink.write(start)
            write(cast(BinaryIO, sink))
            sink.flush()
    except (OSError, ValueError):
        # The worker is gone or has failed: the reader says so.
        return
    except BaseException as error:
        _log.exception("input for a Python worker could not be written")
        worker.kill(f"its input could not be written: {type(error).__name__}")
        raise


POOL = WorkerPool()
