"""The smallest Spark Connect program: the same file runs against Voltray and against Spark."""

import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import col

spark = SparkSession.builder.remote(os.environ.get("SPARK_REMOTE", "sc://localhost:15002")).getOrCreate()

print(f"Spark version: {spark.version}")
print(f"ANSI mode: {spark.conf.get('spark.sql.ansi.enabled')}")

people = spark.createDataFrame([(1, "Alice"), (2, "Bob"), (3, "Charlie")], ["id", "name"])
people.filter(col("id") > 1).show()

spark.stop()
