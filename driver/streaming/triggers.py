"""When batches run."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.executors.functions.cast_interval import read_calendar_interval
from voltray.proto.failures import ErrorKind, spark_error


@dataclass(frozen=True, slots=True)
class Trigger:
    """kind: processing_time (every ``interval_ms``), once, or available_now."""

    kind: str = "processing_time"
    interval_ms: int = 0


def processing_time(text: str) -> Trigger:
    """A trigger every so often."""
    read = read_calendar_interval(text)
    if read is None:
        first = text.split(" ")[0]
        raise spark_error(
            "INVALID_INTERVAL_FORMAT.UNRECOGNIZED_NUMBER", ErrorKind.ILLEGAL_ARGUMENT, input=text, number=first
        )
    if read["months"]:
        message = f"Doesn't support month or year interval: {text}"
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message)
    interval = read["days"] * 86_400_000 + read["microseconds"] // 1000
    if interval < 0:
        raise spark_error(
            "", ErrorKind.ILLEGAL_ARGUMENT,
            message="requirement failed: the interval of trigger should not be negative",
        )  # fmt: skip
    return Trigger("processing_time", interval)
