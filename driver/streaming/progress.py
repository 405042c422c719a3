"""What a batch reports, in Spark's JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from voltray.driver.streaming.state import OperatorState


def iso_time(milliseconds: float) -> str:
    """A time as progress shows it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """One source's part of a batch."""

    description: str
    start: str | None
    end: str | None
    rows: int


@dataclass(slots=True)
class Durations:
    """Milliseconds that the parts of a trigger took."""

    values: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """Note a part."""
        self.values[name] = self.values.get(name, 0) + int(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose progress it is."""

    query_id: str
    run_id: str
    name: str | None


def progress_json(
    identity: Identity,
    batch_id: int,
    started_ms: int,
    previous_ms: int | None,
    durations: Durations,
    event_time: dict[str, str],
    states: Sequence[OperatorState],
    sources: Sequence[SourceFigures],
    sink: tuple[str, int],
    observed: dict[str, dict[str, Any]],
) -> str:
    """The progress of one batch."""
    total = durations.values.get("triggerExecution", 0)
    seconds = None if previous_ms is None else (started_ms - previous_ms) / 1000
    return json.dumps(
        {
            "id": identity.query_id,
            "runId": identity.run_id,
            "name": identity.name,
            "timestamp": iso_time(started_ms),
            "batchId": batch_id,
            "batchDuration": total,
            "numInputRows": sum(s.rows for s in sources),
            "inputRowsPerSecond": _rate(sum(s.rows for s in sources), seconds),
            "processedRowsPerSecond": _rate(sum(s.rows for s in sources), total / 1000),
            "durationMs": durations.values,
            "eventTime": event_time,
            "stateOperators": [_state(s) for s in states],
            "sources": [_source(s, seconds, total / 1000) for s in sources],
            "sink": {"description": sink[0], "numOutputRows": sink[1], "metrics": {}},
            "observedMetrics": observed,
        },
        default=str,
    )


def _rate(rows: int, seconds: float | None) -> float:
    if not seconds or seconds <= 0 or not math.isfinite(seconds):
        return 0.0
    return rows / seconds


def _source(source: SourceFigures, seconds: float | None, total: float) -> dict[str, Any]:
    return {
        "description": source.description,
        "startOffset": source.start,
        "endOffset": source.end,
        "latestOffset": None,
        "numInputRows": source.rows,
        "inputRowsPerSecond": _rate(source.rows, seconds),
        "processedRowsPerSecond": _rate(source.rows, total),
        "metrics": {},
    }


def _state(state: OperatorState) -> dict[str, Any]:
    return {
        "operatorName": state.name,
        "numRowsTotal": state.rows_total,
        "numRowsUpdated": state.rows_updated,
        "allUpdatesTimeMs": 0,
        "numRowsRemoved": state.rows_removed,
        "allRemovalsTimeMs": 0,
        "commitTimeMs": 0,
        "memoryUsedBytes": state.bytes,
        "numRowsDroppedByWatermark": state.rows_dropped,
        "numShufflePartitions": 1,
        "numStateStoreInstances": 1,
        "customMetrics": {},
    }
