"""Whatever dies, nothing that it started goes on, and no temporary folder stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.functions import udf

pytestmark = pytest.mark.cluster
COMMAND = "serve --port 0 --executors 1 --executor-cpus 1 --object-store-memory 100m"


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    temporary: Path


def start(folder: Path, temporary: Path, port: str = "0") -> Server:
    """Start a server whose temporary folders lie in a folder of its own."""
    command = [sys.executable, "-m", "voltray.driver.main", *COMMAND.split(), "--warehouse-dir", str(folder / "w")]
    command[command.index("--port") + 1] = port
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    assert process.stdout is not None
    address = next(m[1] for line in process.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
    return Server(process, address, temporary)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    # Ray's sockets lie there, and their names may not be long.
    with tempfile.TemporaryDirectory(prefix="vt", ignore_cleanup_errors=True) as temporary:
        started = start(tmp_path, Path(temporary))
        yield started
        started.process.kill()
        started.process.wait()


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return found + [below for child in found for below in children(child)]


def name_of(pid: int) -> str:
    """What a process calls itself."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def executor_of(server: Server) -> int:
    """The process of the executor."""
    (pid,) = [p for p in children(server.process.pid) if "ray::Executor" in name_of(p)]
    return pid


def soon(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def leave_processes(spark: SparkSession) -> list[int]:
    """Have a Python function start two processes, one in a session of its own, and stay."""

    @udf("array<int>")
    def started(_: int) -> list[int]:
        import subprocess

        return [subprocess.Popen(["sleep", "600"], start_new_session=own).pid for own in (False, True)]

    (row,) = spark.range(1).select(started("id")).collect()
    return list(row[0])


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that waits for its parent to look does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_processes_of_python_functions_end_with_their_executor(server: Server) -> None:
    spark = SparkSession.builder.remote(server.address).create()
    pids = leave_processes(spark)
    assert all(map(is_alive, pids))
    os.kill(executor_of(server), signal.SIGKILL)
    assert soon(lambda: not any(map(is_alive, pids)))
    assert leave_processes(spark)
    spark.stop()


def test_a_killed_driver_leaves_its_tables_and_nothing_else(server: Server, tmp_path: Path) -> None:
    spark = SparkSession.builder.remote(server.address).create()
    spark.range(5).write.saveAsTable("kept")
    spark.addArtifacts(__file__, file=True)
    # Ray's own agents look for their parent only now and then.
    pids = [*leave_processes(spark), *[p for p in children(server.process.pid) if "Agent" not in name_of(p)]]
    server.process.kill()
    server.process.wait()
    assert soon(lambda: not any(map(is_alive, pids)))
    again = start(tmp_path, server.temporary, server.address.rpartition(":")[2])
    try:
        with pytest.raises(PySparkException) as raised:
            spark.range(1).collect()
        assert raised.value.getCondition() == "INVALID_HANDLE.SESSION_CHANGED"
        other = SparkSession.builder.remote(again.address).create()
        assert other.table("kept").count() == 5
        other.addArtifacts(__file__, file=True)
        assert other.range(2).count() == 2
        other.stop()
    finally:
        again.process.terminate()
        again.process.wait(60)
    assert not [p for p in server.temporary.glob("voltray-*") if p.name != "voltray-spill"]
