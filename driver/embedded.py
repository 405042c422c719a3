"""Servers that belong to a process of the user's: `voltray.session()` and `voltray run`."""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from voltray.driver.settings import Settings, as_flags, load_settings

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

REMOTE_VARIABLE = "SPARK_REMOTE"
_STOP_SECONDS = 20.0
# The server is the program's own: a free port, no page beside it, and quiet unless asked otherwise.
_OWN_DEFAULTS = {"port": 0, "ui_port": 0, "log_level": "warning"}


def session(**settings: object) -> SparkSession:
    """Start a server on a free port over a local Ray and return a Spark Connect session to it.

    `spark.stop()` stops the server too, and so does the end of the process. Keywords are settings by name
    (docs/settings.md): `voltray.session(executor_cpus=2, warehouse_dir="/tmp/warehouse")`.
    A Ray that this process has started already is used rather than another.
    """
    loaded = load_settings({**_OWN_DEFAULTS, "ray_address": _address_of_ray(), **settings})
    from pyspark.sql import SparkSession as AnySparkSession

    server = EmbeddedServer(loaded)
    # Code under test that calls SparkSession.builder.getOrCreate() finds this session.
    announced = os.environ.setdefault(REMOTE_VARIABLE, server.remote) == server.remote

    def stop_server() -> None:
        if announced and os.environ.get(REMOTE_VARIABLE) == server.remote:
            del os.environ[REMOTE_VARIABLE]
        server.stop()

    stop_server_once = _once(stop_server)
    atexit.register(stop_server_once)
    try:
        spark: SparkSession = AnySparkSession.builder.remote(server.remote).create()
    except BaseException:
        stop_server_once()
        raise
    _stop_together(spark, stop_server_once)
    return spark


class EmbeddedServer:
    """A server in a process of its own that ends with this one.

    Beside its clients in one process it could wait for itself: Python may collect a client's session on the very
    thread that serves, and the session's end asks the server to release it.
    """

    def __init__(self, settings: Settings) -> None:
        command = [sys.executable, "-m", "voltray.driver.main", "serve", "--until-input-ends", *as_flags(settings)]
        # Ctrl-C is meant for the user's program; the server ends once its input does.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._seconds = settings.graceful_stop_seconds + _STOP_SECONDS
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if match := re.search(r"listening on (sc://\S+)", line):
                self.remote = match[1]
                break
        else:
            raise RuntimeError(f"the embedded server ended with exit code {self._process.wait()} before it listened")

    def stop(self) -> None:
        """End the server and wait for it."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address_of_ray() -> str | None:
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    return str(ray.get_runtime_context().gcs_address)


def run_script(settings: Settings, script: str, args: Sequence[str]) -> int:
    """Run a Python script in a process of its own against a server of its own; return its exit code."""
    from voltray.driver.connect.server import start_server

    server = start_server(settings)
    try:
        environment = {**os.environ, REMOTE_VARIABLE: f"sc://{server.address}"}
        if server.page_address is not None:
            click.echo(f"Status page: {server.page_address}", err=True)
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
