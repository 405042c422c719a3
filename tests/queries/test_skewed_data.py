"""Skewed keys on three executors: partitions are really split, and answers are those of the unsplit plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

pytestmark = pytest.mark.cluster

ROWS = 60_000
HOT = 7
CONFS = {
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "64KB",
    "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "64KB",
}
SPLIT = "spark.sql.adaptive.skewJoin.enabled"


@pytest.fixture(scope="module")
def sides(spark3: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DataFrame, DataFrame]]:
    """Facts of which most have one key, some none and some a key of theirs alone; and one row a key, hot one twice."""
    folder = tmp_path_factory.mktemp("skewed")
    number = pl.int_range(ROWS, eager=True)
    key = pl.select(pl.when(number % 5 < 3).then(HOT).when(number % 97 == 0).then(None).otherwise(number % 1009))
    facts = pl.DataFrame({"k": key.to_series(), "v": number, "w": number * 7919 % 1000})
    for part in range(6):
        facts.slice(part * ROWS // 6, ROWS // 6).write_parquet(folder / f"{part}.parquet")
    keys = pl.DataFrame({"k": [*range(900), HOT, None], "name": [f"key {i}" for i in range(902)]})
    (folder / "keys").mkdir()
    keys.write_parquet(folder / "keys" / "0.parquet")
    for name, value in CONFS.items():
        spark3.conf.set(name, value)
    parts = [str(folder / f"{p}.parquet") for p in range(6)]
    yield spark3.read.parquet(*parts), spark3.read.parquet(str(folder / "keys"))
    for name in (*CONFS, SPLIT):
        spark3.conf.unset(name)


def test_a_hot_key_is_joined_in_several_tasks(spark3: Any, sides: tuple[DataFrame, DataFrame]) -> None:
    facts, keys = sides
    joined = facts.join(keys, "k").where(f"k = {HOT} or v < 0").select(F.spark_partition_id()).distinct()
    tasks = {}
    for split in ("true", "false"):
        spark3.conf.set(SPLIT, split)
        tasks[split] = joined.count()
    assert tasks["false"] == 1 < tasks["true"]


@pytest.mark.parametrize("kind", ["inner", "left", "right", "full", "left_semi", "left_anti"])
def test_every_kind_gives_the_rows_of_the_unsplit_join(
    kind: str, spark3: Any, sides: tuple[DataFrame, DataFrame]
) -> None:
    for left, right in (sides, sides[::-1]):
        joined = left.join(right, "k", kind)
        summed = [F.count("*"), F.sum("k")] + [F.sum(F.hash(c)) for c in joined.columns if c != "k"]
        groups = joined.groupBy("k").agg(*summed).orderBy("k")
        answers = []
        for split in ("true", "false"):
            spark3.conf.set(SPLIT, split)
            answers.append(groups.collect())
        assert answers[0] == answers[1] and len(answers[0]) > (0 if kind == "left_anti" else 800)


def test_windows_and_aggregates_over_a_split_join(spark3: Any, sides: tuple[DataFrame, DataFrame]) -> None:
    facts, keys = sides
    joined = facts.join(keys, "k")
    place = F.row_number().over(Window.partitionBy("k").orderBy("v", "name"))
    last = joined.withColumn("place", place).groupBy("k").agg(F.max("place"), F.countDistinct("v")).orderBy("k")
    answers = []
    for split in ("true", "false"):
        spark3.conf.set(SPLIT, split)
        answers.append(last.collect())
    assert answers[0] == answers[1] and answers[0][HOT][1] == 2 * ROWS * 3 // 5 + 2 * 24


def test_rows_of_a_hot_sort_key_are_in_order_over_several_tasks(
    spark3: Any, sides: tuple[DataFrame, DataFrame]
) -> None:
    facts, _ = sides
    by_key = facts.orderBy("k").withColumn("task", F.spark_partition_id())
    rows = by_key.toPandas()
    assert rows.k.dropna().is_monotonic_increasing and rows.k.isna().sum() == rows.k.isna()[: rows.k.isna().sum()].sum()
    assert rows[rows.k == HOT].task.nunique() > 1 and rows.task.is_monotonic_increasing
    both = facts.orderBy(F.desc("k"), "w", F.desc("v")).withColumn("task", F.spark_partition_id()).toPandas()
    expected = facts.toPandas().sort_values(["k", "w", "v"], ascending=[False, True, False], na_position="last")
    assert both.v.tolist() == expected.v.tolist() and both[both.k == HOT].task.nunique() > 1
