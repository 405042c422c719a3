"""The executor as a Ray actor: a thin shell around the task runner, which knows nothing of Ray."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    from voltray.proto.session_files import SessionFile

# The first Python function finds a warm factory of workers, whose start does not slow the executor's own.
_WARM_UP_SECONDS = 5.0
CONCURRENCY_GROUPS = {"tasks": 32, "streams": 32, "control": 4}


@dataclass(frozen=True, slots=True)
class ExecutorResources:
    """What an executor may take: memory, how long a task waits for it, and where files go."""

    memory: int
    patience_seconds: float
    spill_dir: str
    server_id: str


@dataclass(frozen=True, slots=True)
class ExecutorFiles:
    """Spilled files of one executor, read on any node."""

    node_id: str
    owner: Any

    def read(self, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes at (offset, length) each."""
        from voltray.executors.shuffle.spilled import LocalFiles, SpillLostError

        if os.path.exists(path) or ray.get_runtime_context().get_node_id() == self.node_id:
            return LocalFiles().read(path, spans)
        try:
            parts: list[bytes] = ray.get(self.owner.read_spilled.remote(path, tuple(spans)))
        except ray.exceptions.RayError:
            raise SpillLostError(path) from None
        return parts


class Executor:
    """One executor. Polars is imported after its thread count is set, so nothing above imports it."""

    def __init__(
        self, executor_id: int, cpus: int, environment: Mapping[str, str], resources: ExecutorResources
    ) -> None:
        os.environ["POLARS_MAX_THREADS"] = str(cpus)
        # Polars walks an expression of hundreds of levels on its own threads: 2 MiB of stack kill the process.
        os.environ.setdefault("RUST_MIN_STACK", str(256 << 20))
        os.environ.update(environment)
        sys.setrecursionlimit(1_000_000)
        # kill -USR2 writes every thread's stack to the worker's log: where an executor hangs is seen from outside.
        faulthandler.register(signal.SIGUSR2)
        from voltray.executors.shuffle.spilled import LocalFiles
        from voltray.executors.spill_folders import SpillFolders
        from voltray.executors.task_runner import TaskRunner

        self._executor_id = executor_id
        warm_up = threading.Timer(_WARM_UP_SECONDS, self._warm_up)
        warm_up.daemon = True
        warm_up.start()
        self._files = LocalFiles()
        self._spill = SpillFolders(Path(resources.spill_dir), resources.server_id)
        self._spill.open()
        context = ray.get_runtime_context()
        self._runner = TaskRunner(
            CONCURRENCY_GROUPS["tasks"] + CONCURRENCY_GROUPS["streams"],
            memory=resources.memory,
            patience_seconds=resources.patience_seconds,
            spill=self._spill,
            files=ExecutorFiles(context.get_node_id(), context.current_actor),
        )

    @ray.method(concurrency_group="control")
    def ping(self) -> tuple[int, str, int]:
        """Which executor this is, on which node, in which process."""
        return self._executor_id, ray.get_runtime_context().get_node_id(), os.getpid()

    @ray.method(concurrency_group="tasks")
    def result(self, task: bytes, *arguments: Any) -> Any:
        """Run a result task up to its first batches."""
        return self._runner.result(task, arguments)

    @ray.method(concurrency_group="streams")
    def more(self, stream_id: str) -> Any:
        """The next few batches of a result."""
        return self._runner.more(stream_id)

    @ray.method(concurrency_group="control")
    def close(self, stream_id: str) -> None:
        """Let the rest of a result go."""
        self._runner.close(stream_id)

    @ray.method(concurrency_group="tasks")
    def store(self, task: bytes, *arguments: Any) -> Any:
        """Run a task whose output stays in the cluster: its report and its pieces."""
        outcome = self._runner.store(task, arguments)
        return outcome if len(outcome) > 1 else outcome[0]

    @ray.method(concurrency_group="control")
    def cancel(self, query_id: str) -> None:
        """Stop a query's tasks."""
        self._runner.cancel(query_id)

    @ray.method(concurrency_group="streams")
    def read_spilled(self, path: str, spans: tuple[tuple[int, int], ...]) -> list[bytes]:
        """Parts of a file of exchanged rows, for an executor on another node."""
        return self._files.read(path, spans)

    @ray.method(concurrency_group="control")
    def end_query(self, query_id: str) -> None:
        """Remove a query's files."""
        self._spill.end_query(query_id)

    @ray.method(concurrency_group="control")
    def keep_queries(self, query_ids: tuple[str, ...]) -> None:
        """Remove the files of all queries but these."""
        self._spill.keep_queries(query_ids)

    @ray.method(concurrency_group="control")
    def missing_files(self, session_id: str, digests: tuple[str, ...]) -> tuple[str, ...]:
        """Which contents of a session's files have not come yet."""
        from voltray.executors.python.files import FILES

        return FILES.missing(session_id, digests)

    @ray.method(concurrency_group="control")
    def receive_file(self, session_id: str, digest: str, offset: int, data: bytes, last: bool) -> None:
        """Take a part of a file's content."""
        from voltray.executors.python.files import FILES

        FILES.receive(session_id, digest, offset, data, last=last)

    @ray.method(concurrency_group="control")
    def install_files(self, session_id: str, files: tuple[SessionFile, ...]) -> None:
        """Put files where the session's Python functions find them."""
        from voltray.executors.python.files import FILES

        FILES.install(session_id, files)

    @ray.method(concurrency_group="control")
    def end_session(self, session_id: str) -> None:
        """End a session's Python workers and remove its files."""
        from voltray.executors.python.pool import POOL

        POOL.end_session(session_id)

    @ray.method(concurrency_group="control")
    def end(self) -> None:
        """End all Python workers and remove all files; the process is about to be killed."""
        from voltray.executors.python.pool import POOL

        POOL.end()
        self._spill.close()

    @ray.method(concurrency_group="control")
    def python_workers(self) -> tuple[int, ...]:
        """Process ids of the Python workers of all sessions."""
        from voltray.executors.python.pool import POOL

        return POOL.process_ids()

    def _warm_up(self) -> None:
        from voltray.executors.python.pool import POOL

        POOL.warm_up()

    @ray.method(concurrency_group="control")
    def running(self) -> int:
        """Number of tasks that run or wait for their reader."""
        return self._runner.running()

    @ray.method(concurrency_group="control")
    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        from voltray.executors.memory import resident_bytes

        return resident_bytes()
