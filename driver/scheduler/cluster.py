"""The Ray cluster and the executors on it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from voltray.driver.scheduler.executor_watch import ExecutorHandle, ExecutorWatch
from voltray.driver.scheduler.membership import Membership
from voltray.driver.scheduler.nodes import is_unplaced, live_nodes, node_with_room
from voltray.driver.scheduler.python_sessions import PythonSessions, end_executors
from voltray.driver.scheduler.slots import SlotPool, SlotState
from voltray.driver.settings import Settings

_log = logging.getLogger(__name__)
_START_SECONDS = 120.0
_SECONDS_BETWEEN_STARTS = 2.0
_SECONDS_BETWEEN_LOOKS = 2.0
_PATIENCE_SECONDS = 15.0
_FORWARDED = ("TZ", "POLARS_TEMP_DIR", "PYSPARK_PYTHON")


class Cluster:
    """Executors by index: an executor that died is replaced under the same index."""

    def __init__(self, settings: Settings, *, owns_ray: bool) -> None:
        self._settings = settings
        self._owns_ray = owns_ray
        self._lock = threading.Lock()
        self._stopped = False
        self._server_id = uuid.uuid4().hex
        self.spilling: dict[str, None] = {}
        """Queries that may have files on the executors' nodes."""
        nodes = live_nodes()
        self._executors = [self._start(i, 0, nodes[i % len(nodes)]) for i in range(settings.executors)]
        capacity = max(2, settings.executor_cpus)
        self.slots = SlotPool(SlotState(capacity, (0,) * settings.executors))
        self._await_executors()
        self.python = PythonSessions()
        self._watch = ExecutorWatch(self, settings.executor_silence_seconds)
        most = max(settings.executors, settings.max_executors)
        self._membership = Membership(self, most, settings.executor_cpus, _SECONDS_BETWEEN_LOOKS)

    @property
    def size(self) -> int:
        """Number of executors."""
        return len(self._executors)

    @property
    def executor_memory(self) -> int:
        """Bytes that each executor may use."""
        return self._settings.executor_memory

    @property
    def executor_cpus(self) -> int:
        """CPUs of each executor."""
        return self._settings.executor_cpus

    @property
    def slots_of_executor(self) -> int:
        """Tasks that one executor runs at a time."""
        return self.slots.state.capacity

    @property
    def straggler_multiple(self) -> float:
        """How many times the median a task takes before it runs a second time; 0 for never."""
        return self._settings.straggler_multiple

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
            self.slots.set_up(dead.index, False)
            end_actor(dead.actor)  # one that could only not be reached must not go on beside its replacement
            self._start_again(dead, dead.node_id)
        # Where the cluster has no room for it now, the executor comes up once there is.
        self._bring_up_soon(dead.index)

    def grow(self, node_id: str) -> None:
        """Start one more executor on a node that has room."""
        with self._lock:
            if self._stopped:
                return
            index = len(self._executors)
            _log.info("executor %d is started on a node with room", index)
            self._executors.append(self._start(index, 0, node_id))
            self.slots.grow()
        self._bring_up_soon(index)

    def drain(self, handle: ExecutorHandle) -> None:
        """Give an executor no more tasks, end it once it has done those that it has, start another elsewhere."""
        with self._lock:
            if self._stopped or self._executors[handle.index].generation != handle.generation:
                return
            if handle.index not in self.slots.state.up:
                return
            _log.info("executor %d is drained", handle.index)
            self.slots.set_up(handle.index, False)
        threading.Thread(target=self._drain, args=(handle,), name="executor-drain", daemon=True).start()

    def _drain(self, handle: ExecutorHandle) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            while not self._stopped and ray.get(handle.actor.running.remote()):
                time.sleep(_SECONDS_BETWEEN_LOOKS / 2)
            end_executors([handle])
        with self._lock:
            if self._stopped or self._executors[handle.index].generation != handle.generation:
                return
            end_actor(handle.actor)
            self._start_again(handle, handle.node_id)
        self._bring_up_soon(handle.index)

    def _bring_up_soon(self, index: int) -> None:
        threading.Thread(target=self._bring_up, args=(index,), name="executor-start", daemon=True).start()

    def _start_again(self, dead: ExecutorHandle, node_id: str | None) -> None:
        """Start an executor's next generation: on the node given if that stays, else where there is room."""
        if node_id not in live_nodes():
            node_id = node_with_room(self._settings.executor_cpus)
        self._executors[dead.index] = self._start(dead.index, dead.generation + 1, node_id)

    def _bring_up(self, index: int) -> None:
        """Wait until an executor answers; start it again where its start failed, or where there is room meanwhile."""
        patience = _PATIENCE_SECONDS
        while not self._stopped:
            handle = self._executors[index]
            try:
                if self._came_up(handle, patience):
                    return
                patience *= 2
            except Exception as failure:  # noqa: BLE001 - whatever it was: without another try it would stay down
                if self._stopped:
                    return
                _log.warning("executor %d did not start: %s; trying again", index, type(failure).__name__)
                time.sleep(_SECONDS_BETWEEN_STARTS)
                with self._lock, contextlib.suppress(Exception):
                    end_actor(handle.actor)
                    self._start_again(handle, None)

    def _came_up(self, handle: ExecutorHandle, patience: float) -> bool:
        import ray

        ping = handle.actor.ping.remote()
        while not ray.wait([ping], timeout=patience)[0]:
            if self._stopped:
                return True
            room = node_with_room(self._settings.executor_cpus)
            if room is not None and is_unplaced(handle.actor):
                # It waits for room on one node while another has some.
                with self._lock:
                    end_actor(handle.actor)
                    self._start_again(handle, room)
                return False
        _, node_id, _ = ray.get(ping)
        with self._lock:
            self._executors[handle.index] = ExecutorHandle(handle.index, handle.generation, handle.actor, node_id)
            handle.actor.keep_queries.remote(tuple(self.spilling))
            self.slots.set_up(handle.index, True)
        _log.info("executor %d is up", handle.index)
        return True

    def cancel(self, query_id: str) -> None:
        """Tell every executor to stop a query's tasks."""
        for handle in self.executors():
            with contextlib.suppress(Exception):
                handle.actor.cancel.remote(query_id)

    def end_query(self, query_id: str) -> None:
        """Have the executors remove a query's files, where it may have some."""
        if query_id not in self.spilling:
            return
        self.spilling.pop(query_id, None)
        for handle in self.executors():
            with contextlib.suppress(Exception):
                handle.actor.end_query.remote(query_id)

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
        self._membership.stop()
        end_executors(list(self.executors_up()))
        for handle in self._executors:
            with contextlib.suppress(Exception):
                ray.kill(handle.actor)
        # Other nodes' executors remove theirs; one that was killed here could not.
        shutil.rmtree(self._settings.spill_dir / self._server_id, ignore_errors=True)
        if self._owns_ray:
            ray.shutdown()

    def _start(self, index: int, generation: int, node_id: str | None) -> ExecutorHandle:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from voltray.executors.actor import CONCURRENCY_GROUPS, Executor, ExecutorResources

        settings = self._settings
        environment = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
        environment["VOLTRAY_PYTHON_WORKER_MEMORY"] = str(settings.python_worker_memory)
        environment["VOLTRAY_PYTHON_TASK_SECONDS"] = str(settings.python_task_seconds)
        resources = ExecutorResources(
            settings.executor_memory, settings.memory_wait_seconds, str(settings.spill_dir), self._server_id
        )
        remote: Any = ray.remote(concurrency_groups=CONCURRENCY_GROUPS)(Executor)  # type: ignore[call-overload]
        actor = remote.options(
            num_cpus=settings.executor_cpus,
            max_restarts=0,
            max_task_retries=0,
            # Without a node that has room it waits for any that comes, which Ray's autoscaler sees as demand.
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=True) if node_id else "SPREAD",
        ).remote(index, settings.executor_cpus, environment, resources)
        return ExecutorHandle(index, generation, actor, node_id or "")

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
    """Start a Ray of one node. On a busy machine one of its processes dies or is late now and then: try again."""
    import ray

    for attempt in range(START_ATTEMPTS):
        try:
            with _no_garbage_collection():
                ray.init(
                    address="local",
                    num_cpus=settings.executors * settings.executor_cpus,
                    object_store_memory=settings.object_store_memory,
                    include_dashboard=False,
                    **quiet,
                )
        except Exception as failure:
            if attempt + 1 == START_ATTEMPTS or isinstance(failure, ValueError | TypeError):
                raise
            _log.warning("Ray did not start (%s); trying again", type(failure).__name__)
            ray.shutdown()
        else:
            return


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect nothing while Ray forks: finalizers of gRPC's objects abort in a child, which lacks their threads."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def end_actor(actor: Any) -> None:
    """Kill an executor, which may be dead."""
    import ray

    with contextlib.suppress(Exception):
        ray.kill(actor)
