"""The program of worker processes: a factory that forks them warm, or one worker started on its own.

A script of its own that imports nothing of Voltray, so that any Python that has pyarrow can run it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import types
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parent)
# The modules beside this script are not for users' imports.
sys.path[:] = [p for p in sys.path if p != HERE]

_DIE_WITH_PARENT = 1
_LARGEST_REQUEST = 64
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
    control.send(b"ready")
    while True:
        sources: list[Any] = [control, awake]
        ready, _, _ = select.select(sources, [], [])
        if awake in ready:
            os.read(awake, 4096)
            _tell_of_ended(control)
        if control in ready:
            request, descriptors, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 2)
            if not request:
                return
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
            control.send(f"forked {child}".encode())


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


def _tell_of_ended(control: socket.socket) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        control.send(f"ended {child} {os.waitstatus_to_exitcode(status)}".encode())


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if sys.argv[1] == "factory":
        run_factory(int(sys.argv[2]))
    else:
        sys.path.insert(0, sys.argv[3])
        run_worker(prepare(), int(sys.argv[2]))
