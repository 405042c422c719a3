"""Resolved nodes of streaming plans: sources that go on, event time, and what a micro-batch makes of state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from voltray.driver.plan.logical import Leaf, LogicalPlan, SameOutput, walk
from voltray.proto.expressions import Alias, Attribute
from voltray.proto.failures import SparkError, spark_error
from voltray.proto.operators import AggregateMode
from voltray.proto.types import StructType


@dataclass(frozen=True, slots=True)
class RateSource:
    """So many rows a second, each with its time and number."""

    rows_per_second: int
    ramp_up_seconds: int
    num_partitions: int | None


@dataclass(frozen=True, slots=True)
class RateMicroBatchSource:
    """So many rows a batch, each batch so many milliseconds after the one before."""

    rows_per_batch: int
    num_partitions: int
    start_timestamp: int
    advance_ms: int


@dataclass(frozen=True, slots=True)
class FileStreamSource:
    """The files that appear below paths; ``schema`` is the user's, or the one found when the query was written."""

    format: str
    paths: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    schema: StructType


@dataclass(frozen=True, slots=True)
class TableStreamSource:
    """The files that are added to a table."""

    parts: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StreamScan(Leaf):
    """Rows that keep coming. ``name`` is the format's; a micro-batch puts a bounded plan in its place."""

    name: str = ""
    source: Any = field(default=None)


@dataclass(frozen=True, slots=True)
class Watermark(SameOutput):
    """Names the column of event time, and how late rows may come."""

    column: Attribute
    delay_ms: int
    delay: str = ""


@dataclass(frozen=True, slots=True)
class DeduplicateWithinWatermark(SameOutput):
    """One row for each value of ``keys`` within the watermark's delay."""

    keys: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class AggregateBuffers(LogicalPlan):
    """One part of an aggregation, over an optimized child: rows to buffers, buffers to merged ones, or to values.

    ``attributes`` are the groups and the buffers, or the values where ``mode`` is final.
    """

    child: LogicalPlan
    groups: tuple[Attribute, ...]
    aggregates: tuple[Alias, ...]
    mode: AggregateMode
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The attributes given."""
        return self.attributes


def unsupported_stream(message: str) -> SparkError:
    """Spark's error for what cannot be asked of a stream."""
    return spark_error("_LEGACY_ERROR_TEMP_3102", message=message, sqlstate="", extra={"msg": message})


def refuse_streams(plan: LogicalPlan) -> None:
    """Raise where a plan that is to be run at once reads a stream."""
    if is_streaming(plan):
        raise unsupported_stream(
            "Queries with streaming sources must be executed with writeStream.start(), or from a streaming table or "
            "flow definition within a Spark Declarative Pipeline."
        )


def refuse_call(plan: LogicalPlan, method: str) -> None:
    """Raise where a method that streams do not have is called on one."""
    if is_streaming(plan):
        raise spark_error("CALL_ON_STREAMING_DATASET_UNSUPPORTED", methodName=f"`{method}`")


def is_streaming(plan: LogicalPlan) -> bool:
    """Whether a plan reads a stream."""
    return any(isinstance(node, StreamScan) for node in walk(plan))


def stream_scans(plan: LogicalPlan) -> tuple[StreamScan, ...]:
    """The streams that a plan reads, in order."""
    return tuple([node for node in walk(plan) if isinstance(node, StreamScan)])
