"""Worker processes: forked warm by a factory, or started under a session's own Python."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

MAIN = Path(__file__).with_name("worker_main.py")
LOG_MARKER = b"PYTHON_WORKER_LOGGING:"
START_SECONDS = 120.0
MOST_LOG_RECORDS = 20_000
MOST_OUTPUT_LINES = 200
_LONGEST_LINE = 1 << 16
_BUFFER = 1 << 20
_REQUEST = b"fork"
_END_SECONDS = 3.0
_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "YES",
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class ForkedProcess:
    """A worker that a factory has forked: its end is told by the factory."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended = threading.Event()
        self.returncode: int | None = None

    def note_end(self, status: int | None) -> None:
        """Keep how the process ended."""
        self.returncode = status
        self.ended.set()

    def poll(self) -> int | None:
        """How it ended, or None."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if not self.ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self.returncode


class Output:
    """What a worker prints: lines for the log, records of Spark's Python logging, the last lines for a post-mortem."""

    def __init__(self, descriptor: int) -> None:
        self._lock = threading.Lock()
        self._records: list[str] = []
        self._lines: list[str] = []
        self._dropped = 0
        self._partial = b""
        self.tail: deque[str] = deque(maxlen=80)
        self.logs_ended = threading.Event()
        threading.Thread(target=self._read, args=(descriptor,), daemon=True, name="python-output").start()

    def take(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Log records and plain lines since the last call."""
        with self._lock:
            records, self._records = self._records, []
            lines, self._lines = self._lines, []
            dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f"({dropped} more lines)")
        return tuple(records), tuple(lines)

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb") as source:
            while line := source.readline(_LONGEST_LINE):
                self._take(line.rstrip(b"\n"))
        self.logs_ended.set()

    def _take(self, line: bytes) -> None:
        # What is printed without a line's end stands before the next record.
        printed, marker, numbered = line.partition(LOG_MARKER)
        if marker:
            record = numbered.split(b":", 1)[-1].decode("utf-8", "replace")
            if not record:
                self.logs_ended.set()
            elif len(self._records) < MOST_LOG_RECORDS:
                with self._lock:
                    self._records.append(record)
            self._partial += printed
            return
        text = (self._partial + line).decode("utf-8", "replace")
        self._partial = b""
        self.tail.append(text)
        with self._lock:
            if len(self._lines) < MOST_OUTPUT_LINES:
                self._lines.append(text)
            else:
                self._dropped += 1


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process, the socket to it and what it prints."""

    process: subprocess.Popen[bytes] | ForkedProcess
    connection: socket.socket
    source: BinaryIO
    output: Output
    python: str = ""
    idle_since: float = 0.0
    busy_since: float = 0.0
    last_heard: float = 0.0
    cause: str = ""
    """Why it was killed, where the executor did it."""

    def prepare(self, environment: Mapping[str, str | None], folder: str, memory: int) -> bytes:
        """What precedes a task: the surroundings it is to run under."""
        self.output.logs_ended.clear()
        text = json.dumps({"environment": dict(environment), "folder": folder, "memory": memory}).encode()
        return struct.pack("!i", len(text)) + text

    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()
            return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def kill(self, cause: str) -> None:
        """Kill the process and its children at once; its reader sees the end of the socket."""
        self.cause = self.cause or cause
        if self.process.poll() is None:
            # A process that was forked just now may not have made its group yet.
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    kill(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Kill the process and let go of all that belongs to it."""
        self.kill("ended")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(OSError, ValueError):
            self.source.close()
        self.connection.close()


class Factory:
    """A process that has imported what workers need, and forks them."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, str(MAIN), "factory", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=2,
            process_group=0,
        )
        theirs.close()
        self._forked: queue.SimpleQueue[ForkedProcess | None] = queue.SimpleQueue()
        self._processes: dict[int, ForkedProcess] = {}
        self._ready = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True, name="python-factory").start()

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def worker(self) -> Worker | None:
        """A new worker, or None where the factory has died."""
        if not self._ready.wait(START_SECONDS):
            return None
        ours, theirs = socket.socketpair()
        readable, writable = os.pipe()
        with self._lock:
            try:
                socket.send_fds(self._control, [_REQUEST], [theirs.fileno(), writable])
                process = self._forked.get(timeout=START_SECONDS)
            except (OSError, queue.Empty):
                process = None
        theirs.close()
        os.close(writable)
        if process is None:
            ours.close()
            os.close(readable)
            return None
        return _worker(process, ours, readable)

    def watch(self, pid: int) -> None:
        """Have a worker that was started alone, and all in its process group, end with the executor."""
        with self._lock, contextlib.suppress(OSError):
            self._control.send(str(pid).encode())

    def end(self) -> None:
        """End the factory; its workers, and what they have started, end with it."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        while message := self._next_message():
            kind, *numbers = message.split()
            match kind:
                case "ready":
                    self._ready.set()
                case "forked":
                    process = ForkedProcess(int(numbers[0]))
                    self._processes[process.pid] = process
                    self._forked.put(process)
                case "ended":
                    if ended := self._processes.pop(int(numbers[0]), None):
                        ended.note_end(int(numbers[1]))
        self._process.wait()
        for orphan in self._processes.values():
            orphan.note_end(-signal.SIGKILL)
        self._control.close()
        self._ready.set()
        self._forked.put(None)

    def _next_message(self) -> str:
        try:
            return self._control.recv(256).decode()
        except OSError:
            return ""


def _worker(process: subprocess.Popen[bytes] | ForkedProcess, connection: socket.socket, readable: int) -> Worker:
    source = cast(BinaryIO, connection.makefile("rb", _BUFFER))
    return Worker(process, connection, source, Output(readable), last_heard=time.monotonic())


def start_alone(python: str, library: str, folder: str) -> Worker:
    """A worker under another Python than the executor's, with the executor's pyspark from ``library``."""
    ours, theirs = socket.socketpair()
    readable, writable = os.pipe()
    try:
        process = subprocess.Popen(
            [python, str(MAIN), "alone", str(theirs.fileno()), library],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **_ENVIRONMENT},
            cwd=folder or None,
            stdin=subprocess.DEVNULL,
            stdout=writable,
            stderr=writable,
            process_group=0,
        )
    except OSError:
        ours.close()
        os.close(readable)
        raise
    finally:
        theirs.close()
        os.close(writable)
    worker = _worker(process, ours, readable)
    worker.python = python
    return worker


@dataclass(slots=True)
class Factories:
    """The executor's one factory, started again where it died."""

    current: Factory | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def warm_up(self) -> Factory:
        """The factory, started now if there is none."""
        with self.lock:
            if self.current is None or not self.current.alive:
                self.current = Factory()
            return self.current

    def end(self) -> None:
        """End it."""
        with self.lock:
            if self.current is not None:
                self.current.end()
                self.current = None
