"""Clients of other versions, from the package index, run the quickstart and a suite of DataFrame work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SUITE = Path(__file__).with_name("client_suite.py")


@pytest.fixture(scope="module", params=["4.0", "installed", "4.2"])
def client_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder to import a client version from, or "" for the one installed."""
    version = request.param
    if version == "installed":
        return ""
    folder = tmp_path_factory.mktemp(f"client-{version}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    try:
        subprocess.run([*command, f"pyspark-client~={version}.0"], check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
        pytest.skip(f"pyspark-client {version} cannot be installed: {failure}")
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("script", [ROOT / "examples" / "quickstart.py", SUITE], ids=lambda p: p.stem)
def test_client(client_path: str, spark_remote: str, script: Path):
    environment = {**os.environ, "SPARK_REMOTE": spark_remote, "PYTHONPATH": client_path}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("ok 4." if script == SUITE else "|  3|Charlie|") in done.stdout
