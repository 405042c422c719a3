"""The metrics in Prometheus' text format. No label has a user's word for its value: their number stays small."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from voltray.driver.monitoring.process import cpu_seconds
from voltray.driver.monitoring.totals import SECONDS_BOUNDS, Durations, Totals
from voltray.driver.monitoring.view import Source
from voltray.proto.status import QUEUED, RUNNING, ExecutorStatus, ServerStatus

METRICS_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_COUNTERS = (
    ("voltray_sessions_opened", "Sessions that were opened.", "sessions"),
    ("voltray_queries", "Queries that ran for operations and streams.", "queries"),
    ("voltray_result_rows", "Rows sent to clients.", "rows"),
    ("voltray_result_bytes", "Arrow bytes sent to clients.", "bytes"),
    ("voltray_stages", "Stages that ended.", "stages"),
    ("voltray_tasks", "Tasks that gave their output.", "tasks_done"),
    ("voltray_tasks_lost", "Tasks that ran again because an executor or their input was gone.", "tasks_lost"),
    ("voltray_task_copies", "Tasks that were started a second time because they were slow.", "task_copies"),
    ("voltray_spilled_bytes", "Bytes of exchanged rows that went to files.", "spilled_bytes"),
)


def metrics_text(source: Source, executors: Sequence[ExecutorStatus]) -> str:
    """All metrics as they stand."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(source, executors))
    return generate_latest(registry).decode()


class _Snapshot(Collector):
    """The metrics of one moment."""

    def __init__(self, source: Source, executors: Sequence[ExecutorStatus]) -> None:
        self._source = source
        self._executors = executors

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is collected."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        monitor, server = self._source.monitor, self._source.server()
        states = [notes.state for notes in monitor.running()]
        yield from _of_server(server, len(self._source.sessions()), {s: states.count(s) for s in (QUEUED, RUNNING)})
        yield from _of_work(monitor.totals)
        yield from _of_executors(self._executors)


def _of_server(server: ServerStatus, sessions: int, running: dict[str, int]) -> Iterable[Metric]:
    yield InfoMetricFamily(
        "voltray_build", "Versions.", value={"version": server.version, "spark_version": server.spark_version}
    )
    yield GaugeMetricFamily("voltray_start_time_seconds", "When the driver started.", value=server.started)
    yield GaugeMetricFamily("voltray_driver_resident_bytes", "The driver's memory.", value=server.memory_used)
    yield CounterMetricFamily("voltray_driver_cpu_seconds", "The driver's CPU time.", value=cpu_seconds())
    yield GaugeMetricFamily("voltray_sessions", "Open sessions.", value=sessions)
    yield GaugeMetricFamily("voltray_queue_length", "Queries that wait for their place.", value=server.queue_length)
    family = GaugeMetricFamily("voltray_operations_active", "Operations that have not ended.", labels=["state"])
    for state, count in running.items():
        family.add_metric([state], count)
    yield family


def _of_work(totals: Totals) -> Iterable[Metric]:
    for name, meaning, attribute in _COUNTERS:
        yield CounterMetricFamily(name, meaning, value=getattr(totals, attribute))
    ended = CounterMetricFamily("voltray_operations", "Operations that ended.", labels=["state"])
    seconds = HistogramMetricFamily(
        "voltray_operation_seconds", "From an operation's request to its end.", labels=["state"]
    )
    for state, count in totals.operations.items():
        ended.add_metric([state], count)
        durations = totals.durations[state]
        seconds.add_metric([state], _buckets(durations), durations.total)
    yield ended
    yield seconds


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    found, sum_so_far = [], 0
    for bound, count in zip((*SECONDS_BOUNDS, float("inf")), tuple(durations.counts), strict=True):
        sum_so_far += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), float(sum_so_far)))
    return found


def _of_executors(executors: Sequence[ExecutorStatus]) -> Iterable[Metric]:
    up = GaugeMetricFamily("voltray_executor_up", "Whether an executor takes tasks.", labels=["executor"])
    tasks = GaugeMetricFamily("voltray_executor_running_tasks", "Tasks that it runs.", labels=["executor"])
    slots = GaugeMetricFamily("voltray_executor_slots", "Tasks that it runs at a time.", labels=["executor"])
    budget = GaugeMetricFamily("voltray_executor_memory_budget_bytes", "What it may use.", labels=["executor"])
    memory = GaugeMetricFamily("voltray_executor_resident_bytes", "What it holds.", labels=["executor"])
    workers = GaugeMetricFamily("voltray_executor_python_workers", "Its Python workers.", labels=["executor"])
    starts = CounterMetricFamily("voltray_executor_restarts", "How often it was replaced.", labels=["executor"])
    for executor in executors:
        label = [str(executor.index)]
        up.add_metric(label, int(executor.is_up))
        tasks.add_metric(label, executor.running_tasks)
        slots.add_metric(label, executor.slots)
        budget.add_metric(label, executor.memory_budget)
        starts.add_metric(label, executor.generation)
        if executor.memory_used is not None:
            memory.add_metric(label, executor.memory_used)
        if executor.python_workers is not None:
            workers.add_metric(label, executor.python_workers)
    yield from (up, tasks, slots, budget, memory, workers, starts)
