"""Files, tables and ``spark.catalog`` answer as Spark 4.1.1 does, step by step: the answers were recorded from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helper of this test is a module beside it

from recorded_steps import answers, recording

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

FOLDER = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("name", ["files", "catalog"])
def test_as_recorded(name: str, each_spark: SparkSession, tmp_path: Path) -> None:
    recorded = recording(FOLDER / f"recorded_{name}.jsonl")
    # A session of its own: what other tests left in theirs is listed too.
    session = type(each_spark).builder.remote(f"sc://{each_spark.client._builder.endpoint}").create()
    try:
        found = answers(session, tmp_path, [r["step"] for r in recorded])
    finally:
        session.stop()
    wrong = [(r["step"], r["answer"], a) for r, a in zip(recorded, found, strict=True) if r["answer"] != a]
    assert wrong == []
