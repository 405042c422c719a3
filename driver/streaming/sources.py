"""Where a stream's rows come from: how far a source has got, and the plan of what lies between two offsets.

Offsets are JSON texts, as the log and the progress show them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from voltray.driver.catalog.file_relation import file_scan, find_source
from voltray.driver.plan import relations as r
from voltray.driver.plan.logical import FileScan, LogicalPlan, Project, Range
from voltray.driver.plan.streaming import (
    FileStreamSource,
    RateMicroBatchSource,
    RateSource,
    StreamScan,
    TableStreamSource,
)
from voltray.driver.streaming.checkpoint import Checkpoint
from voltray.driver.streaming.environment import StreamingSession
from voltray.executors.sources.base import Options, SourceFile
from voltray.executors.sources.listing import file_uri, local_path
from voltray.proto.expressions import Alias, Attribute, Call, Cast, Literal, new_id
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import DOUBLE, LONG, TIMESTAMP


class SourceReader(Protocol):
    """One stream of one query."""

    @property
    def description(self) -> str:
        """What progress calls it."""
        ...

    def latest(self, start: str | None, *, limited: bool) -> str | None:
        """How far a batch from ``start`` may go; ``start`` itself where nothing is new."""
        ...

    def freeze(self, start: str | None) -> None:
        """Take what is there now as all there will be (availableNow)."""
        ...

    def batch(self, start: str | None, end: str, scan: StreamScan) -> LogicalPlan:
        """The rows behind ``start`` up to ``end``, under the scan's columns."""
        ...


def open_source(index: int, scan: StreamScan, session: StreamingSession, checkpoint: Checkpoint) -> SourceReader:
    """The reader of a stream of a plan."""
    match scan.source:
        case RateSource():
            return RateReader(scan.source, _start_time(index, checkpoint))
        case RateMicroBatchSource():
            return RateMicroBatchReader(scan.source)
        case FileStreamSource() as source:
            names = ", ".join(_shown_path(p) for p in source.paths)
            files = _listing(source, session)
            return FileReader(index, files, Options(source.options), checkpoint, f"FileStreamSource[{names}]")
        case TableStreamSource() as source:
            name = ".".join(source.parts)
            files = _table_listing(source, session)
            return FileReader(index, files, Options(source.options), checkpoint, f"FileStreamSource[{name}]")
    raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=f"No stream of {scan.name}.")


# ---- rate ------------------------------------------------------------------------------------------------
def _start_time(index: int, checkpoint: Checkpoint) -> int:
    """When the source first started, which a restart must go on from."""
    known = checkpoint.source_entries(index).get(0)
    if known:
        return int(known[0])
    now = int(time.time() * 1000)
    checkpoint.write_source_entry(index, 0, [now])
    return now


def _generated(scan: StreamScan, numbers: tuple[int, int], start_ms: int, step_ms: float) -> LogicalPlan:
    """Consecutive numbers, each ``step_ms`` after the one before (to whole milliseconds)."""
    timestamp, value = scan.attributes
    number = Attribute(new_id(), "id", LONG, False)
    since = Cast(Call("-", (number, Literal(numbers[0], LONG)), LONG, False), DOUBLE, False)
    passed = Call(
        "+", (Call("*", (since, Literal(step_ms, DOUBLE)), DOUBLE, False), Literal(0.5, DOUBLE)), DOUBLE, False
    )
    whole = Call("+", (Cast(passed, LONG, False), Literal(start_ms, LONG)), LONG, False)
    moment = Call("timestamp_millis", (whole,), TIMESTAMP, True)
    items = (Alias(moment, timestamp.name, timestamp.expr_id), Alias(number, value.name, value.expr_id))
    return Project(Range((number,), numbers[0], numbers[1], 1, None), items)


@dataclass(slots=True)
class RateReader:
    """So many rows a second since the query first started; offsets are seconds."""

    source: RateSource
    start_time_ms: int
    end: int | None = None

    @property
    def description(self) -> str:
        """What progress calls it."""
        source = self.source
        partitions = source.num_partitions or "default"
        return (
            f"RateStreamV2[rowsPerSecond={source.rows_per_second}, rampUpTimeSeconds={source.ramp_up_seconds}, "
            f"numPartitions={partitions}"
        )

    def latest(self, start: str | None, *, limited: bool) -> str | None:
        """The seconds that have passed."""
        now = max(0, (int(time.time() * 1000) - self.start_time_ms) // 1000)
        return str(now if self.end is None else self.end)

    def freeze(self, start: str | None) -> None:
        """Stop at this second."""
        self.end = int(self.latest(start, limited=False) or 0)

    def batch(self, start: str | None, end: str, scan: StreamScan) -> LogicalPlan:
        """Rows spread evenly over the seconds."""
        first, last = int(start or 0), int(end)
        numbers = self._rows_until(first), self._rows_until(last)
        count = max(1, numbers[1] - numbers[0])
        base, ratio = self.start_time_ms + first * 1000, (last - first) * 1000.0 / count
        return _generated(scan, numbers, base, ratio)

    def _rows_until(self, second: int) -> int:
        rate, ramp = self.source.rows_per_second, self.source.ramp_up_seconds
        if ramp == 0:
            return second * rate
        delta = rate / (ramp + 1)
        if second <= ramp:
            return int(second * (second + 1) / 2 * delta)
        return int(ramp * (ramp + 1) / 2 * delta) + (second - ramp) * rate


@dataclass(slots=True)
class RateMicroBatchReader:
    """So many rows a batch."""

    source: RateMicroBatchSource
    end: str | None = None

    @property
    def description(self) -> str:
        """What progress calls it."""
        source = self.source
        return (
            f"RatePerMicroBatchStream[rowsPerBatch={source.rows_per_batch}, numPartitions={source.num_partitions}, "
            f"startTimestamp={source.start_timestamp}, advanceMsPerBatch={source.advance_ms}]"
        )

    def latest(self, start: str | None, *, limited: bool) -> str | None:
        """One batch further."""
        if self.end is not None:
            return self.end
        rows, stamp = self._offset(start)
        source = self.source
        return json.dumps(
            {"offset": rows + source.rows_per_batch, "timestamp": stamp + source.advance_ms}, separators=(",", ":")
        )

    def freeze(self, start: str | None) -> None:
        """One batch is all there is now."""
        self.end = self.latest(start, limited=False)

    def batch(self, start: str | None, end: str, scan: StreamScan) -> LogicalPlan:
        """The batch's rows, all at the time at which it starts."""
        first, stamp = self._offset(start)
        last, _ = self._offset(end)
        return _generated(scan, (first, last), stamp, 0.0)

    def _offset(self, text: str | None) -> tuple[int, int]:
        if text is None:
            return 0, self.source.start_timestamp
        read = json.loads(text)
        return int(read["offset"]), int(read["timestamp"])


# ---- files -----------------------------------------------------------------------------------------------
def _listing(source: FileStreamSource, session: StreamingSession) -> Callable[[], FileScan]:
    format_, paths, options = find_source(source.format), source.paths, source.options
    return lambda: file_scan(format_, paths, options, source.schema, session)


def _table_listing(source: TableStreamSource, session: StreamingSession) -> Callable[[], FileScan]:
    def listed() -> FileScan:
        found = session.resolve_table(r.NamedTable(source.parts, source.options))
        assert isinstance(found, FileScan)
        return found

    return listed


def _shown_path(path: str) -> str:
    return file_uri(local_path(path)).replace("file:///", "file:/")


@dataclass(slots=True)
class FileReader:
    """New files, a log entry for each batch of them; offsets number the entries."""

    index: int
    listed: Callable[[], FileScan]
    options: Options
    checkpoint: Checkpoint
    description: str
    entries: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    frozen: list[SourceFile] | None = None

    def __post_init__(self) -> None:
        """Go on from what is logged."""
        if (self.options.get("cleanSource") or "off").lower() != "off":
            raise spark_error(
                "UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message="The option cleanSource is not supported."
            )
        self.entries = self.checkpoint.source_entries(self.index)
        self.seen = {e["path"] for entries in self.entries.values() for e in entries}

    def latest(self, start: str | None, *, limited: bool) -> str | None:
        """Log the next files as an entry, if there are any."""
        reached = -1 if start is None else int(json.loads(start)["logOffset"])
        last = max(self.entries, default=-1)
        if last > reached:
            return _log_offset(last)
        chosen = self._chosen(limited)
        if not chosen:
            return start
        entry = [{"path": f.path, "timestamp": f.modification_time // 1000, "batchId": last + 1} for f in chosen]
        self.checkpoint.write_source_entry(self.index, last + 1, entry)
        self.entries = {**self.entries, last + 1: entry}
        self.seen |= {f.path for f in chosen}
        return _log_offset(last + 1)

    def freeze(self, start: str | None) -> None:
        """See no files but those of now."""
        self.frozen = self._new()

    def batch(self, start: str | None, end: str, scan: StreamScan) -> LogicalPlan:
        """A scan of the entries' files."""
        first = -1 if start is None else int(json.loads(start)["logOffset"])
        last = int(json.loads(end)["logOffset"])
        wanted = {e["path"] for n in range(first + 1, last + 1) for e in self.entries.get(n, ())}
        found = self.listed()
        files = tuple([f for f in found.files if f.path in wanted])
        by_name = {a.name: a for a in scan.attributes}
        attributes = tuple([by_name.get(a.name, a) for a in found.attributes])
        # The hidden column has an id below zero (driver.analysis.file_metadata).
        attributes += tuple([a for a in scan.attributes if a.expr_id < 0])
        whole = replace(found, files=files, attributes=attributes, table=())
        if [a.expr_id for a in attributes] == [a.expr_id for a in scan.attributes]:
            return whole
        return Project(whole, scan.attributes)

    def _new(self) -> list[SourceFile]:
        files = [f for f in self.listed().files if f.path not in self.seen]
        newest_first = (self.options.get("latestFirst") or "false").lower() == "true"
        return sorted(files, key=lambda f: (f.modification_time, f.path), reverse=newest_first)

    def _chosen(self, limited: bool) -> list[SourceFile]:
        files = self._new() if self.frozen is None else [f for f in self.frozen if f.path not in self.seen]
        count = self.options.get("maxFilesPerTrigger")
        size = self.options.get("maxBytesPerTrigger")
        if not limited:
            return files
        if count is not None:
            return files[: max(1, int(count))]
        if size is not None:
            total = 0
            taken: list[SourceFile] = []
            for file in files:
                total += file.size
                if taken and total > int(size):
                    break
                taken.append(file)
            return taken
        return files


def _log_offset(number: int) -> str:
    return json.dumps({"logOffset": number}, separators=(",", ":"))
