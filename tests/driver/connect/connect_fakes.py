"""A backend without Ray: ``range`` gives its numbers, ``num_partitions`` of them a batch, at a pace tests set."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from voltray.driver.catalog.session_catalog import open_shared_catalog
from voltray.driver.connect.backend import Backend
from voltray.driver.plan import relations as r
from voltray.driver.plan.logical import LocalData, LogicalPlan, Range
from voltray.driver.scheduler.query import ResultBatch, StageProgress
from voltray.driver.settings import Settings
from voltray.proto.expressions import Attribute
from voltray.proto.failures import ErrorKind, QueryContext, spark_error
from voltray.proto.types import LONG

ENDLESS = 1 << 40


def ipc(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
        if not table.num_rows:
            writer.write_batch(pa.RecordBatch.from_pylist([], table.schema))
    return sink.getvalue()


class FakeRun:
    def __init__(self, plan: LogicalPlan, pace: threading.Event) -> None:
        self.plan = plan
        self.pace = pace
        self.canceled = threading.Event()
        self.produced = 0

    def batches(self) -> Iterator[ResultBatch]:
        if not isinstance(self.plan, Range):
            yield ResultBatch(0, ipc(pa.table({"id": pa.array([], pa.int64())})))
            return
        size = self.plan.num_partitions or 1000
        for start in range(self.plan.start, self.plan.end, size):
            while not self.pace.wait(0.01):
                self.check()
            self.check()
            if self.plan.step == 2:
                context = QueryContext("1/0", 7, 9)
                config = '"spark.sql.ansi.enabled"'
                raise spark_error("DIVIDE_BY_ZERO", ErrorKind.ARITHMETIC, contexts=(context,), config=config)
            if self.plan.step == 3:
                raise KeyError("a fault of ours")
            numbers = list(range(start, min(start + size, self.plan.end)))
            self.produced += 1
            yield ResultBatch(len(numbers), ipc(pa.table({"id": pa.array(numbers, pa.int64())})))

    def check(self) -> None:
        if self.canceled.is_set():
            raise spark_error("OPERATION_CANCELED", ErrorKind.SQL)

    def cancel(self) -> None:
        self.canceled.set()

    def progress(self) -> tuple[StageProgress, ...]:
        return (StageProgress(0, 10, min(self.produced, 10), 100, False),)

    def observed(self) -> tuple[Any, ...]:
        return ()


class FakeScheduler:
    def __init__(self) -> None:
        self.pace = threading.Event()
        self.pace.set()
        self.ended: list[str] = []
        self.runs: list[FakeRun] = []
        self.caches: dict[str, LogicalPlan] = {}
        self.executed: list[LogicalPlan] = []

    def execute(self, plan: LogicalPlan, context: Any, *, operation_id: str, user: str) -> FakeRun:
        run = FakeRun(plan, self.pace)
        self.runs.append(run)
        self.executed.append(plan)
        return run

    def cache(self, plan: LogicalPlan, context: Any, cache_id: str, *, operation_id: str = "") -> None:
        self.caches[cache_id] = plan

    def executor_states(self) -> tuple[Any, ...]:
        return ()

    def end_session(self, session_id: str) -> None:
        self.ended.append(session_id)

    def python_logs(self, session_id: str) -> tuple[str, ...]:
        return ()

    def take_accumulators(self, operation_id: str) -> tuple[bytes, ...]:
        return ()

    def uncache(self, cache_id: str) -> None:
        del self.caches[cache_id]

    def explain(self, plan: LogicalPlan, context: Any) -> str:
        return f"Stage 0\n+- {type(plan).__name__}"


class FakeBackend(Backend):
    """Analyses ranges alone."""

    def __init__(self, settings: Settings) -> None:
        catalog = open_shared_catalog(settings.catalog_path, settings.warehouse_dir)
        super().__init__(settings, FakeScheduler(), catalog, catalog.close)

    def analyze(self, relation: r.Relation, session: Any) -> LogicalPlan:
        ids = iter(range(1 << 20))
        match relation:
            case r.Range():
                attribute = Attribute(next(ids), "id", LONG, False)
                return Range((attribute,), relation.start, relation.end, relation.step, relation.num_partitions)
            case r.ToDataFrame() | r.Project():
                return self.analyze(relation.child, session)
            case r.CachedRemoteRelation():
                return session.remote_relation(relation.relation_id)
            case r.CachedLocalRelation():
                return self.analyze(session.local_chunks(relation), session)
            case r.LocalRelation():
                table = pa.concat_tables([pa.ipc.open_stream(c).read_all() for c in relation.chunks])
                return LocalData((Attribute(0, "id", LONG, True),), table, table.num_rows)
        raise spark_error("TABLE_OR_VIEW_NOT_FOUND", ErrorKind.ANALYSIS, relationName="`nope`")

    def optimize(self, plan: LogicalPlan, session: Any) -> LogicalPlan:
        return plan
