"""What a server has done since it started, in numbers. Counters are added to without a lock where one thread adds."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from voltray.proto.status import ENDED

SECONDS_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


@dataclass(slots=True)
class Durations:
    """How many operations took how long, in Prometheus' buckets."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS_BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(SECONDS_BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Totals:
    """All counters. A lost update under two threads is a count too few in millions, and no lock on the way."""

    sessions: int = 0
    operations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDED, 0))
    durations: dict[str, Durations] = field(default_factory=lambda: {state: Durations() for state in ENDED})
    rows: int = 0
    bytes: int = 0
    queries: int = 0
    stages: int = 0
    tasks_done: int = 0
    tasks_lost: int = 0
    task_copies: int = 0
    spilled_bytes: int = 0
