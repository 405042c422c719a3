"""TPC-H and TPC-DS as SQL through Connect, beside other Connect servers and raw Polars, in one run.

usage: python benchmarks/sql.py [--suite tpch] [--scale 1] [--rounds 3] [--only 1,3] [--remote sc://…]
                                [--against sc://…] [--polars]

Rounds take turns between the engines; the best of each counts. Answers are checked with DuckDB's. Polars runs its own
``SQLContext`` on its streaming engine; queries that it cannot read show as ``-`` and are left out of the totals.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from answers import same_rows
from data import duckdb_answer, spark_texts, table_names, tables

Run = Callable[[], Any]


def connected(remote: str, folder: Path, names: list[str]) -> Any:
    """Return a session on a server with the tables as views."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(remote).create()
    for name in names:
        spark.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
    return spark


def timed(run: Run) -> float | None:
    """Return the seconds of a call; None where it fails."""
    started = time.perf_counter()
    try:
        run()
    except Exception:  # noqa: BLE001 - engines that cannot are shown as such
        return None
    return time.perf_counter() - started


def best(rounds: list[float | None]) -> float | None:
    """Return the least of the times; None where one is missing."""
    return None if None in rounds else min(t for t in rounds if t is not None)


def shown(seconds: float | None) -> str:
    """Return seconds as a cell of the table."""
    return f"{'-' if seconds is None else format(seconds, '.3f'):>9}"


def measure(engines: Mapping[str, Callable[[str], Any]], check: Any, arguments: argparse.Namespace) -> None:
    """Print the best time of each engine for each query, and the ratios to the first engine's total."""
    texts = spark_texts(arguments.suite)
    chosen = [int(n) for n in arguments.only.split(",")] if arguments.only else list(texts)
    totals: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    print(f"{'query':>6}" + "".join(f"{name:>9}" for name in engines) + "  answer")
    for number in chosen:
        wanted = duckdb_answer(number, arguments.scale, arguments.suite)
        right = same_rows(check(texts[number]), wanted, ordered=False)
        times: dict[str, list[float | None]] = {name: [] for name in engines}
        for _ in range(arguments.rounds):
            for name, engine in engines.items():
                times[name].append(timed(lambda: engine(texts[number])))  # noqa: B023
        bests = {name: best(rounds) for name, rounds in times.items()}
        ours = bests["voltray"]
        for name, seconds in bests.items():
            if ours is not None and seconds is not None:
                totals[name].append((ours, seconds))
        print(f"{number:>6}" + "".join(map(shown, bests.values())) + ("" if right else "  DIFFERS"), flush=True)
    for name, pairs in totals.items():
        mine, theirs = sum(a for a, _ in pairs), sum(b for _, b in pairs)
        slower = sum(a > b for a, b in pairs)
        print(f"{name}: {len(pairs)} queries, {theirs:.2f} s; voltray {mine:.2f} s, {mine / theirs:.2f} times, "
              f"slower in {slower}")  # fmt: skip


def main() -> None:
    """Run on a server of its own, or on the one named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=["tpch", "tpcds"], default="tpch")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--remote")
    parser.add_argument("--against")
    parser.add_argument("--polars", action="store_true")
    arguments = parser.parse_args()
    folder, names = tables(arguments.scale, arguments.suite), table_names(arguments.scale, arguments.suite)
    remote = arguments.remote
    if remote is None:
        import voltray

        remote = f"sc://{voltray.session().client._builder.endpoint}"  # type: ignore[attr-defined]
    ours = connected(remote, folder, names)
    engines: dict[str, Callable[[str], Any]] = {"voltray": lambda text: ours.sql(text).toArrow()}
    if arguments.against:
        other = connected(arguments.against, folder, names)
        engines["other"] = lambda text: other.sql(text).toArrow()
    if arguments.polars:
        scans = {name: pl.scan_parquet(folder / f"{name}.parquet") for name in names}
        context = pl.SQLContext(scans)
        engines["polars"] = lambda text: context.execute(text).collect(engine="streaming")
    measure(engines, lambda text: ours.sql(text).collect(), arguments)


if __name__ == "__main__":
    main()
