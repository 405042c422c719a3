"""Many users at once: small queries of 100 sessions, a small query beside a large one, minutes of mixed load.

usage: python benchmarks/sessions.py small|beside|mixed --remote sc://... [--sessions 100] [--queries 20] [--minutes 5]

The server is to run on this machine: its memory is read from /proc.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from data import tables
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

LARGE = "select count(*), sum(sqrt(id) * ln(id + 1) + id % 7) from range(400000000)"
SETTLE_SECONDS = 6.0
Times = list[float]


def driver_of(remote: str) -> psutil.Process:
    """The process that listens at the address."""
    port = int(remote.removeprefix("sc://").split("/")[0].rsplit(":", 1)[1])
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
            return psutil.Process(found.pid)
    raise SystemExit(f"nothing listens at {remote}")


def resident(driver: psutil.Process) -> float:
    """Megabytes that the driver holds."""
    return driver.memory_info().rss / 1e6


def session_of(remote: str, user: str) -> SparkSession:
    """A session of a user's own."""
    return SparkSession.builder.remote(f"{remote}/;user_id={user}").create()


def small_queries(spark: SparkSession, user: str) -> tuple[Callable[[], Any], ...]:
    """Queries as notebooks and services send them, each with an answer that is this user's alone."""
    number = int(user.removeprefix("user"))
    local = spark.createDataFrame([(i, i % 5) for i in range(25)], ["a", "b"])
    names = spark.createDataFrame([(i, f"{user}-{i}") for i in range(5)], ["b", "name"])
    names.createOrReplaceTempView("mine")

    def expect(found: Any, wanted: Any) -> None:
        if found != wanted:
            raise AssertionError(f"{user} got {found!r} in place of {wanted!r}")

    def joined() -> None:
        rows = local.join(names, "b").select("name").distinct().collect()
        expect({r.name for r in rows}, {f"{user}-{i}" for i in range(5)})

    return (
        lambda: expect(spark.sql(f"select {number} as n, 'x' as t").collect()[0].n, number),
        lambda: expect(spark.sql("select name from mine where b = 3").collect()[0].name, f"{user}-3"),
        lambda: expect(sum(r["sum(a)"] for r in local.groupBy("b").agg(F.sum("a")).collect()), 300),
        lambda: expect(spark.range(number + 1).count(), number + 1),
        joined,
    )


def run_small(remote: str, users: list[str], queries: int, start: Any, idle: Any, answers: Any) -> None:
    """One client process: a thread for each of its users."""
    times: Times = []
    errors: list[str] = []
    sessions = [session_of(remote, user) for user in users]

    def work(spark: SparkSession, user: str) -> None:
        try:
            kinds = small_queries(spark, user)
            start.wait()
            for index in range(queries):
                began = time.perf_counter()
                kinds[index % len(kinds)]()
                times.append(time.perf_counter() - began)
        except Exception as failure:  # noqa: BLE001 - every failure is counted
            errors.append(f"{user}: {type(failure).__name__}: {str(failure)[:300]}")

    threads = [threading.Thread(target=work, args=pair) for pair in zip(sessions, users, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put((times, errors))
    idle.wait()
    for spark in sessions:
        spark.stop()


def summary(times: Times) -> str:
    """Count, median and 95th percentile."""
    cut = statistics.quantiles(times, n=20) if len(times) > 1 else times
    return f"{len(times)} queries, p50 {statistics.median(times) * 1000:.0f} ms, p95 {cut[-1] * 1000:.0f} ms"


def shares(users: list[str], processes: int) -> list[list[str]]:
    """The users of each client process."""
    return [share for i in range(processes) if (share := users[i::processes])]


def small(arguments: argparse.Namespace, context: Any) -> None:
    """All sessions run their queries at once."""
    driver = driver_of(arguments.remote)
    users = [f"user{i}" for i in range(arguments.sessions)]
    parts = shares(users, arguments.processes)
    before = resident(driver)
    start, idle = context.Barrier(len(users)), context.Event()
    answers = context.Queue()
    clients = [
        context.Process(target=run_small, args=(arguments.remote, part, arguments.queries, start, idle, answers))
        for part in parts
    ]
    cpu = sum(driver.cpu_times()[:2])
    for client in clients:
        client.start()
    began = time.perf_counter()
    results = [answers.get() for _ in clients]
    seconds = time.perf_counter() - began
    cpu = sum(driver.cpu_times()[:2]) - cpu
    time.sleep(SETTLE_SECONDS)
    held = resident(driver)
    idle.set()
    for client in clients:
        client.join()
    time.sleep(SETTLE_SECONDS)
    times = [t for part, _ in results for t in part]
    errors = [e for _, part in results for e in part]
    print(f"{len(users)} sessions: {summary(times)}; {len(errors)} errors; with the sessions' start {seconds:.1f} s")
    print(f"driver: {cpu / max(1, len(times)) * 1000:.1f} ms of CPU a query")
    print(
        f"driver: {before:.0f} MB before, {held:.0f} MB with {len(users)} idle sessions "
        f"({(held - before) / len(users):.2f} MB a session), {resident(driver):.0f} MB after they ended"
    )
    for error in errors[:10]:
        print("   ", error)


def beside(arguments: argparse.Namespace, context: Any) -> None:
    """`select 1` of one user, while others run large queries."""
    stop = context.Event()
    large = [
        context.Process(target=run_large, args=(arguments.remote, f"large{i}", arguments.statement, stop))
        for i in range(arguments.large)
    ]
    for process in large:
        process.start()
    spark = session_of(arguments.remote, "small")
    spark.sql("select 1").collect()
    time.sleep(8)
    times = []
    for _ in range(arguments.queries * 5):
        began = time.perf_counter()
        spark.sql("select 1").collect()
        times.append(time.perf_counter() - began)
        time.sleep(0.05)
    print(f"select 1 beside {arguments.large} large: {summary(times)}, most {max(times) * 1000:.0f} ms")
    stop.set()
    spark.stop()
    for process in large:
        process.join(1)
        process.terminate()


def run_large(remote: str, user: str, statement: str, stop: Any) -> None:
    """One user who runs a large query again and again."""
    spark = session_of(remote, user)
    if "lineitem" in statement:
        spark.read.parquet(str(tables(1) / "lineitem.parquet")).createOrReplaceTempView("lineitem")
    while not stop.is_set():
        began = time.perf_counter()
        spark.sql(statement).collect()
        print(f"   large: {time.perf_counter() - began:.1f} s", flush=True)


def run_mixed(remote: str, users: list[str], seconds: float, answers: Any) -> None:
    """One client process of the mixed load: its users think, ask, and now and then start afresh."""
    times: Times = []
    errors: list[str] = []
    until = time.monotonic() + seconds

    def work(user: str) -> None:
        own = random.Random(user)
        try:
            spark = session_of(remote, user)
            kinds = small_queries(spark, user)
            while time.monotonic() < until:
                began = time.perf_counter()
                if own.random() < 0.02:
                    spark.range(5_000_000).selectExpr("sum(id % 7)").collect()
                elif own.random() < 0.02:
                    spark.stop()
                    spark = session_of(remote, user)
                    kinds = small_queries(spark, user)
                else:
                    own.choice(kinds)()
                times.append(time.perf_counter() - began)
                time.sleep(own.uniform(0.5, 3.0))
            spark.stop()
        except Exception as failure:  # noqa: BLE001 - every failure is counted
            errors.append(f"{user}: {type(failure).__name__}: {str(failure)[:300]}")

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put((times, errors))


def mixed(arguments: argparse.Namespace, context: Any) -> None:
    """Minutes of mixed load, the driver's memory printed as it goes."""
    driver = driver_of(arguments.remote)
    users = [f"user{i}" for i in range(arguments.sessions)]
    before = resident(driver)
    answers = context.Queue()
    parts = shares(users, arguments.processes)
    clients = [
        context.Process(target=run_mixed, args=(arguments.remote, part, arguments.minutes * 60, answers))
        for part in parts
    ]
    for client in clients:
        client.start()
    began = time.monotonic()
    while time.monotonic() - began < arguments.minutes * 60:
        time.sleep(min(30.0, arguments.minutes * 30))
        print(f"  {time.monotonic() - began:5.0f} s: driver {resident(driver):.0f} MB", flush=True)
    results = [answers.get() for _ in clients]
    for client in clients:
        client.join()
    time.sleep(SETTLE_SECONDS)
    times = [t for part, _ in results for t in part]
    errors = [e for _, part in results for e in part]
    print(f"{len(users)} users, {arguments.minutes:g} minutes: {summary(times)}; {len(errors)} errors")
    print(f"driver: {before:.0f} MB before, {resident(driver):.0f} MB after")
    for error in errors[:10]:
        print("   ", error)


MODES: dict[str, Callable[[argparse.Namespace, Any], None]] = {"small": small, "beside": beside, "mixed": mixed}


def main() -> None:
    """Run one mode on the server named; its driver's path is of no matter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=sorted(MODES))
    parser.add_argument("--remote", required=True)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--large", type=int, default=1)
    parser.add_argument("--statement", default=LARGE)
    arguments = parser.parse_args()
    MODES[arguments.mode](arguments, multiprocessing.get_context("spawn"))


if __name__ == "__main__":
    main()
