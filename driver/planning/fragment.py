"""A part of a physical plan between exchanges, and what planning asks of those who run stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from voltray.proto.expressions import Attribute
from voltray.proto.key_summaries import KeySummary
from voltray.proto.operators import Operator, PartitionRead
from voltray.proto.stages import Stage
from voltray.proto.tasks import BY_MAP, BY_PARTITION, PartitionKey


@dataclass(frozen=True, slots=True)
class Fragment:
    """One operator tree for each task. ``clustered``: rows equal in these columns are in one task."""

    tasks: tuple[Operator, ...]
    output: tuple[Attribute, ...]
    bytes: int = 0
    """About how much the tasks put out, all together."""
    clustered: tuple[int, ...] | None = None

    @property
    def is_single(self) -> bool:
        """Whether one task has all rows."""
        return len(self.tasks) == 1

    def map(self, build: Callable[[Operator], Operator], output: tuple[Attribute, ...]) -> Fragment:
        """The same tasks with an operator on top of each."""
        kept = {a.expr_id for a in output}
        clustered = self.clustered if self.clustered and kept.issuperset(self.clustered) else None
        return replace(self, tasks=tuple([build(t) for t in self.tasks]), output=output, clustered=clustered)

    def is_clustered_by(self, keys: Sequence[Attribute]) -> bool:
        """Whether rows that agree in all of ``keys`` are surely in one task."""
        return self.is_single or (self.clustered is not None and {k.expr_id for k in keys}.issuperset(self.clustered))


def _nothing_by_map(partition: int) -> tuple[int, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class StageResult:
    """What became of a stage whose output stays in the cluster."""

    source: str
    rows: tuple[int, ...]
    """Rows of each partition, over all tasks."""
    bytes: tuple[int, ...]
    map_rows: tuple[int, ...]
    """Rows of each task."""
    map_bytes: tuple[int, ...]
    samples: tuple[Any, ...] = ()
    is_guess: bool = False
    """Nothing ran: the plan is only to be shown."""
    summaries: tuple[tuple[KeySummary, ...], ...] = ()
    """Of each task, what it told of the columns that the exchange asked for."""
    sizes_by_map: Callable[[int], tuple[int, ...]] = field(default=_nothing_by_map, compare=False)
    """Bytes of one partition by the task that wrote them."""

    @property
    def total_bytes(self) -> int:
        """Bytes of all partitions."""
        return sum(self.bytes)

    def read(
        self, attributes: tuple[Attribute, ...], first: int, last: int, maps: tuple[int, int] | None = None
    ) -> PartitionRead:
        """Reads partitions from all tasks, or from the tasks ``maps``."""
        return PartitionRead(attributes, PartitionKey(self.source, BY_PARTITION, first, last, maps).text)

    def read_all(self, attributes: tuple[Attribute, ...]) -> PartitionRead:
        """Reads everything."""
        return self.read(attributes, 0, max(0, len(self.bytes) - 1))

    def read_maps(self, attributes: tuple[Attribute, ...], first: int, last: int) -> PartitionRead:
        """Reads the whole outputs of some tasks."""
        return PartitionRead(attributes, PartitionKey(self.source, BY_MAP, first, last).text)


class StageRunner(Protocol):
    """Runs stages while planning goes on; an explain has one that only notes them."""

    def new_stage_id(self) -> int:
        """The next stage's number."""
        ...

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        """Run a stage to its end."""
        ...

    def cached(self, cache_id: str) -> StageResult:
        """What a cache holds."""
        ...
