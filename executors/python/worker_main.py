"""The program of worker processes: a factory that forks them warm, or one worker started on its own.

A script of its own that imports nothing of Voltray, so that any Python that has pyarrow can run it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import fcntl
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parent)
# The modules beside this script are not for users' imports.
sys.path[:] = [p for p in sys.path if p != HERE]

_DIE_WITH_PARENT = 1
_ADOPT_ORPHANS = 36
_FOLDERS = "voltray-python-*"
_LARGEST_REQUEST = 64
# Functions of one user on all cores are not to hold up the executor and the driver, which serve everybody.
_NICENESS = 5
_IMPORTED_AHEAD = (
    "pandas",
    "pyarrow.compute",
    "pyspark.sql.conversion",
    "pyspark.sql.pandas.serializers",
    "pyspark.sql.pandas.types",
)


def prepare() -> Any:
    """Import what tasks need; the module whose ``serve`` runs them."""
    sys.path.insert(0, HERE)
    try:
        worker_batched = importlib.import_module("worker_batched")
        worker_entry = importlib.import_module("worker_entry")
    finally:
        sys.path.remove(HERE)
    for name in _IMPORTED_AHEAD:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Spark names the function that logs by the first frame below its own modules.
    worker_entry.__name__ = worker_batched.__name__ = "pyspark.worker_entry"
    worker_entry.install()
    worker_batched.install()
    _offer_spark_files()
    return worker_entry


def _offer_spark_files() -> None:
    """Give pyspark-client the ``SparkFiles`` that only the whole of pyspark has."""
    import pyspark
    from pyspark.util import is_remote_only

    if not is_remote_only():
        return

    class SparkFiles:
        """Where the session's files are."""

        @classmethod
        def get(cls, filename: str) -> str:
            """The path of a file by its name."""
            return os.path.join(cls.getRootDirectory(), filename)

        @classmethod
        def getRootDirectory(cls) -> str:  # noqa: N802 - as Spark calls it
            """The folder of all files."""
            return os.environ.get("VOLTRAY_FILES_FOLDER", os.getcwd())

    SparkFiles.__module__ = "pyspark.core.files"
    core = types.ModuleType("pyspark.core")
    core.__path__ = []
    files = types.ModuleType("pyspark.core.files")
    setattr(files, "SparkFiles", SparkFiles)  # noqa: B010
    setattr(core, "files", files)  # noqa: B010
    sys.modules.update({"pyspark.core": core, "pyspark.core.files": files})
    setattr(pyspark, "core", core)  # noqa: B010
    setattr(pyspark, "SparkFiles", SparkFiles)  # noqa: B010


def limit_memory(limit: int) -> None:
    """Let allocations beyond the limit fail, where the system can; the executor watches as well."""
    import resource

    if limit:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def run_worker(entry: Any, descriptor: int) -> None:
    """Run tasks until the executor closes the socket; before each comes what it is to run under."""
    faulthandler.enable()
    os.nice(_NICENESS)
    connection = socket.socket(fileno=descriptor)
    file = connection.makefile("rwb", 1 << 20)
    while head := file.read(4):
        surroundings = json.loads(file.read(struct.unpack("!i", head)[0]))
        for name, value in surroundings["environment"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if (folder := surroundings["folder"]) and os.getcwd() != folder:
            os.chdir(folder)
        limit_memory(surroundings["memory"])
        entry.run_task(file)


def start_factory(descriptor: int) -> None:
    """Run the factory as a child of this process: Ray kills a dying executor's children, but not theirs."""
    child = os.fork()
    if child == 0:
        run_factory(descriptor)
        return
    os.close(descriptor)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def run_factory(descriptor: int) -> None:
    """Fork a worker for each request, which brings its socket and its output; tell of those that have ended."""
    control = socket.socket(fileno=descriptor)
    entry = prepare()
    awake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()
    # What a worker starts and leaves behind becomes the factory's child, and is ended with the worker.
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1)
    workers: set[int] = set()
    alone: dict[int, str] = {}
    control.send(b"ready")
    while True:
        sources: list[Any] = [control, awake]
        ready, _, _ = select.select(sources, [], [])
        if awake in ready:
            os.read(awake, 4096)
            _tell_of_ended(control, workers)
        if control in ready:
            request, descriptors, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 2)
            if not request:
                _sweep(alone)
                return
            if request != b"fork":
                pid = int(request)
                alone[pid] = _start_of(pid)
                continue
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for own in (awake, waker):
                    os.close(own)
                control.close()
                _become_worker(entry, *descriptors)
            for passed in descriptors:
                os.close(passed)
            workers.add(child)
            _send(control, f"forked {child}")


def _become_worker(entry: Any, connection: int, output: int) -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        run_worker(entry, connection)
        status = 0
    finally:
        os._exit(status)


def _tell_of_ended(control: socket.socket, workers: set[int]) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            break
        if child in workers:
            workers.discard(child)
            _send(control, f"ended {child} {os.waitstatus_to_exitcode(status)}")
    for orphan in set(_children()) - workers:
        _kill(orphan)


def _send(control: socket.socket, text: str) -> None:
    # Where the executor is gone, the end of its messages says so.
    with contextlib.suppress(OSError):
        control.send(text.encode())


def _children() -> list[int]:
    return [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)


def _start_of(pid: int) -> str:
    """When a process was started, which tells it from a later one of its number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _sweep(alone: dict[int, str]) -> None:
    """The executor is gone: end all that its workers have started, and remove its folder."""
    for pid, start in alone.items():
        if _start_of(pid) in ("", start):
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
    while children := _children():  # grandchildren become children as their parents end
        for pid in children:
            _kill(pid)
        for _ in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)
    for base in Path(tempfile.gettempdir()).glob(_FOLDERS):
        with contextlib.suppress(OSError), (base / "in-use").open("rb+") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1] == "factory":
        start_factory(int(sys.argv[2]))
    else:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        sys.path.insert(0, sys.argv[3])
        run_worker(prepare(), int(sys.argv[2]))
