"""Worker processes: pooled for each session, none shared between sessions, ended with their queries' cancellation."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from voltray.executors.python.protocol import WorkerTask, header, read_results
from voltray.proto.failures import ErrorKind, SparkError, spark_error

ENTRY = Path(__file__).with_name("worker_entry.py")
IDLE_SECONDS = 60.0
IDLE_PER_SESSION = 4
MEMORY_VARIABLE = "VOLTRAY_PYTHON_WORKER_MEMORY_MB"
DEFAULT_MEMORY_MB = "8192"
_BUFFER = 1 << 20


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process and the socket to it."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    source: BinaryIO
    idle_since: float = 0.0

    def end(self) -> None:
        """Kill the process at once."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.source.close()
        self.connection.close()


def _start() -> Worker:
    ours, theirs = socket.socketpair()
    environment = {
        **os.environ,
        "PYSPARK_EXECUTOR_MEMORY_MB": os.environ.get(MEMORY_VARIABLE, DEFAULT_MEMORY_MB),
        "SPARK_SIMPLIFIED_TRACEBACK": "1",
        "PYTHONUNBUFFERED": "YES",
        "POLARS_MAX_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, str(ENTRY), str(theirs.fileno())],
        pass_fds=(theirs.fileno(),),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=2,
    )
    theirs.close()
    return Worker(process, ours, cast(BinaryIO, ours.makefile("rb", _BUFFER)))


@dataclass(slots=True)
class WorkerPool:
    """The workers of one executor, by session; those at work, by query."""

    idle: dict[str, list[Worker]] = field(default_factory=dict)
    busy: dict[str, set[Worker]] = field(default_factory=dict)
    cancelled: set[Worker] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Workers die with the thread that started them, so one thread, which never ends, starts them all.
    starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "python-workers"))
    reaper: threading.Thread | None = None

    def run(
        self, session_id: str, query_id: str, task: WorkerTask, write: Callable[[BinaryIO], None]
    ) -> Iterator[pa.RecordBatch]:
        """The batches that a task gives for the input that ``write`` sends."""
        worker = self._taken(session_id, query_id)
        clean = False
        try:
            writer = threading.Thread(target=_send, args=(worker, header(task), write), daemon=True)
            writer.start()
            clean = yield from read_results(worker.source)
            if clean:
                writer.join()
        except (EOFError, OSError, pa.ArrowInvalid) as error:
            raise self._death(worker) from error
        finally:
            self._returned(worker, session_id, query_id, clean)

    def cancel(self, query_id: str) -> None:
        """Kill the workers that a query has at work."""
        with self.lock:
            workers = list(self.busy.get(query_id, ()))
            self.cancelled.update(workers)
        for worker in workers:
            worker.process.kill()

    def end_session(self, session_id: str) -> None:
        """End a session's idle workers."""
        with self.lock:
            workers = self.idle.pop(session_id, [])
        for worker in workers:
            worker.end()

    def _taken(self, session_id: str, query_id: str) -> Worker:
        worker = None
        with self.lock:
            if idle := self.idle.get(session_id):
                worker = idle.pop()
        if worker is None or worker.process.poll() is not None:
            worker = self.starter.submit(_start).result()
        with self.lock:
            self.busy.setdefault(query_id, set()).add(worker)
            if self.reaper is None:
                self.reaper = threading.Thread(target=self._reap, daemon=True, name="python-reaper")
                self.reaper.start()
        return worker

    def _returned(self, worker: Worker, session_id: str, query_id: str, clean: bool) -> None:
        with self.lock:
            at_work = self.busy[query_id]
            at_work.discard(worker)
            self.cancelled.discard(worker)
            if not at_work:
                del self.busy[query_id]
            kept = self.idle.setdefault(session_id, [])
            if clean and len(kept) < IDLE_PER_SESSION:
                worker.idle_since = time.monotonic()
                kept.append(worker)
                return
        worker.end()

    def _death(self, worker: Worker) -> SparkError:
        if worker in self.cancelled:
            return spark_error("OPERATION_CANCELED", ErrorKind.SPARK)
        try:
            code = worker.process.wait(2)
        except subprocess.TimeoutExpired:
            how = "it broke its protocol"
        else:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        message = f"Python worker exited unexpectedly (crashed): {how}."
        return spark_error("PYTHON_WORKER_CRASHED", ErrorKind.SPARK, message=message, sqlstate="38000")

    def _reap(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 4)
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


def _send(worker: Worker, start: bytes, write: Callable[[BinaryIO], None]) -> None:
    try:
        with worker.connection.makefile("wb", _BUFFER) as sink:
            sink.write(start)
            write(cast(BinaryIO, sink))
            sink.flush()
    except (OSError, ValueError):
        # The worker is gone or has failed: the reader says so.
        return
    except BaseException:
        worker.process.kill()
        raise


POOL = WorkerPool()
