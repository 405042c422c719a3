"""The command line and embedded sessions, as users start them: each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VOLTRAY = [sys.executable, "-m", "voltray.driver.main"]
SMALL = ["--executor-cpus", "2", "--executor-memory", "1g", "--object-store-memory", "100m"]
QUICKSTART_OUTPUT = """\
Spark version: 4.1.1
ANSI mode: true
+---+-------+
| id|   name|
+---+-------+
|  2|    Bob|
|  3|Charlie|
+---+-------+

"""


def run_python(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program text in a process of its own, in a folder of its own."""
    (folder / "program.py").write_text(textwrap.dedent(text), encoding="utf-8")
    # The embedded session that other tests share names itself there.
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    command = [sys.executable, "program.py"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
def test_run_prints_what_spark_prints(tmp_path: Path) -> None:
    command = [*VOLTRAY, "run", *SMALL, str(ROOT / "examples" / "quickstart.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, QUICKSTART_OUTPUT), done.stderr[-4000:]


@pytest.mark.slow
def test_run_passes_arguments_and_the_exit_code(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os, sys; print(sys.argv[1:], os.environ['SPARK_REMOTE']); sys.exit(3)\n")
    command = [*VOLTRAY, "run", *SMALL, str(script), "--port", "7", "name"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stderr[-4000:]
    assert re.fullmatch(r"\['--port', '7', 'name'\] sc://127\.0\.0\.1:\d+\n", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
def test_serve_stops_on_a_signal(sent: signal.Signals, tmp_path: Path) -> None:
    command = [*VOLTRAY, "serve", "--port", "0", *SMALL]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        assert re.search(r"listening on sc://127\.0\.0\.1:\d+$", first), (tmp_path / "log").read_text()
        server.send_signal(sent)
        assert server.wait(60) == 0, (tmp_path / "log").read_text()[-4000:]
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_embedded_session(tmp_path: Path) -> None:
    done = run_python(
        """
        import os
        import sys
        import voltray
        from pyspark.sql import SparkSession

        settings = dict(executor_cpus=2, executor_memory="1g", object_store_memory="100m")
        for _ in range(2):
            spark = voltray.session(**settings)
            assert SparkSession.builder.getOrCreate() is spark
            print(spark.range(3).count())
            # Beside its clients in one process, a server waited for itself once a session was collected on its thread.
            assert "voltray.driver.connect.server" not in sys.modules
            spark.stop()
            spark.stop()
            assert "SPARK_REMOTE" not in os.environ
        # The end of the process stops this one.
        print(voltray.session(**settings).version)
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["3", "3", "4.1.1"]), done.stderr[-4000:]


def test_embedded_session_refuses_unknown_settings(tmp_path: Path) -> None:
    done = run_python("import voltray; voltray.session(warehouse='x')", tmp_path)
    assert done.returncode == 1
    assert "SettingError: no such setting: warehouse; there are " in done.stderr
    assert "warehouse_dir" in done.stderr
