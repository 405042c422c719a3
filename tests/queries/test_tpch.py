"""TPC-H queries through the DataFrame API give DuckDB's answers, on one executor and on three."""

from __future__ import annotations

from typing import Any

import pytest
from answers import same_rows
from data import TABLES, duckdb_answer, tables
from tpch_queries import QUERIES

SCALE = 0.01


@pytest.mark.parametrize("number", QUERIES)
def test_a_query_gives_the_answer_of_duckdb(number: int, each_spark: Any) -> None:
    folder = tables(SCALE)
    frames = {t: each_spark.read.parquet(str(folder / f"{t}.parquet")) for t in TABLES}
    query = QUERIES[number][0](frames)
    rows = query.collect()
    assert same_rows(rows, duckdb_answer(number, SCALE)), query._explain_string(extended=True)
