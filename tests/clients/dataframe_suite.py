"""A DataFrame program that any client may run: every assertion holds on Spark too. SPARK_REMOTE names the server."""

from __future__ import annotations

import os
from decimal import Decimal

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window


def run(spark: SparkSession) -> None:
    """Check a little of everything."""
    people = spark.createDataFrame([(1, "Ann", 2.5), (2, "Bob", None), (3, "Cid", 1.0)], ["id", "name", "score"])
    assert people.schema.simpleString() == "struct<id:bigint,name:string,score:double>"
    assert people.filter(F.col("score").isNull()).collect() == [Row(id=2, name="Bob", score=None)]
    assert people.select((F.col("id") + 1).alias("next")).collect()[0].next == 2
    assert people.agg(F.sum("score"), F.count("*")).first() == (3.5, 3)
    doubled = people.withColumn("twice", people.id * 2).drop("score")
    assert doubled.columns == ["id", "name", "twice"]
    joined = people.join(doubled.select("id", "twice"), "id", "left").orderBy(F.desc("id"))
    assert [r.twice for r in joined.collect()] == [6, 4, 2]
    ranked = people.select("id", F.row_number().over(Window.orderBy(F.desc("id"))).alias("place"))
    assert {r.id: r.place for r in ranked.collect()} == {3: 1, 2: 2, 1: 3}
    people.createOrReplaceTempView("people")
    assert spark.sql("SELECT max(name) AS last FROM people WHERE id < :n", args={"n": 3}).first() == ("Bob",)
    assert spark.sql("SELECT CAST(1.10 AS DECIMAL(5, 2)) AS d").first() == (Decimal("1.10"),)
    assert spark.range(10).repartition(3).distinct().count() == 10
    nested = spark.sql("SELECT array(1, 2) AS a, map('k', 1) AS m, named_struct('x', 1) AS s").first()
    assert nested == Row(a=[1, 2], m={"k": 1}, s=Row(x=1))
    assert people.toPandas()["id"].tolist() == [1, 2, 3]
    assert people.groupBy().pivot("name").count().columns == ["Ann", "Bob", "Cid"]
    try:
        people.select("nothing").collect()
    except Exception as failure:  # noqa: BLE001 - the class differs between clients
        assert "UNRESOLVED_COLUMN.WITH_SUGGESTION" in str(failure)
    else:
        raise AssertionError("an unknown column was accepted")


if __name__ == "__main__":
    session = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).getOrCreate()
    run(session)
    session.stop()
    print("passed")
