"""Small queries: median and 95th percentile in milliseconds, and the rate of a large result.

usage: python benchmarks/latency.py [--rounds 300] [--remote sc://...]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from data import tables
from pyspark.sql import functions as F

COLUMNS = ("l_orderkey", "l_partkey", "l_quantity", "l_extendedprice", "l_shipdate")


def milliseconds(run: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of a call's time."""
    for _ in range(20):
        run()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> None:
    """Run on a server of its own, or on the one named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--remote")
    arguments = parser.parse_args()
    if arguments.remote:
        from pyspark.sql import SparkSession

        spark = SparkSession.builder.remote(arguments.remote).getOrCreate()
    else:
        import voltray

        spark = voltray.session()
    local = spark.createDataFrame([(i, i % 5) for i in range(25)], ["a", "b"])
    other = spark.createDataFrame([(i, str(i)) for i in range(5)], ["b", "name"])
    cases: dict[str, Callable[[], Any]] = {
        "select 1": lambda: spark.sql("select 1").collect(),
        "local groupBy": lambda: local.groupBy("b").agg(F.sum("a")).collect(),
        "25-row join": lambda: local.join(other, "b").collect(),
        "df.schema": lambda: local.select("a").schema,
    }
    for name, run in cases.items():
        median, high = milliseconds(run, arguments.rounds)
        print(f"{name:>14}: p50 {median:6.2f} ms, p95 {high:6.2f} ms", flush=True)
    lineitem = spark.read.parquet(str(tables(arguments.scale) / "lineitem.parquet")).select(*COLUMNS)
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        size = lineitem.toArrow().nbytes
        rates.append(size / 1e6 / (time.perf_counter() - started))
    print(f"{'toArrow':>14}: {max(rates):6.0f} MB/s of {size / 1e6:.0f} MB")
    spark.stop()


if __name__ == "__main__":
    main()
