"""What every client version must be able to do; run as a script with SPARK_REMOTE set."""

import os
import sys
import tempfile

import pyspark
from pyspark.errors import AnalysisException, ArithmeticException
from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).create()
assert spark.version == "4.1.1"
people = spark.createDataFrame([(1, "a", 2.5), (2, "b", None), (3, "a", 4.0)], ["id", "name", "score"])
assert people.schema.simpleString() == "struct<id:bigint,name:string,score:double>"
assert people.filter("id > 1").select((F.col("id") + 1).alias("x")).collect() == [(3,), (4,)]
grouped = people.groupBy("name").agg(F.count("*").alias("n"), F.sum("score").alias("s")).orderBy("name")
assert grouped.collect() == [("a", 2, 6.5), ("b", 1, None)]
assert people.join(spark.range(3), "id").count() == 2
assert people.na.fill(0.0).agg(F.sum("score")).first()[0] == 6.5
assert people.toPandas()["id"].tolist() == [1, 2, 3]
people.createOrReplaceTempView("people")
assert spark.sql("SELECT name FROM people WHERE id = :id", {"id": 2}).collect() == [("b",)]
seen = Observation()
assert people.observe(seen, F.max("id").alias("most")).count() == 3
assert seen.get == {"most": 3}
with tempfile.TemporaryDirectory() as folder:
    people.write.partitionBy("name").parquet(f"{folder}/out")
    assert spark.read.parquet(f"{folder}/out").count() == 3
assert people.cache().count() == 3
people.unpersist()
for action, expected in (
    (lambda: people.select("nope").collect(), AnalysisException),
    (lambda: people.select(1 / (F.col("id") - 1)).collect(), ArithmeticException),
):
    try:
        action()
    except expected:
        continue
    sys.exit(f"no {expected.__name__}")
spark.conf.set("spark.sql.shuffle.partitions", "3")
assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
assert len(spark.createDataFrame([(n, "x" * 100) for n in range(20_000)], ["n", "x"]).collect()) == 20_000
assert "Physical Plan" in people._explain_string() if hasattr(people, "_explain_string") else True
spark.stop()
sys.stdout.write(f"ok {pyspark.__version__}\n")
