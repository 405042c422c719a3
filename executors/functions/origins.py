"""Where in the user's program a failing call was written: put to its error only once it has failed."""

from __future__ import annotations

from dataclasses import replace

from voltray.proto.expressions import AggregateCall, Call
from voltray.proto.failures import Failure, QueryContext, SparkError, spark_error
from voltray.proto.types import DecimalType

# The conditions with which Spark tells a place; all others come without.
_TOLD = frozenset(
    {
        "DIVIDE_BY_ZERO", "REMAINDER_BY_ZERO", "INTERVAL_DIVIDED_BY_ZERO", "CAST_INVALID_INPUT",
        "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION",
        "INVALID_ARRAY_INDEX", "INVALID_ARRAY_INDEX_IN_ELEMENT_AT", "INVALID_INDEX_OF_ZERO",
    }
)  # fmt: skip
# Overflows of other functions (abs, make_interval ...) are told without a place.
_OVERFLOWS = frozenset({"+", "-", "*", "/", "div", "round", "bround", "ceil", "floor", "sum", "avg"})
_NOWHERE = QueryContext()


def located(error: SparkError, call: Call | AggregateCall | None) -> SparkError:
    """The error with the place of the call that raised it, where Spark tells it."""
    failure = error.failure
    if call is None or failure.contexts or not _is_told(failure, call):
        return error
    return spark_error(
        failure.condition, failure.kind, contexts=(_place(call),), sqlstate=failure.sqlstate, message=failure.message,
        extra=failure.parameters,
    )  # fmt: skip


def _is_told(failure: Failure, call: Call | AggregateCall) -> bool:
    if failure.condition == "ARITHMETIC_OVERFLOW":
        return call.name in _OVERFLOWS
    return failure.condition in _TOLD


def _place(call: Call | AggregateCall) -> QueryContext:
    # Spark's sums of whole numbers know no place, but say so by an empty one.
    if call.origin is None or (isinstance(call, AggregateCall) and not isinstance(call.dtype, DecimalType)):
        return _NOWHERE
    origin = call.origin
    if origin.fragment or not origin.text:
        return origin
    return replace(origin, fragment=origin.text[origin.start_index : origin.stop_index + 1])
