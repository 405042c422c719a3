"""Joins, groups, windows and sorts larger than an executor's memory, with its memory and its disk watched.

usage: python benchmarks/out_of_core.py [--scale 10] [--memory 2g] [--only join,window] [--folder DIR]

The folder (a temporary one by default) takes the spilled rows and the sorted table; SF10 needs about 6 GB there.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from data import connection, tables
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

_SECONDS_BETWEEN = 0.05
ROW = "{:<10} {:>8} {:>10} {:>10} {:>10} {:>6}  {}"


@dataclass
class Peaks:
    """The most that was seen."""

    resident: int = 0
    without_store: int = 0
    disk: int = 0


class Observer:
    """Samples an executor's memory and the bytes below the spill folder."""

    def __init__(self, server: int, spill: Path) -> None:
        self.peaks = Peaks()
        self._server = psutil.Process(server)
        self._spill = spill
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def executor(self) -> int:
        """The executor's process id."""
        return next(p.pid for p in self._server.children(recursive=True) if "ray::Executor" in " ".join(p.cmdline()))

    def files(self) -> int:
        """Files of spilled rows."""
        return len(list(self._spill.rglob("*.arrow")))

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS_BETWEEN):
            try:
                text = Path(f"/proc/{self.executor()}/status").read_text(encoding="ascii")
                sizes = {k: int(v) << 10 for k, v in re.findall(r"(VmRSS|RssShmem):\s+(\d+) kB", text)}
                disk = sum(p.stat().st_size for p in self._spill.rglob("*.arrow"))
            except (OSError, StopIteration, psutil.Error):
                continue
            peaks = self.peaks
            peaks.resident = max(peaks.resident, sizes["VmRSS"])
            peaks.without_store = max(peaks.without_store, sizes["VmRSS"] - sizes["RssShmem"])
            peaks.disk = max(peaks.disk, disk)


def queries(spark: SparkSession, data: Path, folder: Path) -> dict[str, tuple[Callable[[], Any], str]]:
    """Each query and what DuckDB says to check it."""
    lines = spark.read.parquet(str(data / "lineitem.parquet"))
    orders = spark.read.parquet(str(data / "orders.parquet"))
    by_order = Window.partitionBy("l_orderkey")

    def join() -> Any:
        joined = lines.join(orders, F.col("l_orderkey") == F.col("o_orderkey"))
        return joined.agg(F.count("*"), F.sum("o_totalprice"), F.max("l_comment"), F.max("o_comment")).first()

    def group() -> Any:
        groups = lines.groupBy("l_orderkey").agg(F.sum("l_quantity").alias("q"), F.max("l_comment").alias("c"))
        return groups.agg(F.count("*"), F.sum("q"), F.max("c")).first()

    def window() -> Any:
        numbered = lines.withColumn("n", F.row_number().over(by_order.orderBy("l_linenumber")))
        summed = numbered.withColumn("s", F.sum("l_quantity").over(by_order))
        return summed.agg(F.sum("n"), F.sum("s"), F.max("l_comment"), F.max("l_shipinstruct")).first()

    def sort() -> Any:
        target = folder / "sorted"
        lines.orderBy("l_shipdate", "l_comment").write.mode("overwrite").parquet(str(target))
        parts = sorted(target.glob("part-*"))
        answer = _order_of(parts)
        shutil.rmtree(target)
        return answer

    lineitem, order = f"'{data}/lineitem.parquet'", f"'{data}/orders.parquet'"
    return {
        "join": (
            join,
            "SELECT count(*), sum(o_totalprice), max(l_comment), max(o_comment) "
            f"FROM {lineitem} JOIN {order} ON l_orderkey = o_orderkey",
        ),
        "group": (
            group,
            f"SELECT count(DISTINCT l_orderkey), sum(l_quantity), max(l_comment) FROM {lineitem}",
        ),
        "distinct": (
            lambda: lines.agg(F.countDistinct("l_orderkey", "l_linenumber")).first(),
            f"SELECT count(*) FROM {lineitem}",  # together they are the table's key
        ),
        "window": (
            window,
            "SELECT (SELECT sum(n * (n + 1) // 2) FROM "
            f"(SELECT count(*) n FROM {lineitem} GROUP BY l_orderkey)), "
            "(SELECT sum(s * n) FROM (SELECT count(*) n, sum(l_quantity) s "
            f"FROM {lineitem} GROUP BY l_orderkey)), max(l_comment), max(l_shipinstruct) FROM {lineitem}",
        ),
        "sort": (sort, f"SELECT count(*), sum(l_quantity), true FROM {lineitem}"),
    }


def _order_of(parts: list[Path]) -> tuple[Any, ...]:
    """Rows, a sum to tell that none is lost, and whether all are in order."""
    import polars as pl

    rows, total, ordered, last = 0, 0, True, None
    for part in parts:
        frame = pl.read_parquet(part, columns=["l_shipdate", "l_comment", "l_quantity"])
        keys = frame.select(pl.struct("l_shipdate", "l_comment").alias("k"))["k"]
        # Arrow's order of structs is that of their fields, one after the other.
        ordered = ordered and frame.select("l_shipdate", "l_comment").equals(
            frame.select("l_shipdate", "l_comment").sort("l_shipdate", "l_comment")
        )
        first = tuple(keys[0].values())
        ordered = ordered and (last is None or last <= first)
        last, rows, total = tuple(keys[-1].values()), rows + frame.height, total + frame["l_quantity"].sum()
    return rows, total, ordered


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the seconds and peaks of each query."""
    data = Path(arguments.data) if arguments.data else tables(arguments.scale)
    command = [sys.executable, "-m", "voltray.driver.main", "serve", "--port", "0", "--executors", "1"]
    command += ["--executor-memory", arguments.memory, "--object-store-memory", "400000000"]
    command += ["--spill-dir", str(folder / "spill"), "--warehouse-dir", str(folder / "warehouse")]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        address = next(m[1] for line in server.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
        spark = SparkSession.builder.remote(address).create()
        watch = Observer(server.pid, folder / "spill")
        executor = watch.executor()
        database = connection()
        database.execute("SET memory_limit = '1500MB'")
        print(ROW.format("query", "seconds", "RSS MiB", "own MiB", "disk MiB", "left", "answer"))
        for name, (run, check) in queries(spark, data, folder).items():
            if arguments.only and name not in arguments.only.split(","):
                continue
            watch.peaks = Peaks()
            started = time.perf_counter()
            answer = tuple(run())
            seconds = time.perf_counter() - started
            time.sleep(1)
            peaks, left = watch.peaks, watch.files()
            right = answer == database.execute(check).fetchone()
            verdict = ("as DuckDB" if right else "DIFFERS") + ("" if watch.executor() == executor else ", REPLACED")
            sizes = [n >> 20 for n in (peaks.resident, peaks.without_store, peaks.disk)]
            print(ROW.format(name, f"{seconds:.1f}", *sizes, left, verdict), flush=True)
        watch.stop()
        spark.stop()
    finally:
        server.terminate()
        server.wait(60)


def main() -> None:
    """Run on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=10)
    parser.add_argument("--memory", default="2g")
    parser.add_argument("--only")
    parser.add_argument("--data", help="folder with lineitem.parquet and orders.parquet, instead of making them")
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    if arguments.folder:
        Path(arguments.folder).mkdir(parents=True, exist_ok=True)
        measure(arguments, Path(arguments.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
