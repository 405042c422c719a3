"""What the process of a ``foreach`` or ``foreachBatch`` runs: the user's function over one batch after another.

A script of its own that imports nothing of Voltray. The user's function is unpickled here and never in the
driver; it looks at a batch through an ordinary session of the server.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import traceback
from typing import Any, BinaryIO

_DIE_WITH_PARENT = 1


def read_message(source: BinaryIO) -> bytes | None:
    """A message behind its length; None at the end."""
    head = source.read(4)
    if len(head) < 4:
        return None
    (size,) = struct.unpack("!I", head)
    return source.read(size)


def write_message(sink: BinaryIO, data: bytes) -> None:
    """A message behind its length."""
    sink.write(struct.pack("!I", len(data)) + data)
    sink.flush()


def over_batch(function: Any, frame: Any, batch_id: int) -> None:
    """``foreachBatch``."""
    function(frame, batch_id)


def over_rows(command: Any, frame: Any, batch_id: int) -> None:
    """``foreach``: the rows as one partition."""
    from pyspark.taskcontext import TaskContext

    context = TaskContext._getOrCreate()
    context._partitionId = 0
    context._localProperties = {"streaming.sql.batchId": str(batch_id)}
    for _ in command[0](0, iter(frame.toLocalIterator())):
        pass


def main(descriptor: int, url: str, kind: str) -> None:
    """Unpickle the function, join the session, and serve batches until the socket closes."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    connection = socket.socket(fileno=descriptor)
    source, sink = connection.makefile("rb"), connection.makefile("wb")
    run = {"batch": over_batch, "rows": over_rows}[kind]
    try:
        from pyspark.serializers import CPickleSerializer
        from pyspark.sql.connect.session import SparkSession

        command = read_message(source)
        function = CPickleSerializer().loads(command)
        session = SparkSession.builder.remote(url).getOrCreate()
        write_message(sink, b"{}")
        while (request := read_message(source)) is not None:
            asked = json.loads(request)
            run(function, session._create_remote_dataframe(asked["relation"]), asked["batch"])
            write_message(sink, b"{}")
    except BaseException:  # noqa: BLE001 - whatever it is, the query is told
        write_message(sink, json.dumps({"error": traceback.format_exc()}).encode())
    # What is left of the session is the user's: nothing is closed behind their back.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
