"""The fixtures' servers answer alike with one executor and with three on three Ray nodes."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, count, sum


def test_local_rows(each_spark: SparkSession) -> None:
    rows = (
        each_spark.createDataFrame([(1, "a"), (2, "b"), (3, None)], ["id", "name"]).filter("id > 1").collect()
    )
    assert [tuple(row) for row in rows] == [(2, "b"), (3, None)]


def test_grouping_crosses_an_exchange(each_spark: SparkSession) -> None:
    numbers = each_spark.range(0, 1000, 1, 6).withColumn("key", col("id") % 7)
    rows = numbers.groupBy("key").agg(count("*"), sum("id")).orderBy("key").collect()
    expected = [(key, len(range(key, 1000, 7)), sum_of(range(key, 1000, 7))) for key in range(7)]
    assert [tuple(row) for row in rows] == expected


def test_join_and_sort_cross_exchanges(each_spark: SparkSession) -> None:
    left = each_spark.range(0, 200, 1, 4).withColumn("key", col("id") % 10)
    right = (
        each_spark.range(0, 10, 1, 3)
        .withColumnRenamed("id", "key")
        .withColumn("square", col("key") * col("key"))
    )
    rows = left.join(right, "key").orderBy(col("id").desc()).limit(3).collect()
    assert [tuple(row) for row in rows] == [(9, 199, 81), (8, 198, 64), (7, 197, 49)]


def sum_of(numbers: range) -> int:
    """Return the sum in plain Python: `sum` is Spark's here."""
    total = 0
    for number in numbers:
        total += number
    return total
