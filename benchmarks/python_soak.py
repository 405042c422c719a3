"""Hundreds of queries with users' functions in many sessions; then what of them is left: workers, files, memory.

``python benchmarks/python_soak.py sc://localhost:15002 --server PID`` with the process id of ``voltray serve``
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.connect.session import SparkSession as ConnectSession

QUERIES_OF_A_SESSION = 25
WORKER = "worker_main.py"
SETTLE_SECONDS = 20


def processes_below(root: int) -> dict[int, str]:
    """Process ids and commands of all that a process has started."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents[int(folder.name)] = (parent, (folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    found: dict[int, str] = {}
    for pid, (_, command) in parents.items():
        above = pid
        while above in parents and above != root:
            above = parents[above][0]
        if above == root:
            found[pid] = command
    return found


def memory_of(pid: int) -> int:
    """Bytes that a process holds and shares with no other."""
    resident, shared = (Path(f"/proc/{pid}/statm").read_text().split())[1:3]
    return (int(resident) - int(shared)) * 4096


def left(root: int) -> dict[str, int]:
    """What can be left behind, counted."""
    below = processes_below(root)
    executors = [pid for pid, command in below.items() if command.startswith("ray::Executor")]
    kept = [root, *executors]
    files = [p for base in Path(tempfile.gettempdir()).glob("voltray-python-*") for p in base.rglob("*")]
    return {
        "worker processes": sum(WORKER in command for command in below.values()),
        "session folders and files": len([f for f in files if f.name != "in-use"]),
        "open descriptors": sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in kept),
        "MiB of server and executors": sum(memory_of(pid) for pid in kept) >> 20,
    }


def run_queries(spark: ConnectSession, count: int) -> None:
    """Functions of rows, of vectors, of groups and of partitions in turn."""
    plus = F.udf(lambda x: x + 1, "long")

    @F.pandas_udf("long")  # type: ignore[call-overload,untyped-decorator]
    def twice(values: pd.Series) -> pd.Series:
        return values * 2

    def same(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        yield from parts

    def size(part: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([(len(part),)])

    numbers = spark.range(1000)
    grouped = numbers.groupBy(F.col("id") % 5)
    for number in range(count):
        match number % 4:
            case 0:
                numbers.select(F.sum(plus("id"))).collect()
            case 1:
                numbers.select(F.sum(twice("id"))).collect()
            case 2:
                numbers.mapInPandas(same, numbers.schema).count()
            case _:
                grouped.applyInPandas(size, "n long").collect()


def main() -> None:
    """Run the queries and print what was there before and what is there after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("remote")
    parser.add_argument("--server", type=int, required=True, help="process id of the server")
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args()

    def sessions(queries: int) -> None:
        for _ in range(0, queries, QUERIES_OF_A_SESSION):
            spark = SparkSession.builder.remote(options.remote).create()
            try:
                with tempfile.NamedTemporaryFile(suffix=".txt") as file:
                    file.write(b"brought along")
                    file.flush()
                    spark.addArtifacts(file.name, file=True)
                run_queries(spark, QUERIES_OF_A_SESSION)
            finally:
                spark.stop()
        time.sleep(SETTLE_SECONDS)

    sessions(QUERIES_OF_A_SESSION)
    before = left(options.server)
    sessions(options.queries // 2)
    middle = left(options.server)
    sessions(options.queries - options.queries // 2)
    after = left(options.server)
    print(f"{'':30} {'before':>8} {options.queries // 2:>8} {options.queries:>8}")
    for name, count in before.items():
        print(f"{name:30} {count:8} {middle[name]:8} {after[name]:8}")


if __name__ == "__main__":
    main()
