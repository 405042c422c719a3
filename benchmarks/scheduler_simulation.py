"""What one query costs the scheduler at 10, 100 and 1,000 nodes: real scheduler, fake executors, a clock that jumps.

usage: python benchmarks/scheduler_simulation.py [--nodes 10,100,1000] [--slots 4] [--waves 2] [--task-seconds 5]

The query joins two tables and groups: two stages of scans, exchanged by hash, then one stage that reads both. Every
executor runs ``--slots`` tasks at a time, each stage has ``--waves`` tasks a slot. Fake executors answer after the
task's seconds on a clock of their own; the driver's code is the real one, and its CPU time is what is measured. Ray's
own work is not in it: 0.18 ms a call were measured on two cores, and a few KB of memory for each object it keeps.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import resource
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import ray

from voltray.driver.scheduler import query_stages
from voltray.driver.scheduler.executor_watch import ExecutorHandle
from voltray.driver.scheduler.query_stages import QueryStages
from voltray.driver.scheduler.slots import SlotPool, SlotState
from voltray.driver.scheduler.tables import StoredTables
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto import operators
from voltray.proto.expressions import Attribute
from voltray.proto.stages import Exchange, Stage
from voltray.proto.tasks import BY_PARTITION, PartitionKey, TaskReport
from voltray.proto.types import LongType

KEY = Attribute("key", LongType(), 1)


@dataclass(eq=False, slots=True)
class Reference:
    """Stands for a Ray object; a task's first one is done at a moment of the clock."""

    done: float
    value: Any = None


@dataclass(slots=True)
class Network:
    """The fake Ray: a clock, and counts of what would have crossed the network."""

    task_seconds: float
    partitions: int = 0
    now: float = 0.0
    calls: int = 0
    objects: int = 0
    bytes_sent: int = 0
    due: list[tuple[float, int, Reference]] = field(default_factory=list)
    ids: Any = field(default_factory=itertools.count)

    def submit(self, count: int, data: bytes) -> tuple[Reference, ...]:
        """A task goes to an executor."""
        self.calls += 1
        self.bytes_sent += len(data)
        self.objects += count
        # Tasks of a wave do not end at the same moment.
        done = self.now + self.task_seconds * (0.9 + 0.2 * (self.calls * 7919 % 1000) / 1000)
        report = TaskReport(rows=(1,) * self.partitions, bytes=(64,) * self.partitions)
        first = Reference(done, report)
        heapq.heappush(self.due, (done, next(self.ids), first))
        return (first, *[Reference(done) for _ in range(count - 1)])

    def wait(self, references: list[Reference], *, num_returns: int, timeout: float | None = None, **_: Any) -> Any:
        """The next task that ends, once the clock stands there; all that have ended, if asked without patience."""
        if timeout != 0 and self.due:
            self.now = max(self.now, self.due[0][0])
        ready = []
        while self.due and self.due[0][0] <= self.now and len(ready) < num_returns:
            ready.append(heapq.heappop(self.due)[2])
        return ready, references


class Method:
    """An executor's ``store``."""

    def __init__(self, network: Network, count: int = 1) -> None:
        self._network = network
        self._count = count

    def options(self, *, num_returns: int) -> Method:
        """The method with a number of results."""
        return Method(self._network, num_returns)

    def remote(self, data: bytes, *_: Any) -> Any:
        """Send a task."""
        references = self._network.submit(self._count, data)
        return references if self._count > 1 else references[0]


class FakeCluster:
    """As many executors as wanted."""

    straggler_multiple = 0.0

    def __init__(self, nodes: int, slots: int, network: Network) -> None:
        self.size = nodes
        self.slots_of_executor = slots
        self.slots = SlotPool(SlotState(slots, (0,) * nodes))
        self.python = SimpleNamespace(send_files=lambda *_: None, heard=lambda *_: None)
        self.spilling: dict[str, None] = {}
        actor = SimpleNamespace(store=Method(network))
        self._handles = [ExecutorHandle(i, 0, actor, str(i)) for i in range(nodes)]

    def executor(self, index: int) -> ExecutorHandle:
        """One executor."""
        return self._handles[index]

    def cancel(self, query_id: str) -> None:
        """Nothing runs."""

    end_query = cancel


def simulate(nodes: int, slots: int, waves: int, task_seconds: float, most_partitions: int) -> dict[str, float]:
    """Run the query; what it cost."""
    tasks = nodes * slots * waves
    partitions = min(tasks, most_partitions)
    network = Network(task_seconds, partitions)
    query_stages.ray = SimpleNamespace(  # type: ignore[assignment]
        wait=network.wait, get=lambda reference: reference.value, exceptions=ray.exceptions
    )
    cluster: Any = FakeCluster(nodes, slots, network)
    stages = QueryStages(cluster, StoredTables(), {}, EvaluationContext(), "query")
    started = time.process_time()
    sources = []
    for _ in range(2):
        scans = tuple([operators.RangeScan(KEY, i, i + 1, 1) for i in range(tasks)])
        stage_id = stages.new_stage_id()
        stages.run(Stage(stage_id, scans, Exchange("hash", partitions, (KEY,)), (KEY,)), streaming=True)
        sources.append(str(stage_id))
    maps = time.process_time() - started
    network.partitions = 1
    joins = []
    for p in range(partitions):
        reads = tuple([operators.PartitionRead((KEY,), PartitionKey(s, BY_PARTITION, p, p).text) for s in sources])
        joins.append(operators.Union(reads, ((KEY,), (KEY,)), (KEY,)))
    stages.run(Stage(stages.new_stage_id(), tuple(joins), Exchange("keep", 1), (KEY,)), streaming=True)
    cpu = time.process_time() - started
    return {
        "nodes": nodes,
        "tasks": network.calls,
        "objects": network.objects - network.calls,
        "seconds of the query": network.now,
        "messages a second": 2 * network.calls / network.now,
        "driver CPU s": cpu,
        "of it maps": maps,
        "CPU ms a task": 1000 * cpu / network.calls,
        "share of one core": cpu / network.now,
        "MB sent": network.bytes_sent / 1e6,
        "driver MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print one column for each number of nodes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="10,100,1000")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--waves", type=int, default=2)
    parser.add_argument("--task-seconds", type=float, default=5.0)
    parser.add_argument("--partitions", type=int, default=200, help="the setting shuffle-partitions")
    arguments = parser.parse_args()
    counts = [int(text) for text in arguments.nodes.split(",")]
    given = (arguments.slots, arguments.waves, arguments.task_seconds, arguments.partitions)
    columns = []
    for nodes in counts:
        columns.append(simulate(nodes, *given))
        print(f"{nodes} nodes done", flush=True)
    for name in columns[0]:
        print(f"{name:>22}", *[f"{column[name]:>14,.2f}" for column in columns])


if __name__ == "__main__":
    main()
