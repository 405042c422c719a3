"""Sessions on real servers: `spark` on one executor, `spark3` on three executors on three Ray nodes."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pyspark.sql.connect.client import SparkConnectClient
from pyspark.sql.connect.session import SparkSession

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# What a developer's shell points at must not be what the tests talk to.
for variable in [name for name in os.environ if name.startswith("VOLTRAY_") or name == "SPARK_REMOTE"]:
    del os.environ[variable]

# Python may collect a session on the thread that serves its own channel. PySpark's finalizer then waits there for calls
# that this thread is to answer, holding a lock that every later query needs: tests stop their sessions themselves.
del SparkSession.__del__
# At the end of the process each client that is still open asks its server to clean its models up. Where the server has
# ended, that is retried for ten minutes: for each client, one after the other.
SparkConnectClient._cleanup_ml_cache = lambda self: None  # type: ignore[method-assign]

SECONDS_BEFORE_STACKS = 240
OBJECT_STORE_MEMORY = 300 << 20
NODE_OBJECT_STORE_MEMORY = 120 << 20
EXECUTOR_MEMORY = 2 << 30
SERVED_PAGES: dict[str, str] = {}
"""Status pages by the port of their server."""


def pytest_sessionfinish() -> None:
    """Close the clients that are still open: their threads would go on asking servers that have ended."""
    for client in [c for c in gc.get_objects() if isinstance(c, SparkConnectClient) and not c.is_closed]:
        client._channel.close()


@pytest.fixture(autouse=True)
def stacks_of_executors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Show where executors are when a test is about to run out of time: its own threads only wait for them."""
    timer = threading.Timer(SECONDS_BEFORE_STACKS, show_stacks_of_executors)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


def show_stacks_of_executors() -> None:
    """Have the executors below this process write their stacks to Ray's logs, and print the ends of those."""
    pids = subprocess.run(["pgrep", "-f", "^ray::Executor"], capture_output=True, text=True, check=False).stdout.split()
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(int(pid), signal.SIGUSR2)
    time.sleep(2)
    for pid in pids:
        for log in Path("/tmp/ray").glob(f"session_*/logs/worker-*-{pid}.err"):
            print(f"\n{log.name}:\n{log.read_text(errors='replace')[-8000:]}", file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return a session on an embedded server with one executor."""
    import voltray

    session = voltray.session(
        executors=1,
        executor_cpus=2,
        executor_memory=EXECUTOR_MEMORY,
        object_store_memory=OBJECT_STORE_MEMORY,
        warehouse_dir=tmp_path_factory.mktemp("one") / "warehouse",
        graceful_stop_seconds=1,
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_remote(spark: SparkSession) -> str:
    """Return the connection string of the server behind `spark`, for clients of one's own."""
    return f"sc://{spark.client._builder.endpoint}"  # type: ignore[attr-defined]


@pytest.fixture
def executors_busy(spark: SparkSession) -> Callable[[], bool]:
    """Return a way to ask whether executors below this process are at work: it looks on for half a second."""

    def seconds() -> float:
        total = 0.0
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Executor"):
                    total += sum(process.cpu_times()[:2])
        return total

    def busy() -> bool:
        before = seconds()
        time.sleep(0.5)
        return seconds() - before > 0.1

    return busy


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[str]:
    """Start three Ray nodes on this machine and return their cluster's address."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": NODE_OBJECT_STORE_MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        for _ in range(2):
            cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.fixture(scope="session")
def spark3_remote(three_nodes: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the connection string of a server with three executors, one on each of three Ray nodes.

    The server is a process of its own: a process attaches to one Ray cluster only, and `spark` has done so.
    """
    folder, ui_port = tmp_path_factory.mktemp("three"), free_port()
    command = [sys.executable, "-m", "voltray.driver.main", "serve", "--port", "0"]
    command += ["--ray-address", three_nodes, "--executors", "3", "--executor-cpus", "1"]
    command += ["--executor-memory", str(EXECUTOR_MEMORY // 2), "--graceful-stop-seconds", "1"]
    # Exchanges must really happen: no input is small enough for one stage.
    command += ["--single-stage-bytes", "0", "--warehouse-dir", str(folder / "warehouse"), "--ui-port", str(ui_port)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        address = _wait_for_address(server, folder / "server.log")
        assert server.stdout is not None
        SERVED_PAGES[address.rpartition(":")[2]] = server.stdout.readline().split()[-1]
        yield address
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def spark3(spark3_remote: str) -> Iterator[SparkSession]:
    """Return a session on a server with three executors on three Ray nodes."""

    session = SparkSession.builder.remote(spark3_remote).create()
    yield session
    session.stop()


@pytest.fixture(params=["spark", pytest.param("spark3", marks=pytest.mark.cluster)])
def each_spark(request: pytest.FixtureRequest) -> SparkSession:
    """Return `spark`, then `spark3`: for tests whose answers must not depend on where they run."""
    session: SparkSession = request.getfixturevalue(request.param)
    return session


@pytest.fixture(scope="session")
def spark3_page(spark3: SparkSession) -> str:
    """Return where the status page of the server behind `spark3` is."""
    endpoint = spark3.client._builder.endpoint  # type: ignore[attr-defined]
    return SERVED_PAGES[endpoint.rpartition(":")[2]]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_address(server: subprocess.Popen[str], log: Path) -> str:
    """Read the server's output up to the line that names its address."""
    assert server.stdout is not None
    for line in server.stdout:
        if match := re.search(r"listening on (sc://\S+)", line):
            return match[1]
    raise RuntimeError(f"the server ended with {server.wait()}:\n{log.read_text()[-4000:]}")
