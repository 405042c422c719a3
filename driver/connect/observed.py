"""Observed metrics (``df.observe``) on their way to the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2
from pyspark.sql.connect.proto.expressions_pb2 import Expression

from voltray.driver.connect.messages.literals import literal_to_message

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.scheduler.query import ObservedMetrics, QueryRun

Response = base_pb2.ExecutePlanResponse
ACCUMULATORS = "__python_accumulator__"
"""The name under which clients look for them."""


def send_observed(operation: Operation, run: QueryRun) -> None:
    """Send what a query has observed, if anything."""
    observed = run.observed()
    if observed:
        operation.respond(Response(observed_metrics=[_observed_message(o) for o in observed]))


def send_accumulators(operation: Operation, updates: Sequence[bytes]) -> None:
    """Send updates of accumulators that Python workers made, such as profiles."""
    if updates:
        values = [Expression.Literal(binary=update) for update in updates]
        keys = [f"metric_{i}" for i in range(len(values))]
        message = Response.ObservedMetrics(name=ACCUMULATORS, values=values, keys=keys)
        operation.respond(Response(observed_metrics=[message]))


def _observed_message(observed: ObservedMetrics) -> Response.ObservedMetrics:
    pairs = zip(observed.values, observed.metrics, strict=True)
    values = [literal_to_message(value, metric.dtype) for value, metric in pairs]
    return Response.ObservedMetrics(name=observed.name, values=values, keys=[m.name for m in observed.metrics])
