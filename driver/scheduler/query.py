"""A running query as the service sees it: results in batches, progress, observed metrics, cancellation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from voltray.driver.monitoring.stages import StageNotes
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.executors.functions.evaluation import EvaluationContext
    from voltray.proto.expressions import Alias
    from voltray.proto.status import ExecutorStatus


@dataclass(frozen=True, slots=True)
class ResultBatch:
    """One Arrow IPC stream (schema, one or more record batches, end) as the client gets it."""

    row_count: int
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Counts of one stage, for progress messages."""

    stage_id: int
    num_tasks: int
    num_completed_tasks: int
    input_bytes_read: int
    done: bool
    notes: StageNotes | None = None
    """What is known of the stage as it runs."""

    @property
    def num_running_tasks(self) -> int:
        """Tasks that executors have at this moment; none of those that wait."""
        return 0 if self.done or self.notes is None else self.notes.running


@dataclass(frozen=True, slots=True)
class ObservedMetrics:
    """Values of one ``df.observe``, as internal values beside their aliases."""

    name: str
    metrics: tuple[Alias, ...]
    values: tuple[Any, ...]


class QueryRun(Protocol):
    """A query under way."""

    def batches(self) -> Iterator[ResultBatch]:
        """Result batches in order as they are ready; blocks; at least one (maybe without rows). Raises SparkError."""
        ...

    def cancel(self) -> None:
        """Stop all work of the query; ``batches`` then raises OPERATION_CANCELED."""
        ...

    def progress(self) -> tuple[StageProgress, ...]:
        """Where the stages stand."""
        ...

    def observed(self) -> tuple[ObservedMetrics, ...]:
        """Metrics of CollectMetrics nodes, complete once ``batches`` is exhausted."""
        ...


class QueryScheduler(Protocol):
    """What runs plans (``driver.scheduler.scheduler.Scheduler``)."""

    def execute(self, plan: LogicalPlan, context: EvaluationContext, *, operation_id: str, user: str) -> QueryRun:
        """Start a query whose results go to a client. The plan is optimized; planning and stages happen inside."""
        ...

    def collect(
        self,
        plan: LogicalPlan,
        context: EvaluationContext,
        *,
        operation_id: str = "collect",
        on_observed: Callable[[tuple[ObservedMetrics, ...]], None] | None = None,
    ) -> pa.Table:
        """Run to the end and return a table in carrier types, columns named ``#id``."""
        ...

    def write(
        self,
        plan: LogicalPlan,
        context: EvaluationContext,
        specification: Any,
        *,
        operation_id: str,
        on_observed: Callable[[tuple[ObservedMetrics, ...]], None] | None = None,
    ) -> Any:
        """Run with a WriteOutput; returns the writer's task reports in order, for the commit in the driver."""
        ...

    def cache(
        self,
        plan: LogicalPlan,
        context: EvaluationContext,
        cache_id: str,
        *,
        operation_id: str = "cache",
        on_observed: Callable[[tuple[ObservedMetrics, ...]], None] | None = None,
    ) -> None:
        """Compute a plan and keep its partitions on the executors under an id."""
        ...

    def executor_states(self) -> tuple[ExecutorStatus, ...]:
        """How the executors are; blocks while they are asked."""
        ...

    def end_session(self, session_id: str) -> None:
        """Let go of what executors hold for a session's Python functions."""
        ...

    def python_logs(self, session_id: str) -> tuple[str, ...]:
        """What a session's Python functions logged, as JSON records."""
        ...

    def take_accumulators(self, operation_id: str) -> tuple[bytes, ...]:
        """Updates that an operation's Python workers sent for the client's accumulators, pickled."""
        ...

    def uncache(self, cache_id: str) -> None:
        """Let a cache go."""
        ...

    def progress(self, operation_id: str) -> tuple[StageProgress, ...]:
        """Where the writes and caches under way for an operation stand."""
        ...

    def cancel(self, operation_id: str) -> None:
        """Stop the writes and caches under way for an operation."""
        ...

    def explain(self, plan: LogicalPlan, context: EvaluationContext) -> str:
        """The physical plan with its stages and exchanges, as text."""
        ...
