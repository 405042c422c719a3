"""A write that fails leaves what was there, and no half file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("source", ["parquet", "csv", "json", "orc"])
@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_old_data_stays(spark: SparkSession, tmp_path: Path, source: str, mode: str) -> None:
    folder = tmp_path / "data"
    spark.range(10).write.format(source).save(str(folder))
    before = names(folder)
    failing = spark.range(100_000).select((1 / (F.col("id") - 99_999)).alias("id"))
    with pytest.raises(PySparkException):
        failing.write.format(source).mode(mode).save(str(folder))
    assert names(folder) == before
    assert spark.read.format(source).schema("id long").load(str(folder)).count() == 10


def test_nothing_appears_where_nothing_was(spark: SparkSession, tmp_path: Path) -> None:
    failing = spark.range(10).select(F.col("id"), (1 / (F.col("id") - 9)).alias("x"))
    with pytest.raises(PySparkException):
        failing.write.partitionBy("id").parquet(str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_failed_table_is_no_table(spark: SparkSession) -> None:
    failing = spark.range(10).select((1 / (F.col("id") - 9)).alias("x"))
    with pytest.raises(PySparkException):
        failing.write.saveAsTable("half_made")
    assert not spark.catalog.tableExists("half_made")
    spark.range(3).write.saveAsTable("half_made")
    with pytest.raises(PySparkException):
        failing.write.mode("overwrite").saveAsTable("half_made")
    assert spark.table("half_made").count() == 3
    spark.sql("drop table half_made").collect()
