"""Ten TPC-H queries on three Ray nodes, while an executor, a node or an object is lost at a random moment of each run.

usage: python benchmarks/chaos.py [--runs 50] [--scale 0.01] [--seed 1] [--kinds executor,node,object]

Every answer is held to DuckDB's; a run that gives no answer in time counts as hung. Ends with 1 if any run was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("RAY_raylet_start_wait_time_s", "400")
# A killed node is known as dead after some seconds rather than half a minute.
os.environ.setdefault("RAY_health_check_period_ms", "1000")
os.environ.setdefault("RAY_health_check_failure_threshold", "3")

from answers import same_rows
from data import TABLES, duckdb_answer, query_texts, tables
from pyarrow import parquet

from voltray.driver.scheduler.state import finished

NUMBERS = (1, 3, 4, 5, 6, 9, 10, 12, 13, 18)
KINDS = ("executor", "node", "object")
LONGEST_RUN = 120.0
PARTS = 6
NODE = {"num_cpus": 1, "object_store_memory": 200 << 20, "include_dashboard": False}


@dataclass
class Outcome:
    """How one run went."""

    seed: int
    kind: str
    moment: float
    struck: str = "nothing"
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Stand:
    """Three nodes, the server in this process, and a client."""

    def __init__(self, scale: float, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.nodes = Cluster(initialize_head=True, head_node_args=NODE)
        self.others = [self.nodes.add_node(**NODE) for _ in range(2)]
        self.nodes.wait_for_nodes()
        from voltray.driver.connect.backend import start_backend
        from voltray.driver.connect.server import start_server
        from voltray.driver.settings import load_settings

        settings = load_settings(
            {
                "port": 0,
                "ray_address": self.nodes.address,
                "executors": 3,
                "executor_cpus": 1,
                "executor_memory": 1 << 30,
                "single_stage_bytes": 0,  # exchanges must really happen
                "warehouse_dir": folder / "warehouse",
                "graceful_stop_seconds": 1,
            }
        )
        self.backend = start_backend(settings)
        self.server = start_server(settings, self.backend)
        self.queries: deque[Any] = deque(maxlen=4)
        make = self.scheduler._stages
        self.scheduler._stages = lambda *given: self.queries.append(made := make(*given)) or made
        from pyspark.sql.connect.session import SparkSession

        self.spark = SparkSession.builder.remote(f"sc://{self.server.address}").create()
        in_parts(tables(scale), folder)
        self.spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
        for table in TABLES:
            self.spark.read.parquet(str(folder / table)).createOrReplaceTempView(table)
        self.texts = {n: query_texts()[n] for n in NUMBERS}
        self.right = {n: duckdb_answer(n, scale) for n in NUMBERS}

    def stop(self) -> None:
        """End all of it."""
        with contextlib.suppress(Exception):
            self.spark.stop()
        self.server.stop(0)
        self.nodes.shutdown()

    @property
    def scheduler(self) -> Any:
        """The server's own scheduler."""
        return self.backend.scheduler

    def strike(self, kind: str, chance: random.Random) -> str:
        """Lose something; what it was."""
        return {"executor": self._executor, "node": self._node, "object": self._object}[kind](chance)

    def mend(self) -> None:
        """Have three nodes again."""
        while len(self.others) < 2:
            self.others.append(self.nodes.add_node(**NODE))

    def _executor(self, chance: random.Random) -> str:
        import ray

        for _ in range(100):
            if up := list(self.scheduler.cluster.executors_up()):
                handle = chance.choice(up)
                with contextlib.suppress(Exception):
                    _, _, pid = ray.get(handle.actor.ping.remote(), timeout=10)
                    os.kill(pid, signal.SIGKILL)
                    return f"executor {handle.index}"
            time.sleep(0.1)
        return "nothing"

    def _node(self, chance: random.Random) -> str:
        import ray

        # Not the one through which the driver itself is in the cluster: its death would be the driver's.
        own = ray.get_runtime_context().get_node_id()
        node = chance.choice([n for n in self.others if n.node_id != own])
        self.others.remove(node)
        self.nodes.remove_node(node, allow_graceful=False)
        return f"node {node.node_id[:6]}"

    def _object(self, chance: random.Random) -> str:
        owner = new_owner()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            stored = [
                (stage, index)
                for query in list(self.queries)
                for stage in list(query.stages.values())
                for index, task in enumerate(stage.state.tasks)
                if task.outcome is not None and task.outcome.pieces
            ]
            if stored:
                stage, index = chance.choice(stored)
                if (outcome := stage.state.tasks[index].outcome) is None:
                    continue
                pieces = list(outcome.pieces)
                position = chance.randrange(len(pieces))
                pieces[position] = lost_copy(owner, pieces[position])
                stage.state = finished(stage.state, index, replace(outcome, pieces=tuple(pieces)))
                return f"object of stage {stage.source}"
            time.sleep(0.0005)
        return "nothing"


def new_owner() -> Any:
    """A process that is to own an object."""
    import ray

    @ray.remote(num_cpus=0)
    class Owner:
        def make(self, value: Any) -> list[Any]:
            return [ray.put(value)]

    owner = Owner.remote()
    ray.get(owner.make.remote(None))
    return owner


def lost_copy(owner: Any, piece: Any) -> Any:
    """A reference to a copy of an object that Ray has lost, or is about to: its owner is dead."""
    import ray

    (reference,) = ray.get(owner.make.remote(piece))
    ray.kill(owner)
    return reference


def in_parts(source: Path, folder: Path) -> None:
    """The tables as folders of files: scans of several tasks, even of the smallest scale."""
    for table in TABLES:
        rows = parquet.read_table(source / f"{table}.parquet")
        (folder / table).mkdir()
        count = PARTS if rows.num_rows > 1000 else 1
        for part in range(count):
            start, end = part * rows.num_rows // count, (part + 1) * rows.num_rows // count
            parquet.write_table(rows.slice(start, end - start), folder / table / f"part-{part}.parquet")


def round_of_queries(stand: Stand, wrong: list[str]) -> None:
    """Run the ten queries; what was wrong with them."""
    for number in NUMBERS:
        try:
            rows = stand.spark.sql(stand.texts[number]).collect()
        except Exception as error:  # noqa: BLE001 - any failure is a finding
            wrong.append(f"query {number} failed: {str(error)[:300]}")
            continue
        if not same_rows(rows, stand.right[number]):
            wrong.append(f"query {number} gave a wrong answer")


def run(stand: Stand, seed: int, kinds: tuple[str, ...], usual_seconds: float) -> Outcome:
    """One run: ten queries, one loss."""
    chance = random.Random(seed)
    outcome = Outcome(seed, chance.choice(kinds), chance.uniform(0, usual_seconds))
    thread = threading.Thread(target=round_of_queries, args=(stand, outcome.wrong), daemon=True)
    started = time.monotonic()
    thread.start()
    time.sleep(outcome.moment)
    outcome.struck = stand.strike(outcome.kind, chance)
    thread.join(LONGEST_RUN)
    if thread.is_alive():
        outcome.wrong.append(f"hung for {LONGEST_RUN:.0f} s")
    outcome.seconds = time.monotonic() - started
    stand.mend()
    return outcome


def main() -> int:
    """Run all and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    arguments = parser.parse_args()
    kinds = tuple(arguments.kinds.split(","))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="voltray-chaos-") as folder:
        stand = Stand(arguments.scale, Path(folder))
        try:
            first: list[str] = []
            round_of_queries(stand, first)
            started = time.monotonic()
            round_of_queries(stand, first)
            usual = time.monotonic() - started
            print(f"without a loss: {usual:.1f} s, {first or 'every answer right'}", flush=True)
            failed += bool(first)
            for seed in range(arguments.seed, arguments.seed + arguments.runs):
                outcome = run(stand, seed, kinds, usual)
                failed += bool(outcome.wrong)
                print(
                    f"run {seed}: lost {outcome.struck} after {outcome.moment:.2f} s, {outcome.seconds:.1f} s in all: "
                    f"{'; '.join(outcome.wrong) or 'every answer right'}",
                    flush=True,
                )
                if any("hung" in text for text in outcome.wrong):
                    break
        finally:
            print(f"{failed} of {arguments.runs} runs were wrong" if failed else "no run was wrong", flush=True)
            sys.stdout.flush()
            stand.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
