"""Statements recorded from Spark keep matching: for each script at least as many as ``golden_counts.tsv`` says."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from golden import mismatches, recorded_counts, scripts


@pytest.fixture(scope="module")
def fresh_remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own with an empty warehouse: the scripts name tables as they like."""
    folder = tmp_path_factory.mktemp("golden")
    command = [sys.executable, "-m", "voltray.driver.main", "serve", "--port", "0", "--executor-cpus", "2"]
    command += ["--object-store-memory", str(200 << 20), "--warehouse-dir", str(folder / "warehouse")]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        addresses = (re.search(r"listening on (sc://\S+)", line) for line in server.stdout)
        yield next(match[1] for match in addresses if match)
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def silent_client() -> Iterator[None]:
    """The client logs every refused statement, and most of the refusals are what Spark does."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("script", scripts())
def test_a_script_matches_as_far_as_it_did(script: str, fresh_remote: str, silent_client: None) -> None:
    matched, wrong = mismatches(fresh_remote, script)
    assert matched >= recorded_counts().get(script, 0), "\n".join(wrong)
