"""An executor that lives and answers no more is ended, and its queries run again elsewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql.connect.session import SparkSession

pytestmark = pytest.mark.cluster
COMMAND = "serve --port 0 --executors 1 --executor-cpus 1 --executor-silence-seconds 6 --object-store-memory 100m"


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return found + [below for child in found for below in children(child)]


def test_a_stopped_executor_is_replaced(tmp_path: Path):
    command = [sys.executable, "-m", "voltray.driver.main", *COMMAND.split(), "--warehouse-dir", str(tmp_path / "w")]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        address = next(m[1] for line in server.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
        spark = SparkSession.builder.remote(address).create()
        assert spark.range(3).count() == 3
        executors = [p for p in children(server.pid) if "ray::Executor" in Path(f"/proc/{p}/cmdline").read_text()]
        assert len(executors) == 1
        os.kill(executors[0], signal.SIGSTOP)
        assert spark.range(4).count() == 4
        assert not Path(f"/proc/{executors[0]}").exists()
        spark.stop()
    finally:
        server.terminate()
        server.wait(30)
    assert "gave no answer" in (tmp_path / "log").read_text()
