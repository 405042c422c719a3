"""Queries over more than an executor's memory: right answers, files gone, and a condition where nothing helps."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

pytestmark = pytest.mark.cluster
ROWS = 1_000_000
KEYS = 250_000


@dataclass(frozen=True)
class Server:
    """A server whose executor has next to no memory."""

    session: SparkSession
    process: subprocess.Popen[str]
    spill: Path
    data: pl.DataFrame
    path: str

    def files(self) -> int:
        return len(list(self.spill.rglob("*.arrow")))

    def executor(self) -> int:
        found = subprocess.run(["ps", "-eo", "pid,ppid,cmd"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in found.splitlines()[1:]]
        parents = {int(pid): int(parent) for pid, parent, _ in rows}
        for pid in [int(pid) for pid, _, command in rows if command.startswith("ray::Executor")]:
            above = pid
            while above > 1 and above != self.process.pid:
                above = parents.get(above, 0)
            if above == self.process.pid:
                return pid
        raise AssertionError("no executor")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("small")
    random = np.random.default_rng(7)
    data = pl.DataFrame({"k": random.integers(0, KEYS, ROWS), "v": random.integers(0, 1000, ROWS)})
    data = data.with_columns(text=pl.lit("a text that fills memory ") + pl.col("v").cast(pl.String))
    data.write_parquet(folder / "rows.parquet", row_group_size=50_000)
    command = [sys.executable, "-m", "voltray.driver.main", "serve", "--port", "0", "--executors", "1"]
    command += ["--executor-cpus", "2", "--executor-memory", "64m", "--object-store-memory", "100m"]
    command += ["--graceful-stop-seconds", "1", "--warehouse-dir", str(folder / "warehouse")]
    command += ["--spill-dir", str(folder / "spill")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        address = next(m[1] for line in process.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
        session = SparkSession.builder.remote(address).create()
        yield Server(session, process, folder / "spill", data, str(folder / "rows.parquet"))
        session.stop()
    finally:
        process.terminate()
        process.wait(60)
    assert not list((folder / "spill").iterdir())


def gone(server: Server) -> bool:
    """Whether the files of finished queries are removed soon."""
    until = time.monotonic() + 10
    while server.files() and time.monotonic() < until:
        time.sleep(0.1)
    return not server.files()


def test_operators_that_hold_their_input(server: Server, tmp_path: Path) -> None:
    rows, data = server.session.read.parquet(server.path), server.data
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            seen.append(server.files())

    watching = threading.Thread(target=look)
    watching.start()
    other = rows.select(F.col("k").alias("j"), F.col("text").alias("t"))
    pairs = rows.join(other, F.col("k") == F.col("j")).agg(F.count("*"), F.sum("v"), F.max("t")).first()
    counts = data.group_by("k").agg(n=pl.len(), v=pl.col("v").sum())
    assert pairs[:2] == ((counts["n"].cast(pl.Int64) ** 2).sum(), (counts["n"] * counts["v"]).sum())
    groups = rows.groupBy("k").agg(F.sum("v").alias("s"), F.max("text").alias("m"))
    assert groups.agg(F.count("*"), F.sum("s"), F.max("m")).first()[:] == (
        counts.height, data["v"].sum(), data["text"].max(),
    )  # fmt: skip
    assert rows.agg(F.countDistinct("k", "text")).first()[0] == data.select("k", "text").n_unique()
    numbered = rows.withColumn("n", F.row_number().over(Window.partitionBy("k").orderBy("v")))
    assert numbered.agg(F.sum("n"), F.max("text")).first()[0] == (counts["n"] * (counts["n"] + 1) // 2).sum()
    rows.orderBy("k", "text").write.parquet(str(tmp_path / "sorted"))
    written = [pl.read_parquet(p) for p in sorted((tmp_path / "sorted").glob("part-*"))]
    assert len(written) > 2 and pl.concat(written).equals(data.sort("k", "text").select("k", "v", "text"))
    stop.set()
    watching.join()
    assert max(seen) > 1 and gone(server)


def test_a_key_whose_rows_do_not_fit_is_joined_and_sorted_in_parts(server: Server, tmp_path: Path) -> None:
    rows, spark, hot = server.session.read.parquet(server.path), server.session, 7
    twice = rows.unionAll(rows).withColumn("h", F.when(F.col("v") < 900, hot).otherwise(F.col("k")))
    expected = pl.concat([server.data] * 2).with_columns(h=pl.when(pl.col("v") < 900).then(hot).otherwise(pl.col("k")))
    keys = spark.range(KEYS).select(F.col("id").alias("j"), F.format_string("key %d", "id").alias("name"))
    joined = twice.join(keys, F.col("h") == F.col("j")).agg(F.count("*"), F.sum("v"), F.max("text"), F.max("name"))
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    try:
        assert joined.first()[:3] == (2 * ROWS, expected["v"].sum(), expected["text"].max())
        spark.conf.set("spark.sql.adaptive.skewJoin.enabled", "false")
        with pytest.raises(PySparkException, match="UNABLE_TO_ACQUIRE_MEMORY"):
            joined.collect()
    finally:
        spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
        spark.conf.unset("spark.sql.adaptive.skewJoin.enabled")
    twice.select("h", "v", "text").orderBy("h", "v").write.parquet(str(tmp_path / "sorted"))
    parts = [pl.read_parquet(p, columns=["h", "v"]) for p in sorted((tmp_path / "sorted").glob("part-*"))]
    assert sum((part["h"] == hot).any() for part in parts) > 1
    assert pl.concat(parts).equals(expected.select("h", "v").sort("h", "v")) and gone(server)


def test_rows_in_order_at_the_client(server: Server) -> None:
    ordered = server.session.read.parquet(server.path).orderBy(F.desc("k"), "v").select("k").toArrow()
    assert ordered["k"].to_numpy().tolist() == sorted(server.data["k"].to_list(), reverse=True)
    assert gone(server)


def test_a_query_that_overdraws_fails_alone(server: Server) -> None:
    executor = server.executor()
    held = server.session.range(40_000_000).select(F.collect_list(F.col("id").cast("string")).alias("c"))
    with pytest.raises(PySparkException) as raised:
        held.select(F.size("c"), F.max("c")).collect()
    assert raised.value.getCondition() in ("UNABLE_TO_ACQUIRE_MEMORY", "MISSING_GROUP_BY")
    with pytest.raises(PySparkException, match="UNABLE_TO_ACQUIRE_MEMORY"):
        held.select(F.size("c")).collect()
    assert server.session.range(10).count() == 10 and server.executor() == executor


def test_a_dead_executor_and_a_lost_file_cost_a_retry(server: Server) -> None:
    rows = server.session.read.parquet(server.path)
    answers: list[object] = []
    joined = rows.join(rows.select(F.col("k").alias("j")), F.col("k") == F.col("j"))
    query = threading.Thread(target=lambda: answers.append(joined.agg(F.count("*")).first()[0]))
    query.start()
    until = time.monotonic() + 30
    while server.files() < 3 and time.monotonic() < until:
        time.sleep(0.02)
    for path in list(server.spill.rglob("*.arrow"))[:2]:
        path.unlink()
    os.kill(server.executor(), signal.SIGKILL)
    query.join(120)
    assert answers == [(server.data.group_by("k").len()["len"].cast(pl.Int64) ** 2).sum()]
    assert gone(server)
