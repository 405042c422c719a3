"""An executor's death costs its queries a retry, and the server nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

pytestmark = pytest.mark.cluster


def executor_pids() -> list[int]:
    """Processes of executors that this test's processes started."""
    parents: dict[int, int] = {}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if (entry / "cmdline").read_bytes().startswith(b"ray::Executor"):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if _descends(pid, os.getpid(), parents)]


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor


def heavy(spark: SparkSession) -> int:
    """A query of some seconds with an exchange."""
    keyed = spark.range(20_000_000).withColumn("key", F.col("id") % 1_000_003)
    return keyed.groupBy("key").agg(F.sum("id").alias("s")).agg(F.count("*")).collect()[0][0]


def test_a_query_outlives_its_executors(spark3: SparkSession) -> None:
    assert spark3.range(10).count() == 10
    answers: list[int] = []
    query = threading.Thread(target=lambda: answers.append(heavy(spark3)))
    query.start()
    time.sleep(1)
    for pid in executor_pids()[:2]:
        os.kill(pid, signal.SIGKILL)
    query.join(180)
    assert answers == [1_000_003]


def test_small_queries_do_not_notice_dead_executors(each_spark: SparkSession) -> None:
    assert each_spark.range(10).count() == 10
    for pid in executor_pids():
        os.kill(pid, signal.SIGKILL)
    assert each_spark.range(10).agg(F.sum("id")).collect()[0][0] == 45


def test_cached_data_outlives_executors(spark3: SparkSession) -> None:
    frame = spark3.range(1000).withColumn("r", F.rand(3)).cache()
    before = frame.agg(F.sum("r")).collect()
    for pid in executor_pids():
        os.kill(pid, signal.SIGKILL)
    assert frame.agg(F.sum("r")).collect() == before
    frame.unpersist()


def test_an_error_of_the_query_is_not_tried_again(spark3: SparkSession) -> None:
    started = time.monotonic()
    with pytest.raises(PySparkException) as raised:
        spark3.range(1000).select(F.lit(1) / (F.col("id") - 500)).collect()
    assert raised.value.getCondition() == "DIVIDE_BY_ZERO"
    assert time.monotonic() - started < 10


def test_an_interrupted_query_stops_and_others_go_on(spark3: SparkSession) -> None:
    spark3.addTag("slow")
    raised: list[BaseException] = []

    def run() -> None:
        try:
            heavy(spark3)
        except PySparkException as error:
            raised.append(error)

    spark3.addTag("slow")
    query = threading.Thread(target=run)
    query.start()
    time.sleep(1)
    spark3.interruptAll()
    query.join(30)
    spark3.clearTags()
    assert len(raised) == 1 and "OPERATION_CANCELED" in str(raised[0])
    assert spark3.range(5).count() == 5
