"""Where a stream's rows go."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from voltray.driver.catalog.write_planning import PlannedWrite, WriteRequest, plan_write
from voltray.driver.plan import relations as r
from voltray.driver.plan.logical import CachedData, LocalData, LogicalPlan, Project
from voltray.driver.streaming.batch import SINK, BatchRun, counted
from voltray.proto.expressions import Alias, new_id
from voltray.proto.types import StructType

if TYPE_CHECKING:
    from voltray.driver.streaming.environment import StreamingSession
    from voltray.driver.streaming.foreach import PythonProcess

Clean = Callable[[str], None]


class Sink(Protocol):
    """What takes the rows of each batch, once."""

    @property
    def description(self) -> str:
        """What progress calls it."""
        ...

    def add(self, plan: LogicalPlan, run: BatchRun) -> None:
        """Take the rows of a batch."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


@dataclass(slots=True)
class NoopSink:
    """Computes the rows and drops them."""

    description: str = "org.apache.spark.sql.execution.datasources.noop.NoopTable$"

    def add(self, plan: LogicalPlan, run: BatchRun) -> None:
        """Compute the rows where they are."""
        cache_id = f"stream-{uuid.uuid4()}"
        _cache(counted(plan, SINK), run, cache_id)
        run.session.scheduler.uncache(cache_id)

    def close(self) -> None:
        """Nothing is held."""


def _cache(plan: LogicalPlan, run: BatchRun, cache_id: str) -> None:
    session = run.session
    session.scheduler.cache(
        session.optimize(plan),
        session.evaluation_context(),
        cache_id,
        operation_id=run.operation_id,
        on_observed=run.observe,
    )


# ---- memory and console ----------------------------------------------------------------------------------
def under_own_ids(plan: LogicalPlan) -> LogicalPlan:
    """The plan's columns each under an id of its own, even where one column stands there twice."""
    return Project(plan, tuple([Alias(a, a.name, new_id(), a.metadata) for a in plan.output]))


@dataclass(slots=True)
class MemorySink:
    """Rows kept in the driver, and seen as a temporary view named like the query."""

    session: StreamingSession
    name: str
    schema: StructType
    replaces: bool
    table: pa.Table | None = None
    description: str = "MemorySink"

    def __post_init__(self) -> None:
        """The view is there from the start, empty."""
        from voltray.driver.analysis.local_data import empty_data

        empty = empty_data(self.schema)
        self.session.catalog.create_temp_view(self.name, empty, replace=True)

    def add(self, plan: LogicalPlan, run: BatchRun) -> None:
        """Add the rows, or put them in place of those before."""
        own = under_own_ids(counted(plan, SINK))
        new = run.collect(self.session.optimize(own))
        old = self.table
        if not self.replaces and old is not None and old.num_rows:
            new = pa.concat_tables([old.rename_columns(new.column_names).cast(new.schema), new])
        self.table = new
        self.session.catalog.create_temp_view(self.name, LocalData(own.output, new, new.num_rows), replace=True)

    def close(self) -> None:
        """The view stays, as Spark's does."""


@dataclass(slots=True)
class ConsoleSink:
    """Rows printed by the server."""

    num_rows: int = 20
    truncate: int = 20
    description: str = "org.apache.spark.sql.execution.streaming.ConsoleTable$"

    def add(self, plan: LogicalPlan, run: BatchRun) -> None:
        """Print the first rows."""
        session = run.session
        cache_id = f"stream-{uuid.uuid4()}"
        own = under_own_ids(plan)
        _cache(counted(own, SINK), run, cache_id)
        relation_id = session.keep_remote_relation(_kept(own, cache_id))
        try:
            shown = r.ShowString(r.CachedRemoteRelation(relation_id), self.num_rows, self.truncate, False)
            table = run.collect(session.optimize(session.analyze(shown)))
            line = "-------------------------------------------"
            text = f"{line}\nBatch: {run.batch_id}\n{line}\n{table.column(0)[0].as_py()}\n"
            sys.stdout.write(text)
            sys.stdout.flush()
        finally:
            session.remove_remote_relation(relation_id)
            session.scheduler.uncache(cache_id)

    def close(self) -> None:
        """Nothing is held."""


def _kept(plan: LogicalPlan, cache_id: str) -> CachedData:
    ids = tuple([a.expr_id for a in plan.output])
    return CachedData(attributes=plan.output, cache_id=cache_id, column_ids=ids)


# ---- files and tables ------------------------------------------------------------------------------------
@dataclass(slots=True)
class FileSink:
    """Files of a folder or a table. A batch that is run again after a failure does not write twice: its files have
    names of the batch's own, and a log in the folder (Spark's ``_spark_metadata``) says which batches are complete.
    """

    session: StreamingSession
    query_id: str
    request: WriteRequest
    location: str
    description: str = ""

    def add(self, plan: LogicalPlan, run: BatchRun) -> None:
        """Write the batch's files, unless they are there already."""
        entry = os.path.join(self.location, "_spark_metadata", str(run.batch_id))
        if os.path.exists(entry):
            return
        job_id = str(uuid.uuid5(uuid.UUID(self.query_id), str(run.batch_id)))
        remove_files_of(self.location, job_id)
        planned = plan_write(self.request, plan, self.session)
        assert planned.specification is not None
        specification = replace(planned.specification, job_id=job_id)
        reports = self._written(planned, specification, run)
        log_batch(entry, [f.relative for report in reports for f in report.files], self.location)

    def _written(self, planned: PlannedWrite, specification: Any, run: BatchRun) -> list[Any]:
        session = self.session
        try:
            reports = list(
                session.scheduler.write(
                    session.optimize(planned.plan),
                    session.evaluation_context(),
                    specification,
                    operation_id=run.operation_id,
                    on_observed=run.observe,
                )
            )
            planned.commit(reports)
        except BaseException:
            planned.abort()
            raise
        return reports

    def close(self) -> None:
        """Nothing is held."""


def remove_files_of(location: str, job_id: str) -> None:
    """Remove what a batch that did not end has left."""
    for folder, _, names in os.walk(location):
        for name in names:
            if job_id in name:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(folder, name))


def log_batch(entry: str, files: list[str], location: str) -> None:
    """Note the files of a complete batch in the form that Spark reads."""
    lines = ["v1"]
    for relative in files:
        path = os.path.join(location, relative)
        status = os.stat(path)
        lines.append(
            json.dumps(
                {"path": f"file://{path}", "size": status.st_size, "isDir": False,
                 "modificationTime": int(status.st_mtime * 1000), "blockReplication": 1, "blockSize": 33554432,
                 "action": "add"},
                separators=(",", ":"),
            )
        )  # fmt: skip
    os.makedirs(os.path.dirname(entry), exist_ok=True)
    with open(f"{entry}.tmp", "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    os.replace(f"{entry}.tmp", entry)


# ---- a user's function -----------------------------------------------------------------------------------
@dataclass(slots=True)
class PythonSink:
    """A user's Python function, in a process of its own that looks at the batch through the session."""

    process: PythonProcess
    description: str
    held: list[str] = field(default_factory=list)

    def add(self, plan: LogicalPlan, run: BatchRun) -> None:
        """Compute the batch, and call the function."""
        session = run.session
        cache_id = f"stream-{uuid.uuid4()}"
        own = under_own_ids(plan)
        _cache(own, run, cache_id)
        relation_id = session.keep_remote_relation(_kept(own, cache_id))
        try:
            self.process.call(relation_id, run.batch_id)
        finally:
            session.remove_remote_relation(relation_id)
            session.scheduler.uncache(cache_id)

    def close(self) -> None:
        """End the process."""
        self.process.close()


__all__ = [
    "ConsoleSink", "FileSink", "MemorySink", "NoopSink", "PythonSink", "Sink",
]  # fmt: skip
