"""Joins with small sides, on one executor and on three: folders and rows are left out, and no answer changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import functions as F

OFF = ("spark.sql.optimizer.runtime.bloomFilter.enabled", "spark.sql.optimizer.dynamicPartitionPruning.enabled")


@pytest.fixture
def sales(each_spark: Any) -> Iterator[Any]:
    """A table in a folder for each day and one of days, both analyzed."""
    spark = each_spark
    rows = spark.range(4000).select(
        F.when(F.col("id") % 50 != 0, F.col("id") % 300).alias("item"),
        (F.col("id") * 0.5).alias("price"),
        F.when(F.col("id") % 40 != 0, (F.col("id") % 12).cast("int")).alias("day"),
    )
    rows.write.mode("overwrite").partitionBy("day").saveAsTable("pruned_sales")
    days = spark.range(12).select(F.col("id").alias("day"), (F.col("id") % 3).alias("shift"))
    days.write.mode("overwrite").saveAsTable("pruned_days")
    items = spark.range(3000).select(F.col("id").alias("item"), (F.col("id") % 100).alias("kind"))
    items.write.mode("overwrite").saveAsTable("pruned_items")
    spark.sql("ANALYZE TABLE pruned_days COMPUTE STATISTICS FOR ALL COLUMNS")
    yield spark
    for name in ("pruned_sales", "pruned_days", "pruned_items"):
        spark.sql(f"DROP TABLE {name}")
    for conf in OFF:
        spark.conf.unset(conf)


QUERIES = {
    "folders": "SELECT count(*), sum(price), max(day) FROM pruned_sales JOIN pruned_days USING (day) WHERE shift = 1",
    "keys": "SELECT count(*), sum(price) FROM pruned_sales s JOIN pruned_items i ON s.item = i.item WHERE kind = 7",
    "both": "SELECT day, count(*), sum(price) FROM pruned_sales s LEFT SEMI JOIN pruned_items i "
    "ON s.item = i.item AND i.kind < 9 JOIN pruned_days USING (day) WHERE shift = 2 GROUP BY day ORDER BY day",
    "outer": "SELECT d.day, count(price) FROM (SELECT * FROM pruned_days WHERE shift = 0) d "
    "LEFT JOIN pruned_sales s ON d.day = s.day GROUP BY d.day ORDER BY d.day",
}


def test_answers_are_those_without_filters(sales: Any) -> None:
    for name, text in QUERIES.items():
        answers = []
        for flag in ("true", "false"):
            for conf in OFF:
                sales.conf.set(conf, flag)
            answers.append(sales.sql(text).collect())
        assert answers[0] == answers[1] and answers[0], name
    assert sales.sql(QUERIES["folders"]).first()[0] == sum(1 for i in range(4000) if i % 40 and i % 12 % 3 == 1)


def test_a_plan_names_the_filters_that_its_run_would_find(sales: Any, request: pytest.FixtureRequest) -> None:
    shown = "spark3" in request.node.name
    for text in QUERIES.values():
        assert ("runtimeFilters=[dynamic_pruning(" in sales.sql(text)._explain_string()) is shown
