"""Functions in SQL, variables, EXECUTE IMMEDIATE, IDENTIFIER, scripts and refusals, as recorded from Spark 4.1.1.

Each file holds statements run in order in one session: a schema and rows, or an error with its parameters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession

RECORDED = ("answers.jsonl", "programs.jsonl", "refusals.jsonl")


@pytest.fixture
def silent_client() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _outcome(session: SparkSession, text: str) -> dict[str, Any]:
    try:
        frame = session.sql(text)
        rows = sorted([[str(cell) for cell in row] for row in frame.collect()])
        return {"sql": text, "schema": frame.schema.simpleString(), "rows": rows}
    except PySparkException as error:
        parameters = dict(sorted((error.getMessageParameters() or {}).items()))
        return {
            "sql": text, "error": error.getCondition(), "sqlstate": error.getSqlState(), "parameters": parameters,
        }  # fmt: skip


@pytest.mark.parametrize("recorded", RECORDED)
def test_programs_do_what_spark_does(spark: SparkSession, silent_client: None, recorded: str) -> None:
    wrong = []
    for line in Path(__file__).with_name(recorded).read_text(encoding="utf-8").splitlines():
        wanted = json.loads(line)
        found = _outcome(spark, wanted["sql"])
        if {k: found.get(k) for k in wanted} != wanted:
            wrong.append((wanted, found))
    assert not wrong
