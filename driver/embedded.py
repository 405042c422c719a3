"""Servers inside the user's own process: `voltray.session()` and `voltray run`."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from voltray.driver.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

REMOTE_VARIABLE = "SPARK_REMOTE"


def session(**settings: object) -> SparkSession:
    """Start a server on a free port over a local Ray and return a Spark Connect session to it.

    `spark.stop()` stops the server too, and so does the end of the process. Keywords are settings by name
    (docs/settings.md): `voltray.session(executor_cpus=2, warehouse_dir="/tmp/warehouse")`.
    """
    loaded = load_settings({"port": 0, "log_level": "warning", **settings})
    from pyspark.sql import SparkSession as AnySparkSession

    from voltray.driver.connect.server import start_server

    server = start_server(loaded)
    remote = f"sc://{server.address}"
    # Code under test that calls SparkSession.builder.getOrCreate() finds this session.
    announced = os.environ.setdefault(REMOTE_VARIABLE, remote) == remote

    def stop_server() -> None:
        if announced and os.environ.get(REMOTE_VARIABLE) == remote:
            del os.environ[REMOTE_VARIABLE]
        server.stop(0)

    stop_server_once = _once(stop_server)
    atexit.register(stop_server_once)
    try:
        spark: SparkSession = AnySparkSession.builder.remote(remote).create()
    except BaseException:
        stop_server_once()
        raise
    _stop_together(spark, stop_server_once)
    return spark


def run_script(settings: Settings, script: str, args: Sequence[str]) -> int:
    """Run a Python script in a process of its own against a server of its own; return its exit code."""
    from voltray.driver.connect.server import start_server

    server = start_server(settings)
    try:
        environment = {**os.environ, REMOTE_VARIABLE: f"sc://{server.address}"}
        code = subprocess.run([sys.executable, script, *args], env=environment, check=False).returncode
        # A script ended by a signal ends this command as a shell would say it.
        return code if code >= 0 else 128 - code
    finally:
        server.stop(0)


def _stop_together(spark: SparkSession, stop_server: Callable[[], None]) -> None:
    """Make the session's own `stop` stop the server as well."""
    stop_session = spark.stop

    def stop() -> None:
        """Stop the session, and the server that was started for it."""
        try:
            stop_session()
        finally:
            stop_server()
            atexit.unregister(stop_server)

    spark.stop = stop  # type: ignore[method-assign]


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """Return a function that performs the action at its first call alone."""
    lock = threading.Lock()

    def perform() -> None:
        if lock.acquire(blocking=False):
            action()

    return perform
