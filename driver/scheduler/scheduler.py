"""The scheduler: runs plans on the cluster's executors (``driver.scheduler.query.QueryScheduler``)."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pyarrow as pa
import ray

from voltray.driver.monitoring.monitor import Monitor
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.planning.explain import explain_plan
from voltray.driver.planning.fragment import Fragment
from voltray.driver.planning.planner import Planner
from voltray.driver.scheduler.client_results import ResultStage
from voltray.driver.scheduler.cluster import Cluster
from voltray.driver.scheduler.executor_status import ExecutorStates
from voltray.driver.scheduler.limits import UserLimits
from voltray.driver.scheduler.lineage import CACHE_PREFIX, StoredStage
from voltray.driver.scheduler.observed import observed_metrics
from voltray.driver.scheduler.query import ObservedMetrics, ResultBatch, StageProgress
from voltray.driver.scheduler.query_stages import QueryStages
from voltray.driver.scheduler.tables import StoredTables
from voltray.driver.settings import Settings
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.stages import CacheOutput, Exchange, ResultOutput, Stage, WriteOutput
from voltray.proto.status import ExecutorStatus
from voltray.proto.tasks import TaskReport

Observer = Callable[[tuple[ObservedMetrics, ...]], None]


class Scheduler:
    """Plans queries, runs their stages and keeps what is cached."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        limits: UserLimits | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.cluster = cluster
        self._monitor = monitor or Monitor()
        self._limits = limits or UserLimits()
        self._settings = settings
        self._tables = StoredTables()
        self._caches: dict[str, StoredStage] = {}
        self._numbers = itertools.count(1)
        self._running: dict[str, list[QueryStages]] = {}
        self._lock = threading.Lock()
        self._executor_states = ExecutorStates(cluster)

    def execute(self, plan: LogicalPlan, context: EvaluationContext, *, operation_id: str, user: str) -> ClientQuery:
        """A query whose results go to a client; its work starts with the first look at its batches."""
        return ClientQuery(self, plan, context, self._stages(context, operation_id))

    def collect(
        self,
        plan: LogicalPlan,
        context: EvaluationContext,
        *,
        operation_id: str = "collect",
        on_observed: Observer | None = None,
    ) -> pa.Table:
        """Run to the end and return a table in carrier types, columns named by ids."""
        stages = self._stages(context, operation_id)
        with self._cancellable(operation_id, stages):
            return self._collected(plan, context, stages, on_observed)

    def _collected(
        self, plan: LogicalPlan, context: EvaluationContext, stages: QueryStages, on_observed: Observer | None
    ) -> pa.Table:
        planner = self._planner(context, stages)
        fragment = planner.plan_query(plan)
        stage = Stage(stages.new_stage_id(), fragment.tasks, Exchange("keep", 1), fragment.output)
        stored = stages.run_stored(stage, str(stage.stage_id), streaming=planner.streaming)
        pieces = [ray.get(outcome.pieces[0]) for outcome in stored.outcomes]
        filled = [p.table for p in pieces if p.table.num_rows] or [pieces[0].table]
        whole = pa.concat_tables(filled)
        if on_observed is not None:
            on_observed(observed_metrics(stages, plan, _reports(stages, stored)))
        return whole.select([a.column for a in fragment.output]) if fragment.output else whole

    def write(
        self,
        plan: LogicalPlan,
        context: EvaluationContext,
        specification: Any,
        *,
        operation_id: str,
        on_observed: Observer | None = None,
    ) -> tuple[Any, ...]:
        """Run a plan whose rows are written; the reports of its tasks, in order."""
        stages = self._stages(context, operation_id)
        with self._cancellable(operation_id, stages):
            planner = self._planner(context, stages, keep_partitions=True)
            fragment = planner.plan_query(plan)
            output = WriteOutput(fragment.output, specification)
            stage = Stage(stages.new_stage_id(), fragment.tasks, output, fragment.output)
            stored = stages.run_stored(stage, str(stage.stage_id), streaming=planner.streaming)
            if on_observed is not None:
                on_observed(observed_metrics(stages, plan, _reports(stages, stored)))
            return tuple([outcome.report.written for outcome in stored.outcomes])

    def cache(
        self,
        plan: LogicalPlan,
        context: EvaluationContext,
        cache_id: str,
        *,
        operation_id: str = "cache",
        on_observed: Observer | None = None,
    ) -> None:
        """Compute a plan and keep its partitions under an id."""
        stages = self._stages(context, operation_id)
        with self._cancellable(operation_id, stages):
            planner = self._planner(context, stages, keep_partitions=_asks_for_partitions(plan))
            fragment = planner.plan_query(plan)
            output = CacheOutput(fragment.output, cache_id)
            stage = Stage(stages.new_stage_id(), fragment.tasks, output, fragment.output)
            source = CACHE_PREFIX + cache_id
            stored = stages.run_stored(stage, source, streaming=planner.streaming)
            if on_observed is not None:
                on_observed(observed_metrics(stages, plan, _reports(stages, stored)))
            stored.forget_inputs()
            self._caches[cache_id] = stored

    def end_session(self, session_id: str) -> None:
        """Let go of what executors hold for a session's Python functions."""
        self.cluster.end_session(session_id)

    def executor_states(self) -> tuple[ExecutorStatus, ...]:
        """How the executors are; blocks while they are asked."""
        return self._executor_states.get()

    def python_logs(self, session_id: str) -> tuple[str, ...]:
        """What a session's Python functions logged, as JSON records."""
        return self.cluster.python.logs(session_id)

    def take_accumulators(self, operation_id: str) -> tuple[bytes, ...]:
        """Updates that an operation's Python workers sent for the client's accumulators, pickled."""
        return self.cluster.python.take_accumulators(operation_id)

    def uncache(self, cache_id: str) -> None:
        """Let a cache go."""
        self._caches.pop(cache_id, None)

    def explain(self, plan: LogicalPlan, context: EvaluationContext) -> str:
        """The stages of a plan with their exchanges, as text."""
        return explain_plan(plan, context, self._settings, self._slots(), self._cached_result)

    def progress(self, operation_id: str) -> tuple[StageProgress, ...]:
        """Where the writes and caches under way for an operation stand."""
        running = tuple(self._running.get(operation_id, ()))
        return tuple([p for stages in running for _, p in sorted(stages.progress.copy().items())])

    def cancel(self, operation_id: str) -> None:
        """Stop the writes and caches under way for an operation."""
        for stages in tuple(self._running.get(operation_id, ())):
            stages.cancel()

    def shared(self, stages: QueryStages) -> AbstractContextManager[None]:
        """Give a query its user's share of the slots, as long as it runs."""
        return self.cluster.slots.shared(
            stages.query_id, self._limits.share_of_session(stages.context.session_id)
        )

    @contextmanager
    def _cancellable(self, operation_id: str, stages: QueryStages) -> Iterator[None]:
        with self._lock:
            self._running.setdefault(operation_id, []).append(stages)
        try:
            with self.shared(stages):
                yield
        finally:
            with self._lock:
                self._running[operation_id].remove(stages)
                if not self._running[operation_id]:
                    del self._running[operation_id]
            stages.end()

    def _cached_result(self, cache_id: str) -> Any:
        return self._caches[cache_id].result()

    def _slots(self) -> int:
        return self.cluster.size * self.cluster.slots_of_executor

    def _stages(self, context: EvaluationContext, operation_id: str) -> QueryStages:
        # Several queries may run for one operation, and an id may come twice.
        query_id = f"{operation_id or uuid.uuid4()}#{next(self._numbers)}"
        notes = self._monitor.query(operation_id)
        return QueryStages(self.cluster, self._tables, self._caches, context, query_id, notes=notes)

    def _planner(self, context: EvaluationContext, stages: QueryStages, *, keep_partitions: bool = False) -> Planner:
        return Planner(self._settings, context, stages, slots=self._slots(), keep_partitions=keep_partitions)


def _reports(stages: QueryStages, last: StoredStage) -> list[TaskReport]:
    """What all tasks of a query have reported, once each."""
    reports = [o.report for s in (*stages.stages.values(), last) for o in s.outcomes]
    return list({id(r): r for r in reports}.values())


def _asks_for_partitions(plan: LogicalPlan) -> bool:
    return isinstance(plan, logical.Repartition)


class ClientQuery:
    """A query under way (``driver.scheduler.query.QueryRun``)."""

    def __init__(
        self, scheduler: Scheduler, plan: LogicalPlan, context: EvaluationContext, stages: QueryStages
    ) -> None:
        self._scheduler = scheduler
        self._plan = plan
        self._context = context
        self._stages = stages
        self._observed: tuple[ObservedMetrics, ...] = ()

    def batches(self) -> Iterator[ResultBatch]:
        """Plan, run the stages before the last, and give the last one's batches as they are ready."""
        self._stages.check()
        with self._scheduler.shared(self._stages):
            yield from self._batches(self._stages)

    def _batches(self, stages: QueryStages) -> Iterator[ResultBatch]:
        try:
            planner = self._scheduler._planner(self._context, stages)
            fragment = planner.plan_query(self._plan)
            output = result_output(self._plan, fragment, self._context, self._scheduler._settings.result_batch_rows)
            result = ResultStage(stages, fragment, output, streaming=planner.streaming)
            yield from result.batches()
            self._observed = observed_metrics(stages, self._plan, self._reports(result))
        finally:
            stages.end()

    def cancel(self) -> None:
        """Stop all work of the query."""
        self._stages.cancel()

    def progress(self) -> tuple[StageProgress, ...]:
        """Where the stages stand."""
        return tuple([p for _, p in sorted(self._stages.progress.copy().items())])

    def observed(self) -> tuple[ObservedMetrics, ...]:
        """Metrics of CollectMetrics nodes."""
        return self._observed

    def _reports(self, result: ResultStage) -> list[TaskReport]:
        stored = [o.report for s in self._stages.stages.values() for o in s.outcomes]
        return stored + result.reports


def result_output(plan: LogicalPlan, fragment: Fragment, context: EvaluationContext, batch_rows: int) -> ResultOutput:
    """How the rows of a plan go to the client."""
    return ResultOutput(plan.output, logical.schema_of(plan), context.time_zone, batch_rows)
