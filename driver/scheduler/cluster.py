"""The Ray cluster and the executors on it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from voltray.driver.scheduler.executor_watch import ExecutorHandle, ExecutorWatch
from voltray.driver.scheduler.python_sessions import PythonSessions, end_executors
from voltray.driver.scheduler.slots import SlotPool, SlotState
from voltray.driver.settings import Settings

_log = logging.getLogger(__name__)
_START_SECONDS = 120.0
_SECONDS_BETWEEN_STARTS = 2.0
_FORWARDED = ("TZ", "POLARS_TEMP_DIR", "PYSPARK_PYTHON")


class Cluster:
    """Executors by index: an executor that died is replaced under the same index."""

    def __init__(self, settings: Settings, *, owns_ray: bool) -> None:
        self._settings = settings
        self._owns_ray = owns_ray
        self._lock = threading.Lock()
        self._stopped = False
        nodes = _nodes()
        self._executors = [self._start(i, 0, nodes[i % len(nodes)]) for i in range(settings.executors)]
        capacity = max(2, settings.executor_cpus)
        self.slots = SlotPool(SlotState(capacity, (0,) * settings.executors))
        self._await_executors()
        self.python = PythonSessions()
        self._watch = ExecutorWatch(self, settings.executor_silence_seconds)

    @property
    def size(self) -> int:
        """Number of executors."""
        return len(self._executors)

    @property
    def slots_of_executor(self) -> int:
        """Tasks that one executor runs at a time."""
        return self.slots.state.capacity

    def executor(self, index: int) -> ExecutorHandle:
        """The executor that now has an index."""
        return self._executors[index]

    def executors(self) -> Iterator[ExecutorHandle]:
        """All executors."""
        return iter(tuple(self._executors))

    def executors_up(self) -> Iterator[ExecutorHandle]:
        """Executors that answered once and are not being replaced."""
        return (self._executors[i] for i in self.slots.state.up)

    def replace(self, dead: ExecutorHandle) -> None:
        """Start another executor in place of a dead one, unless that was done already."""
        with self._lock:
            if self._stopped or self._executors[dead.index].generation != dead.generation:
                return
            _log.warning("executor %d died; starting another", dead.index)
            nodes = _nodes()
            alive = dead.node_id if dead.node_id in nodes else nodes[dead.index % len(nodes)]
            self.slots.set_up(dead.index, False)
            self._executors[dead.index] = self._start(dead.index, dead.generation + 1, alive)
        # Where the cluster has no room for it now, the executor comes up once there is.
        threading.Thread(target=self._bring_up, args=(dead.index,), name="executor-start", daemon=True).start()

    def _bring_up(self, index: int) -> None:
        """Wait until an executor answers; start it again where its start failed."""
        import ray

        while not self._stopped:
            handle = self._executors[index]
            try:
                _, node_id, _ = ray.get(handle.actor.ping.remote())
            except ray.exceptions.RayError:
                time.sleep(_SECONDS_BETWEEN_STARTS)
                with self._lock:
                    if not self._stopped:
                        self._executors[index] = self._start(index, handle.generation + 1, _nodes()[0])
                continue
            with self._lock:
                self._executors[index] = ExecutorHandle(index, handle.generation, handle.actor, node_id)
                self.slots.set_up(index, True)
            return

    def cancel(self, query_id: str) -> None:
        """Tell every executor to stop a query's tasks."""
        for handle in self.executors():
            with contextlib.suppress(Exception):
                handle.actor.cancel.remote(query_id)

    def end_session(self, session_id: str) -> None:
        """Let go of what executors hold for a session's Python functions."""
        self.python.end_session(list(self.executors()), session_id)

    def stop(self) -> None:
        """Stop the executors, and Ray where it was started here."""
        import ray

        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._watch.stop()
        end_executors(list(self.executors_up()))
        for handle in self._executors:
            with contextlib.suppress(Exception):
                ray.kill(handle.actor)
        if self._owns_ray:
            ray.shutdown()

    def _start(self, index: int, generation: int, node_id: str) -> ExecutorHandle:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from voltray.executors.actor import CONCURRENCY_GROUPS, Executor

        settings = self._settings
        environment = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
        environment["VOLTRAY_PYTHON_WORKER_MEMORY"] = str(settings.python_worker_memory)
        environment["VOLTRAY_PYTHON_TASK_SECONDS"] = str(settings.python_task_seconds)
        remote: Any = ray.remote(concurrency_groups=CONCURRENCY_GROUPS)(Executor)  # type: ignore[call-overload]
        actor = remote.options(
            num_cpus=settings.executor_cpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=True),
        ).remote(index, settings.executor_cpus, environment)
        return ExecutorHandle(index, generation, actor, node_id)

    def _await_executors(self) -> None:
        import ray

        pings = [handle.actor.ping.remote() for handle in self._executors]
        try:
            for position, (_, node_id, _) in enumerate(ray.get(pings, timeout=_START_SECONDS)):
                handle = self._executors[position]
                self._executors[position] = ExecutorHandle(handle.index, 0, handle.actor, node_id)
        except ray.exceptions.GetTimeoutError:
            wanted = f"{self._settings.executors} executors of {self._settings.executor_cpus} CPUs"
            has = ray.cluster_resources().get("CPU", 0)
            for handle in self._executors:
                ray.kill(handle.actor)
            if self._owns_ray:
                ray.shutdown()
            raise RuntimeError(f"Ray did not place {wanted} in time; the cluster has {has:g} CPUs") from None


START_ATTEMPTS = 3


def start_cluster(settings: Settings) -> Cluster:
    """Start or join Ray, and start the executors."""
    import ray

    if ray.is_initialized():
        return Cluster(settings, owns_ray=False)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # Ray starts its workers at niceness 15; executors are what the machine is there for.
    os.environ.setdefault("RAY_worker_niceness", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if settings.ray_address:
        ray.init(address=settings.ray_address, namespace=f"voltray-{time.time_ns()}", **quiet)
        return Cluster(settings, owns_ray=True)
    _start_local_ray(settings, quiet)
    return Cluster(settings, owns_ray=True)


def _start_local_ray(settings: Settings, quiet: dict[str, Any]) -> None:
    """Start a Ray of one node. On a busy machine Ray now and then gives up waiting for its own node: try again."""
    import ray

    for attempt in range(START_ATTEMPTS):
        try:
            ray.init(
                address="local",
                num_cpus=settings.executors * settings.executor_cpus,
                object_store_memory=settings.object_store_memory,
                include_dashboard=False,
                **quiet,
            )
        except Exception as failure:
            if attempt + 1 == START_ATTEMPTS or "timed out" not in str(failure).lower():
                raise
            logging.getLogger(__name__).warning("Ray did not start in time; trying again")
            ray.shutdown()
        else:
            return


def _nodes() -> list[str]:
    """Ids of the live nodes, those with the most CPUs first."""
    import ray

    alive = [n for n in ray.nodes() if n["Alive"]]
    ordered = sorted(alive, key=lambda n: (-n["Resources"].get("CPU", 0), n["NodeID"]))
    return [n["NodeID"] for n in ordered if n["Resources"].get("CPU", 0)] or [n["NodeID"] for n in ordered]
