"""What streaming asks of the session that a query belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from voltray.driver.analysis.environment import Environment

if TYPE_CHECKING:
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.plan.relations import Relation
    from voltray.driver.scheduler.query import QueryScheduler
    from voltray.executors.functions.evaluation import EvaluationContext


class StreamingSession(Environment, Protocol):
    """A session as streaming queries see it (``driver.connect.session.Session`` is one)."""

    @property
    def scheduler(self) -> QueryScheduler:
        """What runs plans."""
        ...

    @property
    def connect_url(self) -> str:
        """Where a process on this machine finds this very session."""
        ...

    def analyze(self, relation: Relation) -> LogicalPlan:
        """A relation as a resolved plan."""
        ...

    def optimize(self, plan: LogicalPlan) -> LogicalPlan:
        """A resolved plan as it is to be run."""
        ...

    def evaluation_context(self) -> EvaluationContext:
        """What expressions see of the session, from now on."""
        ...

    def keep_remote_relation(self, plan: LogicalPlan) -> str:
        """Keep a plan for the session's clients and return its id."""
        ...

    def remove_remote_relation(self, relation_id: str) -> Any:
        """Forget a plan that was kept."""
        ...
