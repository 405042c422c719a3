"""The extension where there is no server yet: in a terminal's IPython, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_cell("%load_ext voltray").raise_error()
shell.run_cell("table = %sql select 7 as n, '宽' as w").raise_error()
print(shell.display_formatter.format(shell.user_ns["table"])[0]["text/plain"])
shell.run_cell("spark.stop()")
"""


@pytest.mark.slow
def test_a_server_is_started_where_there_is_none(tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    environment |= {
        "VOLTRAY_EXECUTOR_CPUS": "2", "VOLTRAY_EXECUTOR_MEMORY": "1g", "VOLTRAY_OBJECT_STORE_MEMORY": "100m",
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    first, *table = done.stdout.splitlines()
    assert first.startswith("`spark` is a session of Spark 4.1.1 at sc://127.0.0.1:")
    assert table[:5] == ["+---+---+", "|  n|  w|", "+---+---+", "|  7| 宽|", "+---+---+"]
