"""One suite of queries, answered alike by one executor and by three on three Ray nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

pytestmark = pytest.mark.cluster


def people(spark: SparkSession) -> DataFrame:
    """Rows with NULLs, duplicates and several types."""
    rows = [
        (i % 5 if i % 7 else None, f"name {i % 11}", float(i) if i % 3 else None, i, [i, i + 1], {"k": i})
        for i in range(200)
    ]
    return spark.createDataFrame(
        rows, "key int, name string, value double, id int, list array<int>, map map<string,int>"
    )


def numbers(spark: SparkSession) -> DataFrame:
    """Two thousand numbers with a key."""
    return spark.range(0, 2000).withColumn("key", (F.col("id") * 7919) % 53)


def observed(spark: SparkSession) -> Any:
    """Metrics observed on the way."""
    from pyspark.sql import Observation

    observation = Observation("metrics")
    numbers(spark).observe(observation, F.count(F.lit(1)).alias("n"), F.max("id").alias("m")).collect()
    return observation.get


by_key = Window.partitionBy("key").orderBy("id")

ORDERED: dict[str, Callable[[SparkSession], DataFrame]] = {
    "global sort": lambda s: people(s).select("value", "id").orderBy(F.desc("value"), "id"),
    "sort by text": lambda s: people(s).select("name", "id").orderBy("name", F.desc("id")),
    "sort nulls last": lambda s: people(s).select("key", "id").orderBy(F.asc_nulls_last("key"), "id"),
    "top k": lambda s: numbers(s).orderBy(F.desc("key"), "id").limit(17),
    "top k after offset": lambda s: numbers(s).orderBy("key", "id").offset(5).limit(9),
    "sort of groups": lambda s: numbers(s).groupBy("key").agg(F.sum("id").alias("s")).orderBy("key"),
    "limit of a range": lambda s: s.range(1000).limit(7),
}

UNORDERED: dict[str, Callable[[SparkSession], DataFrame]] = {
    "filter and project": lambda s: (
        people(s).filter("id % 2 = 0").select("id", (F.col("value") * 2).alias("d"))
    ),
    "aggregates": lambda s: (
        people(s)
        .groupBy("key")
        .agg(F.count("*"), F.sum("value"), F.avg("value"), F.min("name"), F.max("id"), F.stddev("id"))
    ),
    "aggregates of all": lambda s: numbers(s).agg(F.count("*"), F.sum("id"), F.avg("key"), F.min("id")),
    "aggregates of nothing": lambda s: numbers(s).filter("id < 0").agg(F.count("*"), F.sum("id")),
    "distinct aggregates": lambda s: (
        numbers(s)
        .groupBy((F.col("id") % 3).alias("g"))
        .agg(F.countDistinct("key"), F.sum_distinct("key"), F.count("*"))
    ),
    "distinct aggregate of all": lambda s: numbers(s).agg(F.countDistinct("key"), F.sum("id")),
    "collected sets": lambda s: (
        numbers(s).groupBy("key").agg(F.sort_array(F.collect_set(F.col("id") % 4)).alias("c"))
    ),
    "rollup": lambda s: people(s).rollup("key", "name").agg(F.sum("id")),
    "cube": lambda s: people(s).cube("key", "name").count(),
    "pivot": lambda s: people(s).groupBy("key").pivot("name", ["name 1", "name 2"]).sum("id"),
    "distinct": lambda s: people(s).select("key", "name").distinct(),
    "drop duplicates": lambda s: people(s).dropDuplicates(["name"]).select("name"),
    "inner join": lambda s: numbers(s).join(people(s), "key").groupBy("name").count(),
    "left join": lambda s: (
        people(s).join(s.range(3).withColumnRenamed("id", "key"), "key", "left").select("key", "id")
    ),
    "right join": lambda s: (
        s.range(9).withColumnRenamed("id", "key").join(people(s), "key", "right").select("key", "id")
    ),
    "full join": lambda s: (
        s.range(9).alias("a").join(people(s).alias("b"), F.col("a.id") == F.col("b.key"), "full")
    ),
    "semi join": lambda s: (
        people(s).join(s.range(2).withColumnRenamed("id", "key"), "key", "semi").select("id")
    ),
    "anti join": lambda s: (
        people(s).join(s.range(2).withColumnRenamed("id", "key"), "key", "anti").select("id")
    ),
    "cross join": lambda s: s.range(4).crossJoin(s.range(3).withColumnRenamed("id", "other")),
    "join on inequality": lambda s: (
        s.range(9).alias("a").join(s.range(9).alias("b"), F.expr("a.id < b.id and a.id > 5"))
    ),
    "full join on inequality": lambda s: (
        s.range(4).alias("a").join(s.range(4).alias("b"), F.expr("a.id > b.id + 1"), "full")
    ),
    "null-safe join": lambda s: (
        people(s)
        .alias("a")
        .join(people(s).filter("key is null").alias("b"), F.expr("a.key <=> b.key"))
        .select("a.id", "b.id")
    ),
    "join on an expression": lambda s: (
        s.range(20).alias("a").join(s.range(20).alias("b"), F.expr("a.id + 1 = b.id * 2"))
    ),
    "broadcast hint": lambda s: (
        numbers(s).join(F.broadcast(s.range(3).withColumnRenamed("id", "key")), "key").select("id")
    ),
    "window rank": lambda s: numbers(s).withColumn("r", F.row_number().over(by_key)).filter("r <= 3"),
    "window sums": lambda s: numbers(s).withColumn("t", F.sum("id").over(by_key)).filter("id % 100 = 0"),
    "window over all": lambda s: s.range(50).withColumn("l", F.lag("id").over(Window.orderBy("id"))),
    "union": lambda s: s.range(5).union(s.range(3, 9)),
    "union by name": lambda s: (
        people(s).select("id", "name").unionByName(people(s).select("name", "id")).distinct()
    ),
    "intersect": lambda s: numbers(s).select("key").intersect(s.range(20)),
    "intersect all": lambda s: numbers(s).select("key").intersectAll(s.range(60).selectExpr("id % 20")),
    "except": lambda s: s.range(60).exceptAll(numbers(s).select("key").distinct()),
    "explode": lambda s: people(s).select("id", F.explode("list").alias("item")),
    "lists and maps": lambda s: people(s).select("id", "list", "map").filter("id < 20"),
    "repartitioned": lambda s: numbers(s).repartition(5, "key").groupBy("key").count(),
    "coalesced": lambda s: numbers(s).coalesce(2).filter("key = 1"),
    "exists": lambda s: s.sql(
        "select id from range(9) a where exists (select 1 from range(3) b where b.id = a.id)"
    ),
    "not in": lambda s: s.sql("select id from range(9) a where id not in (select id * 2 from range(3))"),
    "count bug": lambda s: s.sql(
        "select id, (select count(*) from range(3) b where b.id < a.id) c from range(5) a"
    ),
    "lateral": lambda s: s.sql(
        "select * from range(4) a, lateral (select id b from range(9) r where r.id < a.id)"
    ),
}

SINGLE: dict[str, Callable[[SparkSession], Any]] = {
    "count": lambda s: numbers(s).count(),
    "observed metrics": observed,
    "tail": lambda s: s.range(100).tail(3),
    "cached": lambda s: (lambda df: (df.count(), df.filter("key = 3").count(), df.unpersist() and None))(
        numbers(s).cache()
    ),
}


def rows_of(frame: DataFrame) -> list[str]:
    """Rows as text, floats to ten digits: sums of parts differ in the last one."""
    return [repr([_rounded(v) for v in row]) for row in frame.collect()]


def _rounded(value: Any) -> Any:
    return float(f"{value:.10g}") if isinstance(value, float) else value


@pytest.mark.parametrize("name", ORDERED)
def test_ordered_results_are_the_same(name: str, spark: SparkSession, spark3: SparkSession) -> None:
    rows = rows_of(ORDERED[name](spark))
    assert rows
    assert rows_of(ORDERED[name](spark3)) == rows


@pytest.mark.parametrize("threshold", ["10485760", "-1"], ids=["broadcast", "shuffled"])
@pytest.mark.parametrize("name", UNORDERED)
def test_unordered_results_have_the_same_rows(
    name: str, threshold: str, spark: SparkSession, spark3: SparkSession
) -> None:
    if threshold == "-1" and "join" not in name:
        pytest.skip("has no join")
    rows = sorted(rows_of(UNORDERED[name](spark)))
    assert rows
    spark3.conf.set("spark.sql.autoBroadcastJoinThreshold", threshold)
    try:
        assert sorted(rows_of(UNORDERED[name](spark3))) == rows
    finally:
        spark3.conf.unset("spark.sql.autoBroadcastJoinThreshold")


@pytest.mark.parametrize("name", SINGLE)
def test_single_answers_are_the_same(name: str, spark: SparkSession, spark3: SparkSession) -> None:
    assert SINGLE[name](spark3) == SINGLE[name](spark)


def test_a_write_and_a_read_cross_nodes(spark3: SparkSession, tmp_path: Any) -> None:
    path = str(tmp_path / "numbers")
    numbers(spark3).repartition(4).write.parquet(path)
    back = spark3.read.parquet(path)
    assert len(back.inputFiles()) == 4
    assert sorted(rows_of(back)) == sorted(rows_of(numbers(spark3)))
    assert back.groupBy("key").count().count() == 53


def test_checkpoints_are_read_again(each_spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client gives a checkpoint to the session that is active, whichever made it.
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    monkeypatch.setattr(ConnectSession._active_session, "session", each_spark, raising=False)
    assert numbers(each_spark).checkpoint().groupBy("key").count().count() == 53
