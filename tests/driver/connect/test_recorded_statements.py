"""Statements that change and show the catalog: their rows and errors as Spark 4.1.1 gave them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

FOLDER = Path(__file__).parent / "recorded_statements"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@pytest.fixture(autouse=True)
def silent_client() -> Iterator[None]:
    """The client logs every refused statement, and many here are refused as Spark refuses them."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _cell(value: Any) -> str | None:
    return None if value is None else repr(value) if isinstance(value, float) else str(value)


def _outcome(session: SparkSession, sql: str) -> dict[str, Any]:
    try:
        frame = session.sql(sql)
        rows = sorted([[_cell(v) for v in row] for row in frame.collect()], key=str)
        return {"schema": [[f.name, f.dataType.simpleString()] for f in frame.schema.fields], "rows": rows}
    except PySparkException as failure:
        return {"error": failure.getCondition()}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_recorded_script_runs_as_on_spark(spark: SparkSession, script: str) -> None:
    spark.conf.set("spark.sql.session.timeZone", "America/Los_Angeles")
    wrong = []
    for line in (FOLDER / f"{script}.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        sql = record.pop("sql")
        found = _outcome(spark, sql)
        if found != record:
            wrong.append(f"{sql}: wanted {record}, got {found}")
    spark.conf.unset("spark.sql.session.timeZone")
    assert not wrong, "\n".join(wrong)
