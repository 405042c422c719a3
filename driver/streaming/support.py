"""What Spark refuses of a streaming query before it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.driver.plan.logical import (
    Aggregate,
    Join,
    Limit,
    LogicalPlan,
    Sample,
    SetOperation,
    Sort,
    Union,
    Window,
    children_of,
    walk,
)  # fmt: skip
from voltray.driver.plan.streaming import DeduplicateWithinWatermark, is_streaming, unsupported_stream
from voltray.driver.streaming.event_time import EventTimes, has_session_window
from voltray.proto.expressions import AggregateCall, WindowCall
from voltray.proto.expressions import walk as walk_expression
from voltray.proto.failures import ErrorKind, SparkError, spark_error

MODES = ("append", "complete", "update")
_JOIN_NAMES = {"left": "LeftOuter", "right": "RightOuter", "full": "FullOuter", "left_anti": "LeftAnti",
               "left_semi": "LeftSemi"}  # fmt: skip
_SEVERAL = (
    "Detected pattern of possible 'correctness' issue due to global watermark. The query contains stateful operation "
    'which can emit rows older than the current watermark plus allowed late record delay, which are "late rows" in '
    "downstream stateful operations and these rows can be discarded. Please refer the programming guide doc for more "
    "details. If you understand the possible risk of correctness issue and still need to run the query, you can "
    "disable this check by setting the config `spark.sql.streaming.statefulOperator.checkCorrectness.enabled` to "
    "false."
)


def output_mode(text: str) -> str:
    """The output mode that a text names."""
    mode = text.lower() or "append"
    if mode not in MODES:
        raise spark_error("STREAMING_OUTPUT_MODE.INVALID", ErrorKind.ILLEGAL_ARGUMENT, outputMode=text)
    return mode


def streaming_aggregates(plan: LogicalPlan) -> list[Aggregate]:
    """The aggregations of a plan whose rows come from a stream, outermost first."""
    return [n for n in walk(plan) if isinstance(n, Aggregate) and is_streaming(n.child)]


def check_supported(plan: LogicalPlan, mode: str) -> None:
    """Raise what Spark raises for a plan that cannot run as a stream."""
    aggregates = streaming_aggregates(plan)
    if len(aggregates) > 1 and mode != "append":
        raise unsupported_stream(_SEVERAL)
    _check_mode(plan, aggregates, mode)
    for node in reversed(list(walk(plan))):
        check = _CHECKS.get(type(node))
        if check is not None and any(is_streaming(c) for c in children_of(node)):
            check(node, mode, bool(streaming_aggregates(node)))


def _check_mode(plan: LogicalPlan, aggregates: list[Aggregate], mode: str) -> None:
    if mode == "complete" and not aggregates:
        raise _mode_refused(mode, "no streaming aggregations")
    if mode == "update" and any(has_session_window(a.child) for a in aggregates):
        raise _mode_refused(mode, "session window streaming aggregations")
    if mode == "append" and any(EventTimes.of(a.child).among(a.groups) is None for a in aggregates):
        raise _mode_refused(mode, "streaming aggregations without watermark")


def _mode_refused(mode: str, operation: str) -> SparkError:
    return spark_error("STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION", outputMode=mode, operation=operation)


def _check_aggregate(node: Aggregate, mode: str, aggregated: bool) -> None:
    calls = (part for alias in node.aggregates for part in walk_expression(alias))
    if any(isinstance(call, AggregateCall) and call.distinct for call in calls):
        raise unsupported_stream(
            "Distinct aggregations are not supported on streaming DataFrames/Datasets. Consider using "
            "approx_count_distinct() instead."
        )


def _check_sort(node: Sort, mode: str, aggregated: bool) -> None:
    if not node.is_global or (mode == "complete" and aggregated):
        return
    raise unsupported_stream(
        "Sorting is not supported on streaming DataFrames/Datasets, unless it is on aggregated DataFrame/Dataset in "
        "Complete output mode"
    )


def _check_limit(node: Limit, mode: str, aggregated: bool) -> None:
    if node.offset and not (mode == "complete" and aggregated):
        raise unsupported_stream("Offset is not supported on streaming DataFrames/Datasets")
    if node.tail:
        raise unsupported_stream("Tail is not supported on streaming DataFrames/Datasets")
    if mode == "update":
        raise unsupported_stream("Limits are not supported on streaming DataFrames/Datasets in Update output mode")


def _check_join(node: Join, mode: str, aggregated: bool) -> None:
    left, right = is_streaming(node.left), is_streaming(node.right)
    name = _JOIN_NAMES.get(node.kind, "")
    if left and right:
        if name:
            raise unsupported_stream(
                f"Stream-stream {name} join between two streaming DataFrame/Datasets is not supported without a "
                "watermark in the join keys, or a watermark on the nullable side and an appropriate range condition"
            )
        if mode != "append":
            raise unsupported_stream(
                f"Join between two streaming DataFrames/Datasets is not supported in {mode.capitalize()} output mode, "
                "only in Append output mode"
            )
        return
    if node.kind == "full":
        side, other = ("left", "right") if left else ("right", "left")
        raise unsupported_stream(
            f"FullOuter joins with streaming DataFrames/Datasets on the {side} and a static DataFrame/Dataset on the "
            f"{other} is not supported"
        )
    if right and node.kind in ("left", "left_semi", "left_anti"):
        raise unsupported_stream(
            f"{name} join with a streaming DataFrame/Dataset on the right and a static DataFrame/Dataset on the left "
            "is not supported"
        )
    if left and node.kind == "right":
        raise unsupported_stream(
            "RightOuter join with a streaming DataFrame/Dataset on the left and a static DataFrame/DataSet on the "
            "right not supported"
        )


def _check_set_operation(node: SetOperation, mode: str, aggregated: bool) -> None:
    if node.kind == "intersect":
        raise unsupported_stream("Intersect of streaming DataFrames/Datasets is not supported")
    if is_streaming(node.right):
        raise unsupported_stream("Except on a streaming DataFrame/Dataset on the right is not supported")


def _check_union(node: Union, mode: str, aggregated: bool) -> None:
    if not all(is_streaming(c) for c in node.children):
        raise unsupported_stream("Union between streaming and batch DataFrames/Datasets is not supported")


def _check_sample(node: Sample, mode: str, aggregated: bool) -> None:
    raise unsupported_stream("Sampling is not supported on streaming DataFrames/Datasets")


def _check_window(node: Window, mode: str, aggregated: bool) -> None:
    item = node.items[0]
    call = item.child
    function = call.function if isinstance(call, WindowCall) else call
    raise spark_error(
        "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING",
        windowFunc=f"{getattr(function, 'name', '').upper()}()",
        columnName=f"`{item.name}`",
        windowSpec="(...)",
    )


def _check_within_watermark(node: DeduplicateWithinWatermark, mode: str, aggregated: bool) -> None:
    if EventTimes.of(node.child).among(node.child.output) is None:
        raise unsupported_stream(
            "dropDuplicatesWithinWatermark is not supported on streaming DataFrames/DataSets without watermark"
        )


_CHECKS: dict[type[LogicalPlan], Callable[[Any, str, bool], None]] = {
    Aggregate: _check_aggregate,
    Sort: _check_sort,
    Limit: _check_limit,
    Join: _check_join,
    Sample: _check_sample,
    SetOperation: _check_set_operation,
    Union: _check_union,
    Window: _check_window,
    DeduplicateWithinWatermark: _check_within_watermark,
}
