"""All of TPC-H and TPC-DS as SQL text give DuckDB's answers, on one executor and on three."""

from __future__ import annotations

from typing import Any

import pytest
from answers import same_rows
from data import duckdb_answer, spark_texts, table_names, tables

SCALE = 0.01


def with_views(spark: Any, suite: str) -> Any:
    """The session with the suite's tables as temporary views."""
    folder = tables(SCALE, suite)
    for name in table_names(SCALE, suite):
        spark.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
    return spark


@pytest.mark.parametrize("suite", ["tpch", "tpcds"])
def test_every_query_gives_the_answers_of_duckdb(suite: str, each_spark: Any) -> None:
    spark = with_views(each_spark, suite)
    wrong: dict[int, str] = {}
    for number, text in spark_texts(suite).items():
        try:
            query = spark.sql(text)
            if not same_rows(query.collect(), duckdb_answer(number, SCALE, suite), ordered=False):
                wrong[number] = query._explain_string(extended=True)[:3000]
        except Exception as failure:  # noqa: BLE001 - the other queries are to be run too
            wrong[number] = str(failure).split("\n", maxsplit=1)[0]
    assert not wrong, "\n\n".join(f"{suite} {number}: {why}" for number, why in wrong.items())
