"""Stock clients of three Spark versions run the quickstart and a DataFrame program, each in its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SHOWN = """\
Spark version: 4.1.1
ANSI mode: true
+---+-------+
| id|   name|
+---+-------+
|  2|    Bob|
|  3|Charlie|
+---+-------+
"""


def client_python(version: str) -> Path:
    """The Python of an environment with one client, made where it is missing."""
    folder = ROOT / "build" / "clients" / version
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, f"pyspark-client=={version}", "pandas>=2.2,<3"], check=True)
        (folder / "ready").touch()
    return python


def output_of(python: Path, script: Path, remote: str) -> str:
    """What a script prints, run against a server."""
    environment = {**os.environ, "SPARK_REMOTE": remote}
    finished = subprocess.run([str(python), str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize("version", ["4.0.1", "4.2.0"])
def test_a_client_of_another_version(version: str, spark_remote: str) -> None:
    python = client_python(version)
    assert output_of(python, ROOT / "examples" / "quickstart.py", spark_remote).strip() == SHOWN.strip()
    assert output_of(python, HERE / "dataframe_suite.py", spark_remote).strip() == "passed"


def test_the_client_of_the_reference_version(spark_remote: str) -> None:
    python = Path(sys.executable)
    assert output_of(python, ROOT / "examples" / "quickstart.py", spark_remote).strip() == SHOWN.strip()
    assert output_of(python, HERE / "dataframe_suite.py", spark_remote).strip() == "passed"
