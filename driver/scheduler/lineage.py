"""What stages have put out: object references by task, and how a PartitionRead's key leads to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from voltray.driver.monitoring.stages import StageNotes
from voltray.driver.planning.fragment import StageResult
from voltray.driver.scheduler.state import StageState
from voltray.proto import operators
from voltray.proto.operators import Operator, PartitionRead
from voltray.proto.stages import Exchange, Stage
from voltray.proto.tasks import BY_MAP, PartitionKey, PieceSlice, TaskReport

CACHE_PREFIX = "cache:"


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """A finished task's report and the pieces that it stored, one for each destination."""

    report: TaskReport
    pieces: tuple[Any, ...]
    executor: int


@dataclass(slots=True)
class StoredStage:
    """A stage that ran, with all that is needed to run its tasks again."""

    source: str
    stage: Stage
    state: StageState
    context: Any
    streaming: bool
    destinations: int
    inputs: dict[str, StoredStage] = field(default_factory=dict)
    notes: StageNotes | None = None
    """What the pages tell of it."""

    @property
    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """The outcomes of all tasks."""
        return tuple([task.outcome for task in self.state.tasks])

    @property
    def num_partitions(self) -> int:
        """Partitions of the stage's output."""
        output = self.stage.output
        return output.num_partitions if isinstance(output, Exchange) else 1

    def forget_inputs(self) -> None:
        """Let go what the stages before put out; should this output be lost, they run again."""
        for source in self.inputs.values():
            if not source.source.startswith(CACHE_PREFIX):
                source.state = StageState.of(source.stage.stage_id, len(source.stage.tasks))
                source.forget_inputs()

    def result(self) -> StageResult:
        """The sizes that planning goes on with."""
        reports = [outcome.report for outcome in self.outcomes]
        return StageResult(
            source=self.source,
            rows=tuple([sum(n) for n in zip(*[r.rows for r in reports], strict=True)]),
            bytes=tuple([sum(n) for n in zip(*[r.bytes for r in reports], strict=True)]),
            map_rows=tuple([sum(r.rows) for r in reports]),
            map_bytes=tuple([sum(r.bytes) for r in reports]),
            samples=tuple([r.sample for r in reports]),
            summaries=tuple([r.summaries for r in reports if r.summaries]),
            sizes_by_map=lambda partition: tuple([r.bytes[partition] for r in reports]),
        )

    def pieces(self, key: PartitionKey) -> Iterator[tuple[int, int, Any, PieceSlice]]:
        """(task, destination, reference, slice) of each piece that a key reads; the slice's argument is still 0."""
        if key.mode == BY_MAP:
            for task in range(key.first, key.last + 1):
                for destination, piece in enumerate(self.outcomes[task].pieces):
                    yield task, destination, piece, PieceSlice(0)
            return
        used = [
            d
            for d in range(self.destinations)
            if _overlaps(d, self.num_partitions, self.destinations, key.first, key.last)
        ]
        low, high = key.maps or (0, len(self.state.tasks) - 1)
        for task, outcome in enumerate(self.outcomes[low : high + 1], low):
            if not any(outcome.report.rows[key.first : key.last + 1]) and task > low:
                continue  # nothing there, but for the first, which tells the columns
            for destination in used:
                yield task, destination, outcome.pieces[destination], PieceSlice(0, key.first, key.last)


def destination_of(partition: int, num_partitions: int, destinations: int) -> int:
    """The destination whose piece has a partition (the inverse of ``executors.shuffle.writer.destination_spans``)."""
    for destination in range(destinations):
        if partition < (destination + 1) * num_partitions // destinations:
            return destination
    return destinations - 1


def _overlaps(destination: int, num_partitions: int, destinations: int, first: int, last: int) -> bool:
    low = destination * num_partitions // destinations
    high = (destination + 1) * num_partitions // destinations - 1
    return low <= last and first <= high


def keys_of(operator: Operator) -> tuple[PartitionKey, ...]:
    """The keys of a tree's PartitionReads, each once."""
    found = {n.key: None for n in operators.walk(operator) if isinstance(n, PartitionRead)}
    return tuple([PartitionKey.parse(text) for text in found])
