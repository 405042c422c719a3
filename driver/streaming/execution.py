"""The batches of one query: how far each goes, what it computes, and the log that a restart goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voltray.driver.plan.logical import LogicalPlan, walk
from voltray.driver.plan.streaming import StreamScan, Watermark, stream_scans
from voltray.driver.streaming.batch import OWN, SINK, SOURCE, WATERMARK, BatchPlanner, BatchRun, counted
from voltray.driver.streaming.checkpoint import BatchOffsets, Checkpoint
from voltray.driver.streaming.progress import Durations, Identity, SourceFigures, iso_time, progress_json
from voltray.driver.streaming.sinks import PythonSink, Sink
from voltray.driver.streaming.sources import SourceReader, open_source
from voltray.driver.streaming.state import LATE, OperatorState
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.streaming.environment import StreamingSession

Offsets = tuple[str | None, ...]


@dataclass(slots=True)
class Execution:
    """Where a query stands. ``batch_id`` is the batch that comes next."""

    session: StreamingSession
    plan: LogicalPlan
    mode: str
    sink: Sink
    checkpoint: Checkpoint
    identity: Identity
    operation_id: str
    scans: tuple[StreamScan, ...] = ()
    sources: tuple[SourceReader, ...] = ()
    planner: BatchPlanner | None = None
    batch_id: int = 0
    committed: Offsets = ()
    available: Offsets = ()
    watermark_ms: int = 0
    late_ms: int = 0
    ran_watermark_ms: int = 0
    seen_max: dict[int, int] = field(default_factory=dict)
    states: list[OperatorState] = field(default_factory=list)
    pending: BatchOffsets | None = None
    previous_ms: int | None = None
    last_plan: LogicalPlan | None = None

    def open(self) -> None:
        """Open the sources and find out where a run before this one has stopped."""
        self.scans = stream_scans(self.plan)
        watermarks = tuple([n for n in walk(self.plan) if isinstance(n, Watermark)])
        _check_watermarks(watermarks)
        self.planner = BatchPlanner(self.plan, self.mode, watermarks, self.scans)
        self.sources = tuple([open_source(i, s, self.session, self.checkpoint) for i, s in enumerate(self.scans)])
        self.committed = self.available = (None,) * len(self.scans)
        self._recover()

    def _recover(self) -> None:
        done = self.checkpoint.last_commit()
        logged = self.checkpoint.last_offsets()
        if done is not None:
            self.batch_id = done[0] + 1
            self.watermark_ms = self.late_ms = self.ran_watermark_ms = done[1]
            finished = self.checkpoint.offsets(done[0])
            if finished is not None:
                self.committed = self.available = finished.offsets
            self._load_states(done[0])
        if logged is not None and logged.batch_id == self.batch_id:
            self.pending = logged
            self.watermark_ms = max(self.watermark_ms, logged.watermark_ms)

    def _load_states(self, batch_id: int) -> None:
        number = 0
        while (first := self.checkpoint.state(batch_id, number * 10)) is not None:
            tables = [first]
            while (more := self.checkpoint.state(batch_id, number * 10 + len(tables))) is not None:
                tables.append(more)
            self.states.append(OperatorState(f"operator {number}", tuple(tables)))
            number += 1

    # ---- one trigger -------------------------------------------------------------------------------------
    def next_batch(self, *, limited: bool, on_latest: Callable[[], None]) -> BatchOffsets | None:
        """The next batch, logged; None where nothing is new."""
        if self.pending is not None:
            pending, self.pending = self.pending, None
            return pending
        on_latest()
        ends = tuple([s.latest(o, limited=limited) for s, o in zip(self.sources, self.committed, strict=True)])
        is_new = any(e is not None and e != o for e, o in zip(ends, self.committed, strict=True))
        if not is_new and not self._must_run_without_data():
            return None
        batch = BatchOffsets(self.batch_id, ends, self.watermark_ms, int(time.time() * 1000))
        self.checkpoint.write_offsets(batch)
        return batch

    def _must_run_without_data(self) -> bool:
        """Whether a watermark that has moved may let groups out."""
        if not self.states or self.watermark_ms <= self.ran_watermark_ms or self.mode == "complete":
            return False
        return self.session.conf("spark.sql.streaming.noDataMicroBatches.enabled") != "false"

    def freeze(self) -> None:
        """Take what the sources have now as all they will have."""
        for source, offset in zip(self.sources, self.committed, strict=True):
            source.freeze(offset)

    def run(self, batch: BatchOffsets, durations: Durations) -> str:
        """Run a batch, log that it is done, and return its progress."""
        assert self.planner is not None
        started = time.monotonic()
        self.available = batch.offsets
        run = BatchRun(self.session, self.operation_id, batch.batch_id)
        inputs = self._inputs(batch.offsets)
        durations.add("getBatch", time.monotonic() - started)
        at = time.monotonic()
        plan = self.planner.bounded(run, inputs, self.states, self.watermark_ms, self.late_ms)
        self.last_plan = plan
        durations.add("queryPlanning", time.monotonic() - at)
        at = time.monotonic()
        self.sink.add(plan, run)
        durations.add("addBatch", time.monotonic() - at)
        at = time.monotonic()
        ran_with = self.watermark_ms
        event_time = self._advance_watermark(run, ran_with)
        for number, state in enumerate(self.states):
            for part, table in enumerate(state.tables):
                self.checkpoint.write_state(batch.batch_id, number * 10 + part, table)
        self.checkpoint.write_commit(batch.batch_id, self.watermark_ms)
        durations.add("commitOffsets", time.monotonic() - at)
        durations.add("triggerExecution", time.monotonic() - started)
        for number, state in enumerate(self.states, 1):
            state.rows_dropped = max(0, run.count(f"{LATE}{number}"))
        progress = self._progress(batch, run, durations, event_time)
        self.late_ms = self.ran_watermark_ms = ran_with
        self.committed = batch.offsets
        self.batch_id = batch.batch_id + 1
        self.previous_ms = batch.timestamp_ms
        return progress

    def _inputs(self, ends: Offsets) -> dict[int, LogicalPlan]:
        inputs: dict[int, LogicalPlan] = {}
        for i, (scan, source) in enumerate(zip(self.scans, self.sources, strict=True)):
            end = ends[i]
            plan = _nothing(scan) if end is None else source.batch(self.committed[i], end, scan)
            inputs[id(scan)] = counted(plan, f"{SOURCE}{i}")
        return inputs

    def _advance_watermark(self, run: BatchRun, current: int) -> dict[str, str]:
        """The new watermark: the least of all, each its latest event time less its delay; what progress says of it."""
        assert self.planner is not None
        if not self.planner.watermarks:
            return {}
        shown: dict[str, str] = {}
        for i, node in enumerate(self.planner.watermarks):
            found = run.observed.get(f"{WATERMARK}{i}")
            if found is None or found["max"] is None:
                continue
            highest = found["max"] // 1000
            self.seen_max[i] = max(self.seen_max.get(i, 0), highest - node.delay_ms)
            figures = {name: found.get(name) for name in ("avg", "max", "min")}
            shown = {name: iso_time(float(v) / 1000) for name, v in figures.items() if v is not None}
        if len(self.seen_max) == len(self.planner.watermarks):
            self.watermark_ms = max(self.watermark_ms, min(self.seen_max.values()))
        return {**shown, "watermark": iso_time(current)}

    def _progress(self, batch: BatchOffsets, run: BatchRun, durations: Durations, event_time: dict[str, str]) -> str:
        figures = [
            SourceFigures(s.description, self.committed[i], batch.offsets[i], max(0, run.count(f"{SOURCE}{i}")))
            for i, s in enumerate(self.sources)
        ]
        observed = {name: values for name, values in run.observed.items() if not name.startswith(OWN)}
        return progress_json(
            self.identity,
            batch.batch_id,
            batch.timestamp_ms,
            self.previous_ms,
            durations,
            event_time,
            self.states[::-1],
            figures,
            (self.sink.description, run.count(SINK)),
            observed,
        )

    def cancel(self) -> None:
        """Stop what the batch under way is at."""
        self.session.scheduler.cancel(self.operation_id)
        if isinstance(self.sink, PythonSink):
            self.sink.process.cancel()

    def close(self) -> None:
        """Let go of everything."""
        self.sink.close()
        self.checkpoint.close()


def _check_watermarks(watermarks: tuple[Watermark, ...]) -> None:
    for node in watermarks:
        if any(isinstance(below, Watermark) for below in walk(node.child)):
            message = "Redefining watermark is disallowed: the DataFrame below has one already."
            raise spark_error("_LEGACY_ERROR_TEMP_3102", message=message, sqlstate="")


def _nothing(scan: StreamScan) -> Any:
    from voltray.driver.analysis.local_data import empty_data
    from voltray.driver.plan.logical import Project, schema_of
    from voltray.proto.expressions import Alias

    empty = empty_data(schema_of(scan))
    pairs = zip(empty.output, scan.attributes, strict=True)
    return Project(empty, tuple([Alias(a, b.name, b.expr_id) for a, b in pairs]))


__all__ = ["Execution"]
