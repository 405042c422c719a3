"""What adaptive planning gains: each query with and without one of its measures, in turn, on several executors.

usage: python benchmarks/adaptive.py [--rows 6000000] [--executors 2] [--repeats 3] [--only skew,bloom]

Answers must be the same both ways. The folder (a temporary one) takes about 150 bytes a row.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

DAYS = 3000
KEYS = 300_000
HOT = 7
BLOOM = "spark.sql.optimizer.runtime.bloomFilter.enabled"
PRUNING = "spark.sql.optimizer.dynamicPartitionPruning.enabled"
SKEW = "spark.sql.adaptive.skewJoin.enabled"
ROW = "{:<12} {:>10} {:>10} {:>8}  {}"


@dataclass(frozen=True)
class Case:
    """A query, the conf that turns its measure on and off, and confs for both."""

    query: Callable[[SparkSession, Path], DataFrame]
    conf: str
    confs: dict[str, str]


def make(folder: Path, rows: int) -> None:
    """Facts of many days, most of them under one key; days, keys, and the facts in a folder for each month."""
    row = pl.int_range(rows, eager=True)
    noise = row.hash(1)
    facts = pl.DataFrame(
        {
            "day": row * DAYS // rows,
            "k": pl.select(pl.when(noise % 10 < 6).then(HOT).otherwise(noise % KEYS)).to_series().cast(pl.Int64),
            "u": (row.hash(2) % KEYS).cast(pl.Int64),
            "amount": (noise % 10_007).cast(pl.Int64),
            "note": pl.select(pl.format("a note that is not short {}", row.hash(3))).to_series(),
        }
    )
    (folder / "facts").mkdir()
    for part in range(8):
        piece = facts.slice(part * rows // 8, rows // 8)
        piece.write_parquet(folder / "facts" / f"{part}.parquet", row_group_size=50_000)
    by_month = facts.with_columns(month=pl.col("day") // 30).select("month", "u", "amount")
    for (month,), piece in by_month.group_by("month"):
        target = folder / "months" / f"month={month}"
        target.mkdir(parents=True)
        piece.drop("month").write_parquet(target / "0.parquet")
    days = pl.int_range(DAYS, eager=True)
    pl.DataFrame({"day": days, "month": days // 30, "year": days // 365}).write_parquet(folder / "days.parquet")
    keys = pl.int_range(KEYS, eager=True)
    kind = (keys.hash(4) % 100).cast(pl.Int64)
    text = pl.select(pl.format("the name of key number {}", keys)).to_series()
    pl.DataFrame({"key": keys, "kind": kind, "name": text}).write_parquet(folder / "keys.parquet")


def skewed_join(spark: SparkSession, folder: Path) -> DataFrame:
    """All facts with their keys, where three fifths have one of them."""
    joined = read(spark, folder, "facts").join(read(spark, folder, "keys.parquet"), F.col("k") == F.col("key"))
    return joined.agg(F.count("*"), F.sum("amount"), F.max(F.concat("note", "name")))


def few_days(spark: SparkSession, folder: Path) -> DataFrame:
    """The facts of one month of the hundred, by a table of days: few values, in few row groups."""
    days = read(spark, folder, "days.parquet").where("month = 42")
    return read(spark, folder, "facts").join(days, "day").agg(F.count("*"), F.sum("amount"), F.max("note"))


def few_keys(spark: SparkSession, folder: Path) -> DataFrame:
    """The facts of one key in a hundred, anywhere, in a join too large to broadcast."""
    keys = read(spark, folder, "keys.parquet").where("kind = 5")
    joined = read(spark, folder, "facts").join(keys, F.col("u") == F.col("key"))
    return joined.agg(F.count("*"), F.sum("amount"), F.max(F.concat("note", "name")))


def few_folders(spark: SparkSession, folder: Path) -> DataFrame:
    """The facts of one year of eight, by a table of months, where each month has a folder."""
    months = read(spark, folder, "days.parquet").where("year = 3").select("month").distinct()
    facts = read(spark, folder, "months")
    return facts.join(months, "month").groupBy("month").agg(F.count("*"), F.sum("amount")).orderBy("month")


def read(spark: SparkSession, folder: Path, name: str) -> DataFrame:
    """One of the tables."""
    return spark.read.parquet(str(folder / name))


SPREAD = {"spark.sql.autoBroadcastJoinThreshold": "-1"}
SMALL_PARTS = {
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "16MB",
    "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "32MB",
}
CASES = {
    "skew": Case(skewed_join, SKEW, SPREAD | SMALL_PARTS),
    "list": Case(few_days, BLOOM, {}),
    "bloom": Case(few_keys, BLOOM, SPREAD),
    "partitions": Case(few_folders, PRUNING, {}),
}


def measure(address: str, folder: Path, names: list[str], repeats: int) -> None:
    """Print the medians with and without each measure, taken in turn."""
    spark = SparkSession.builder.remote(address).create()
    print(ROW.format("query", "without s", "with s", "ratio", "answers"))
    for name in names:
        case = CASES[name]
        for key, value in case.confs.items():
            spark.conf.set(key, value)
        seconds: dict[str, list[float]] = {"false": [], "true": []}
        answers = {}
        for _ in range(repeats + 1):
            for flag, taken in seconds.items():
                spark.conf.set(case.conf, flag)
                started = time.perf_counter()
                answers[flag] = case.query(spark, folder).collect()
                taken.append(time.perf_counter() - started)
        # The first round warms up.
        without, beside = (statistics.median(taken[1:]) for taken in seconds.values())
        verdict = "the same" if answers["false"] == answers["true"] else "DIFFER"
        print(ROW.format(name, f"{without:.2f}", f"{beside:.2f}", f"{beside / without:.2f}", verdict), flush=True)
        for key in (*case.confs, case.conf):
            spark.conf.unset(key)
    spark.stop()


def main() -> None:
    """Run on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, arguments.rows)
        command = [sys.executable, "-m", "voltray.driver.main", "serve", "--port", "0", "--executor-cpus", "1"]
        command += ["--executors", str(arguments.executors), "--executor-memory", "3g", "--single-stage-bytes", "1m"]
        command += ["--object-store-memory", "800m", "--warehouse-dir", str(folder / "warehouse")]
        with (folder / "server.log").open("wb") as log:
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            address = next(m[1] for line in server.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
            measure(address, folder, arguments.only.split(","), arguments.repeats)
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
