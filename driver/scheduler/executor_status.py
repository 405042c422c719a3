"""How the executors are: what the driver knows of them, and what they answer when asked."""

from __future__ import annotations

import threading
import time
from typing import Any

from voltray.driver.scheduler.cluster import Cluster
from voltray.proto.status import ExecutorStatus

_ANSWER_SECONDS = 1.0
_KEPT_SECONDS = 2.0


class ExecutorStates:
    """The executors' states, asked for at most every few seconds however many look."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._states: tuple[ExecutorStatus, ...] = ()

    def get(self) -> tuple[ExecutorStatus, ...]:
        """Every executor; blocks for as long as one may take to answer."""
        with self._lock:
            if time.monotonic() - self._asked > _KEPT_SECONDS:
                self._states = executor_states(self._cluster)
                self._asked = time.monotonic()
            return self._states


def executor_states(cluster: Cluster) -> tuple[ExecutorStatus, ...]:
    """Every executor of a cluster, as it is now."""
    import ray

    handles = tuple(cluster.executors())
    slots = cluster.slots.state
    asked = {h.index: (h.actor.resident_bytes.remote(), h.actor.python_workers.remote()) for h in handles}
    references = [reference for pair in asked.values() for reference in pair]
    ready, _ = ray.wait(references, num_returns=len(references), timeout=_ANSWER_SECONDS)
    answered = set(ready)
    names = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
    states = []
    for handle in handles:
        memory, workers = (_answer(r) if r in answered else None for r in asked[handle.index])
        states.append(
            ExecutorStatus(
                index=handle.index,
                generation=handle.generation,
                is_up=handle.index in slots.up,
                node=names.get(handle.node_id, ""),
                cpus=cluster.executor_cpus,
                slots=slots.capacity,
                running_tasks=cluster.slots.tasks_of(handle.index),
                memory_budget=cluster.executor_memory,
                memory_used=memory,
                python_workers=None if workers is None else len(workers),
            )
        )
    return tuple(states)


def _answer(reference: Any) -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayError:
        return None
