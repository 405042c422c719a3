"""Spark's own doctests pass, but for those listed with a reason in ``expected_failures.tsv``.

The list is strict both ways: an object that fails without standing there fails the test, and so does one
that stands there and passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = (
    "column",
    "conf",
    "window",
    "observation",
    "group",
    "session",
    "catalog",
    "readwriter",
    "dataframe",
    "functions.partitioning",
    "functions.builtin",
    "tvf",
    "streaming.readwriter",
    "streaming.query",
)


def expected_failures(module: str) -> dict[str, str]:
    """Names of objects that are known to fail -> why."""
    lines = (HERE / "expected_failures.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {name: reason for of_module, name, reason in rows if of_module == module}


@pytest.mark.parametrize("module", MODULES)
def test_doctests_of_the_client_pass(module: str, spark_remote: str, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    command = [sys.executable, str(HERE / "doctest_runner.py"), spark_remote, str(out)]
    environment = {**os.environ, "SPARK_HOME": str(tmp_path), "PYTHONHASHSEED": "0"}
    finished = subprocess.run(
        [*command, f"pyspark.sql.connect.{module}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert records, finished.stderr[-3000:]
    names = {record["name"] for record in records}
    failed = {record["name"]: record["text"] for record in records if record["failed"]}
    expected = expected_failures(module)
    unexpected = sorted(set(failed) - set(expected))
    shown = "\n".join(failed[name][:1500] for name in unexpected[:5])
    assert not unexpected, f"{len(failed)} of {len(records)} fail; not listed: {unexpected}\n{shown}"
    assert not set(expected) & (names - set(failed)), "these pass now; take them off the list"
    assert set(expected) <= names, "the list names objects that do not exist"
