"""TPC-H queries through Connect beside raw Polars, in one run: answers checked with DuckDB's, times as ratios.

usage: python benchmarks/tpch.py [--scale 1] [--rounds 5] [--remote sc://...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import polars as pl
from answers import same_rows
from data import TABLES, duckdb_answer, tables
from tpch_queries import QUERIES


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(spark: Any, scale: float, rounds: int) -> None:
    """Print for each query the best of the rounds, taken in turns, and the ratio."""
    folder = tables(scale)
    frames = {t: spark.read.parquet(str(folder / f"{t}.parquet")) for t in TABLES}
    scans = {t: pl.scan_parquet(folder / f"{t}.parquet") for t in TABLES}
    print(f"{'query':>6} {'voltray s':>10} {'polars s':>10} {'ratio':>6}  answer")
    totals = [0.0, 0.0]
    for number, (of_spark, of_polars) in QUERIES.items():
        right = same_rows(of_spark(frames).collect(), duckdb_answer(number, scale))
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(timed(lambda: of_spark(frames).toArrow()))  # noqa: B023
            theirs.append(timed(lambda: of_polars(scans).collect(engine="streaming")))  # noqa: B023
        best = (min(ours), min(theirs))
        totals = [totals[0] + best[0], totals[1] + best[1]]
        verdict = "as DuckDB" if right else "DIFFERS from DuckDB"
        print(f"{number:>6} {best[0]:>10.3f} {best[1]:>10.3f} {best[0] / best[1]:>6.2f}  {verdict}", flush=True)
    print(f"{'total':>6} {totals[0]:>10.3f} {totals[1]:>10.3f} {totals[0] / totals[1]:>6.2f}")


def main() -> None:
    """Run on a server of its own, or on the one named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--remote")
    arguments = parser.parse_args()
    if arguments.remote:
        from pyspark.sql import SparkSession

        spark = SparkSession.builder.remote(arguments.remote).getOrCreate()
    else:
        import voltray

        spark = voltray.session()
    measure(spark, arguments.scale, arguments.rounds)
    spark.stop()


if __name__ == "__main__":
    main()
