"""Stages and tasks: how a physical plan is cut at its exchanges and sent to executors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from voltray.proto.expressions import Attribute, Expression
from voltray.proto.key_summaries import SummaryRequest
from voltray.proto.operators import Operator
from voltray.proto.types import StructType


@dataclass(frozen=True, slots=True)
class Exchange:
    """How a stage's output is spread: kind hash, range, round_robin, single, broadcast or direct.

    ``keys`` are attributes (hash), sort orders (range) or the partition number (direct).
    """

    kind: str
    num_partitions: int
    keys: tuple[Expression, ...] = ()
    boundaries: Any = None
    """For range: the sort keys' values between partitions, once sampled. Rows equal to one that stands there twice
    have the partition between the two."""
    nulls_apart: bool = False
    """For range: NULLs have a partition of their own, before or behind all others."""
    summarised: SummaryRequest | None = None
    """Columns whose values the tasks are to tell of."""


@dataclass(frozen=True, slots=True)
class ResultOutput:
    """The stage's rows go to the client: Arrow IPC streams with Spark's exact names and types."""

    attributes: tuple[Attribute, ...]
    schema: StructType
    time_zone: str
    batch_rows: int


@dataclass(frozen=True, slots=True)
class CacheOutput:
    """The stage's rows stay on the executors under a cache id."""

    attributes: tuple[Attribute, ...]
    cache_id: str


@dataclass(frozen=True, slots=True)
class WriteOutput:
    """The stage's rows are written to files; see ``executors.sources`` for the format's writer."""

    attributes: tuple[Attribute, ...]
    specification: Any


@dataclass(frozen=True, slots=True)
class StageInput:
    """A PartitionRead of a stage: the ``key`` in its operator tree and the stage (or cache) that feeds it."""

    key: str
    stage_id: int | None = None
    cache_id: str | None = None
    broadcast: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: ``tasks`` operator trees (one for each partition) that differ in their leaves only."""

    stage_id: int
    tasks: tuple[Operator, ...]
    output: Exchange | ResultOutput | CacheOutput | WriteOutput
    attributes: tuple[Attribute, ...]
    inputs: tuple[StageInput, ...] = ()
    metadata: tuple[tuple[str, Any], ...] = field(default=())
