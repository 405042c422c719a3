"""The process that runs a user's function over batches."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from voltray.proto.failures import ErrorKind, SparkError, spark_error

_WORKER = Path(__file__).with_name("foreach_worker.py")
_CONDITIONS = {"batch": "FOREACH_BATCH_USER_FUNCTION_ERROR", "rows": "FOREACH_USER_FUNCTION_ERROR"}


@dataclass(slots=True)
class PythonProcess:
    """A process, the socket to it, and the function that it runs (as the client pickled it)."""

    kind: str
    process: subprocess.Popen[bytes]
    connection: socket.socket
    source: BinaryIO

    @classmethod
    def start(cls, kind: str, command: bytes, url: str) -> PythonProcess:
        """Start a process for a function over batches (``batch``) or rows (``rows``)."""
        ours, theirs = socket.socketpair()
        environment = {k: v for k, v in os.environ.items() if k not in ("SPARK_REMOTE", "SPARK_LOCAL_REMOTE")}
        environment |= {"SPARK_CONNECT_MODE_ENABLED": "1", "PYTHONUNBUFFERED": "YES"}
        # Command lines can be read by everyone on the machine, environments only by the same user.
        url, _, token = url.partition(";token=")
        environment |= {"SPARK_CONNECT_AUTHENTICATE_TOKEN": token} if token else {}
        process = subprocess.Popen(
            [sys.executable, str(_WORKER), str(theirs.fileno()), url, kind],
            pass_fds=(theirs.fileno(),),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=2,
        )
        theirs.close()
        made = cls(kind, process, ours, cast(BinaryIO, ours.makefile("rb")))
        try:
            made._send(command)
            made._receive()
        except BaseException:
            made.close()
            raise
        return made

    def call(self, relation_id: str, batch_id: int) -> None:
        """Run the function over a batch."""
        self._send(json.dumps({"relation": relation_id, "batch": batch_id}).encode())
        self._receive()

    def cancel(self) -> None:
        """Kill the process, whatever it is at."""
        self.process.kill()

    def close(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.source.close()
        self.connection.close()

    def _send(self, data: bytes) -> None:
        try:
            self.connection.sendall(struct.pack("!I", len(data)) + data)
        except OSError as error:
            raise self._failed("The Python process of the function has ended.") from error

    def _receive(self) -> None:
        head = self.source.read(4)
        if len(head) < 4:
            raise self._failed("The Python process of the function has ended.")
        reply = json.loads(self.source.read(struct.unpack("!I", head)[0]))
        if "error" in reply:
            raise self._failed(reply["error"])

    def _failed(self, reason: str) -> SparkError:
        return spark_error(_CONDITIONS[self.kind], ErrorKind.SPARK, reason=reason)
