"""Mixed queries, cancellations and killed executors for a long while: flat memory, right answers, nothing left behind.

usage: python benchmarks/soak.py [--minutes 30] [--users 6] [--scale 0.1] [--kill-seconds 60] [--seed 1]

Two Ray nodes, a server with two executors in a process of its own. Ends with 1 if an answer was wrong, a query failed
for no reason given to it, or anything is left once the sessions have ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import psutil
from answers import same_rows
from data import TABLES, duckdb_answer, query_texts, tables
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.connect.session import SparkSession

NODE = {"num_cpus": 1, "object_store_memory": 300 << 20, "include_dashboard": False}
NUMBERS = (1, 3, 4, 5, 6, 9, 10, 12, 13, 18)
SETTLE_SECONDS = 20.0
ENDLESS = "select sum(sqrt(id) * ln(id + 1)) from range(4000000000)"
# What a killed executor may cost a query whose rows were on their way: told, never wrong.
TOLD = "INTERNAL_ERROR_EXECUTOR"


@dataclass
class Record:
    """What happened so far."""

    done: Counter[str] = field(default_factory=Counter)
    told: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


class Stand:
    """Two Ray nodes and a server."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.nodes = Cluster(initialize_head=True, head_node_args=NODE)
        self.nodes.add_node(**NODE)
        self.nodes.wait_for_nodes()
        options = {
            "--port": 0,
            "--ray-address": self.nodes.address,
            "--executors": 2,
            "--executor-cpus": 1,
            "--executor-memory": "1g",
            "--single-stage-bytes": "1m",  # small queries run as they do for users, TPC-H's exchange
            "--warehouse-dir": folder / "warehouse",
            "--spill-dir": self.temporary / "spill",
        }
        command = [sys.executable, "-m", "voltray.driver.main", "serve", *(str(w) for o in options.items() for w in o)]
        with (folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )
        assert self.process.stdout is not None
        self.remote = next(m[1] for line in self.process.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
        self.driver = psutil.Process(self.process.pid)

    def executors(self) -> list[psutil.Process]:
        """The processes of the executors that live."""
        return processes("ray::Executor")

    def python_processes(self) -> int:
        """Factories and workers of Python functions."""
        return len(processes("voltray.executors.python"))

    def stored_bytes(self) -> int:
        """Bytes of the nodes' object stores that are taken."""
        from ray._private import internal_api

        state = internal_api.get_state_from_address(self.nodes.address)
        return int(internal_api.get_memory_info_reply(state).store_stats.object_store_bytes_used)

    def files(self) -> int:
        """Files of exchanged rows, artifacts and checkpoints."""
        return sum(path.is_file() for path in self.temporary.rglob("*"))

    def stop(self) -> list[str]:
        """End all of it; what the server left."""
        self.process.terminate()
        self.process.wait(60)
        self.nodes.shutdown()
        return [str(path) for path in self.temporary.rglob("voltray-*") if path.is_file()]


def words_of(process: psutil.Process) -> str:
    """What a process calls itself; nothing where it is gone."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def processes(word: str) -> list[psutil.Process]:
    """The processes below this one, nodes' workers included, that have a word in what they call themselves."""
    return [p for p in psutil.Process().children(recursive=True) if word in words_of(p)]


class User:
    """One user, who asks this and that and starts afresh now and then."""

    def __init__(self, stand: Stand, name: str, folder: Path, seed: int, record: Record) -> None:
        self.stand, self.name, self.folder, self.record = stand, name, folder, record
        self.chance = random.Random(f"{seed} {name}")
        self.spark = self.session()
        self.kinds: dict[str, tuple[int, Callable[[], bool]]] = {
            "small": (8, self.small),
            "tpch": (4, self.tpch),
            "python": (2, self.python),
            "cancelled": (2, self.cancelled),
            "cached": (1, self.cached),
            "written": (1, self.written),
            "session": (1, self.afresh),
        }

    def session(self) -> SparkSession:
        """A new session with the tables as views."""
        spark = SparkSession.builder.remote(f"{self.stand.remote}/;user_id={self.name}").create()
        for table in TABLES:
            spark.read.parquet(str(self.folder / f"{table}.parquet")).createOrReplaceTempView(table)
        return spark

    def small(self) -> bool:
        """A query as notebooks send them."""
        number = self.chance.randrange(1000)
        return bool(self.spark.sql("select :n + 1 as n", {"n": number}).collect()[0].n == number + 1)

    def tpch(self) -> bool:
        """A query with exchanges, held to DuckDB's answer."""
        number = self.chance.choice(NUMBERS)
        return same_rows(self.spark.sql(query_texts()[number]).collect(), ANSWERS[number])

    def python(self) -> bool:
        """A Python function over some rows."""
        add = F.udf(lambda n: n + 1, "long")
        return bool(self.spark.range(1000).agg(F.sum(add("id"))).collect()[0][0] == 500500)

    def cancelled(self) -> bool:
        """A query that would take hours, interrupted."""
        tag = f"t{uuid.uuid4().hex}"
        timer = threading.Timer(self.chance.uniform(0.1, 2), lambda: self.spark.interruptTag(tag))
        self.spark.addTag(tag)
        timer.start()
        try:
            self.spark.sql(ENDLESS).collect()
        except PySparkException as failure:
            return "OPERATION_CANCEL" in str(failure)
        finally:
            self.spark.removeTag(tag)
            timer.join()
        return False

    def cached(self) -> bool:
        """Rows kept, read twice, given back."""
        frame = self.spark.table("lineitem").where("l_quantity > 45").cache()
        try:
            return frame.count() == frame.count() > 0
        finally:
            frame.unpersist()

    def written(self) -> bool:
        """A table written, read and dropped."""
        name = f"soak_{self.name}"
        self.spark.table("orders").repartition(4, "o_custkey").write.mode("overwrite").saveAsTable(name)
        same = self.spark.table(name).count() == self.spark.table("orders").count()
        self.spark.sql(f"drop table {name}")
        return same

    def afresh(self) -> bool:
        """The session ends and another begins."""
        self.spark.stop()
        self.spark = self.session()
        return True

    def work(self, until: float) -> None:
        """Ask one thing after another."""
        names = list(self.kinds)
        while time.monotonic() < until:
            [kind] = self.chance.choices(names, [self.kinds[n][0] for n in names])
            try:
                if not self.kinds[kind][1]():
                    self.record.wrong.append(f"{self.name}: {kind} gave a wrong answer")
            except Exception as failure:  # noqa: BLE001 - every failure is counted
                if TOLD in str(failure):
                    self.record.told += 1
                else:
                    self.record.wrong.append(f"{self.name}: {kind}: {type(failure).__name__}: {str(failure)[:300]}")
            self.record.done[kind] += 1
            time.sleep(self.chance.uniform(0, 0.5))
        self.spark.stop()


ANSWERS: dict[int, list[tuple[object, ...]]] = {}


@dataclass(frozen=True)
class Sample:
    """What the server holds at a moment."""

    driver: float
    executors: float
    stored: float
    descriptors: int
    python: int
    files: int

    def __str__(self) -> str:
        return (
            f"driver {self.driver:.0f} MB, {self.descriptors} descriptors; executors {self.executors:.0f} MB; "
            f"store {self.stored:.1f} MB; {self.python} Python processes; {self.files} files"
        )


def sample(stand: Stand) -> Sample:
    """Look at the server."""
    held = 0
    for process in stand.executors():
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info()
            held += memory.rss - memory.shared
    driver = stand.driver.memory_info()
    return Sample(
        driver.rss / 1e6,
        held / 1e6,
        stand.stored_bytes() / 1e6,
        stand.driver.num_fds(),
        stand.python_processes(),
        stand.files(),
    )


def kill_now_and_then(stand: Stand, record: Record, until: float, seconds: float, seed: int) -> None:
    """Kill a random executor every so often."""
    chance = random.Random(seed)
    while time.monotonic() + seconds < until:
        time.sleep(chance.uniform(0.5, 1.5) * seconds)
        if up := stand.executors():
            with contextlib.suppress(psutil.Error):
                chance.choice(up).send_signal(signal.SIGKILL)
                record.kills += 1


def soak(stand: Stand, arguments: argparse.Namespace) -> tuple[Record, list[Sample]]:
    """Let the users work; samples every half minute, the first before they come, the last after they left."""
    record = Record()
    samples = [sample(stand)]
    print(f"     0 s: {samples[0]}", flush=True)
    until = time.monotonic() + arguments.minutes * 60
    folder = tables(arguments.scale)
    users = [User(stand, f"user{i}", folder, arguments.seed, record) for i in range(arguments.users)]
    threads = [threading.Thread(target=user.work, args=(until,)) for user in users]
    threads.append(
        threading.Thread(target=kill_now_and_then, args=(stand, record, until, arguments.kill_seconds, arguments.seed))
    )
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while time.monotonic() < until:
        time.sleep(min(30.0, arguments.minutes * 15))
        samples.append(sample(stand))
        print(f"{time.monotonic() - began:6.0f} s: {samples[-1]}; {record.done.total()} queries", flush=True)
    for thread in threads:
        thread.join()
    time.sleep(SETTLE_SECONDS)
    samples.append(sample(stand))
    return record, samples


def growth(samples: list[Sample]) -> float:
    """How far the driver's memory in the last third of the samples lies above that in the second."""
    third = max(1, len(samples) // 3)
    return statistics.median(s.driver for s in samples[-third:]) / statistics.median(
        s.driver for s in samples[third : 2 * third] or samples
    )


def main() -> int:
    """Run it and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--kill-seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    ANSWERS.update({n: duckdb_answer(n, arguments.scale) for n in NUMBERS})
    with tempfile.TemporaryDirectory(prefix="vs", ignore_cleanup_errors=True) as folder:
        stand = Stand(Path(folder))
        try:
            record, samples = soak(stand, arguments)
            last = samples.pop()
        finally:
            files = stand.stop()
    print(f"{record.done.total()} queries: {dict(record.done)}; {record.kills} executors killed, {record.told} told")
    print(f"after the sessions ended: {last}; files after the server ended: {files or 'none'}")
    print(f"the driver's memory in the last third: {growth(samples):.2f} times that in the second")
    left = [f"{last.stored:.1f} MB in the object store"] if last.stored > 1 else []
    left += [f"{last.files - samples[0].files} files"] if last.files > samples[0].files else []
    problems = [*record.wrong, *left, *files]
    print("\n".join(problems) if problems else "every answer was right, and nothing was left")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
