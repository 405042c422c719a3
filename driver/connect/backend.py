"""What sessions share: the settings, the scheduler, the catalog, and the passes that a plan goes through."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from voltray.driver.connect.limits import admission_of, limits_of
from voltray.driver.connect.security.security import Security
from voltray.driver.monitoring.monitor import Monitor

if TYPE_CHECKING:
    from voltray.driver.catalog.session_catalog import SessionCatalog, SharedCatalog
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.plan.relations import Relation
    from voltray.driver.scheduler.limits import UserLimits
    from voltray.driver.scheduler.query import QueryScheduler
    from voltray.driver.settings import Settings
    from voltray.proto.expressions import Expression
    from voltray.proto.types import DataType

# Loaded when the server starts, so that no client waits for an import.
_LOADED_AT_START = (
    "voltray.driver.analysis.analyzer",
    "voltray.driver.optimizer.optimizer",
    "voltray.driver.sql.parser",
    "voltray.driver.sql.schema",
    "voltray.executors.functions.catalogue",
    "zstandard",
)


class Backend:
    """The parts behind the service. ``stop_parts`` ends what was started for it."""

    def __init__(
        self,
        settings: Settings,
        scheduler: QueryScheduler,
        catalog: SharedCatalog,
        stop_parts: Callable[[], None],
        limits: UserLimits | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.settings = settings
        self.scheduler = scheduler
        self.shared_catalog = catalog
        self.server_confs = server_confs(settings)
        self.limits = limits or limits_of(settings)
        """What users may take."""
        self.admission = admission_of(settings)
        """The queue before the scheduler."""
        self.monitor = monitor or Monitor(settings.ui_operations)
        """What is noted of the work."""
        self._stop_parts = stop_parts
        self.port = settings.port
        """Where the server listens; once it is bound, the port that it got."""
        self.security = Security()
        """Who may what; the server puts in what its settings say."""

    def analyze(self, relation: Relation, session: Session) -> LogicalPlan:
        """Resolve a relation."""
        from voltray.driver.analysis.analyzer import analyze

        return analyze(relation, session)

    def optimize(self, plan: LogicalPlan, session: Session) -> LogicalPlan:
        """Rewrite a resolved plan into a better one."""
        from voltray.driver.optimizer.optimizer import optimize

        return optimize(plan, session)

    def open_catalog(self, session: Session, source: SessionCatalog | None) -> SessionCatalog:
        """A session's view of the catalog; with ``source``, a copy of another session's."""
        access = self.security.access_of(session.user, lambda: session.groups)
        if source is not None:
            return source.copy(access)
        return self.shared_catalog.open(access, session.user if self.security.tells_users_apart else None)

    def parse_expression(self, text: str) -> Expression:
        """SQL text of one expression."""
        from voltray.driver.sql.parser import parse_expression

        return parse_expression(text)

    def parse_query(self, text: str) -> Relation:
        """SQL text of a query."""
        from voltray.driver.sql.parser import parse_query

        return parse_query(text)

    def parse_schema(self, text: str) -> DataType:
        """A schema as text."""
        from voltray.driver.sql.schema import parse_schema

        return parse_schema(text)

    def stop(self) -> None:
        """End what was started for the service."""
        self._stop_parts()


def server_confs(settings: Settings) -> Mapping[str, str]:
    """The confs that the server itself sets, for every session."""
    now = int(time.time() * 1000)
    return {
        "spark.app.id": f"voltray-{now}",
        "spark.app.name": "Voltray",
        "spark.app.startTime": str(now),
        "spark.connect.grpc.binding.port": str(settings.port),
        "spark.driver.host": settings.host,
        "spark.executor.id": "driver",
        "spark.master": settings.ray_address or f"local[{settings.executors * settings.executor_cpus}]",
        "spark.sql.artifact.isolation.enabled": "true",
        # There is no JVM whose stack a client could show below an error.
        "spark.sql.connect.serverStacktrace.enabled": "false",
        "spark.sql.warehouse.dir": f"file:{settings.warehouse_dir}",
        "spark.submit.deployMode": "client",
    }


def start_backend(settings: Settings) -> Backend:
    """Start the cluster and open the catalog."""
    from voltray.driver.catalog.session_catalog import open_shared_catalog
    from voltray.driver.scheduler.cluster import start_cluster
    from voltray.driver.scheduler.scheduler import Scheduler

    for name in _LOADED_AT_START:
        importlib.import_module(name)
    limits = limits_of(settings)
    catalog = open_shared_catalog(settings.catalog_path, settings.warehouse_dir)
    cluster = start_cluster(settings)
    monitor = Monitor(settings.ui_operations)

    def stop_parts() -> None:
        cluster.stop()
        catalog.close()

    scheduler = Scheduler(cluster, settings, limits, monitor)
    return Backend(settings, scheduler, catalog, stop_parts, limits, monitor)
