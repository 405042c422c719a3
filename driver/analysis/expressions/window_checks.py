"""What a window may not be: frames that run backwards or do not fit a function, filters over windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type
from voltray.driver.plan.expressions import UnresolvedFrame, UnresolvedWindow
from voltray.proto.expressions import (
    AggregateCall,
    Attribute,
    Call,
    Expression,
    FrameKind,
    SortOrder,
    WindowFrame,
    dtype_of,
    walk,
)  # fmt: skip
from voltray.proto.failures import QueryContext
from voltray.proto.types import (
    DateType,
    DayTimeIntervalType,
    NumericType,
    TimestampNTZType,
    TimestampType,
    YearMonthIntervalType,
)

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

_RANKS = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"})
_OFFSETS = frozenset({"lag", "lead"})
_TO_NOW = "specifiedwindowframe(RowFrame, unboundedpreceding$(), currentrow$())"
_SHOWN = {"unbounded": "UNBOUNDED PRECEDING", "unbounded following": "UNBOUNDED FOLLOWING", "current": "CURRENT ROW"}
_WHOLE = frozenset({"median", "percentile_cont", "percentile_disc"})
_JOINED = frozenset({"listagg", "string_agg"})
_MEASURED = (
    NumericType, DateType, TimestampType, TimestampNTZType, DayTimeIntervalType, YearMonthIntervalType,
)  # fmt: skip


def check_function(call: Expression, expression: UnresolvedWindow) -> None:
    """A filter does not go with a window."""
    if isinstance(call, AggregateCall) and call.filter is not None:
        raise analysis_error("_LEGACY_ERROR_TEMP_1030", expression.origin)


def check_bounds(frame: UnresolvedFrame, kind: str, origin: QueryContext | None) -> None:
    """A frame may not begin after everything, nor end before everything."""
    if frame.lower != "unbounded following" and frame.upper != "unbounded preceding":
        return
    lower = _SHOWN.get(str(frame.lower), "CURRENT ROW")
    upper = "UNBOUNDED PRECEDING" if frame.upper == "unbounded preceding" else "UNBOUNDED FOLLOWING"
    upper = "CURRENT ROW" if frame.upper == "current" else upper
    raise mismatch(
        "SPECIFIED_WINDOW_FRAME_INVALID_BOUND", f"{kind} BETWEEN {lower} AND {upper}", origin,
        lower=f'"{lower}"', upper=f'"{upper}"',
    )  # fmt: skip


def check_bound_types(
    frame: UnresolvedFrame, shown: str, resolver: ExpressionResolver, origin: QueryContext | None
) -> None:
    """Both distances of a range of dates are told in the same unit."""
    lower, upper = (resolver.resolve(b) for b in (frame.lower, frame.upper) if not isinstance(b, str))
    if lower.dtype != upper.dtype:
        raise mismatch(
            "SPECIFIED_WINDOW_FRAME_DIFF_TYPES", shown, origin, lower=f'"{lower.text}"', upper=f'"{upper.text}"',
            lowerType=shown_type(lower.dtype), upperType=shown_type(upper.dtype),
        )  # fmt: skip


def check_aggregate_frame(call: Expression, shown: str, expression: UnresolvedWindow) -> None:
    """Aggregates that order their values themselves see a whole partition."""
    if not isinstance(call, AggregateCall) or not (expression.order_by or expression.frame is not None):
        return
    ordered_text = call.name in _JOINED and bool(call.order_by)
    if call.name in _WHOLE or ordered_text:
        raise analysis_error("INVALID_WINDOW_SPEC_FOR_AGGREGATION_FUNC", expression.origin, aggFunc=f'"{shown}"')


def check_frame(
    call: Expression, expression: UnresolvedWindow, frame: WindowFrame, keys: tuple[SortOrder, ...]
) -> None:
    """Ranks and offsets have frames of their own; a distance needs one measured key."""
    written = expression.frame
    if written is None:
        return
    if isinstance(call, Call) and call.name in _RANKS:
        if written.kind != "rows" or (written.lower, written.upper) != ("unbounded", "current"):
            raise analysis_error("_LEGACY_ERROR_TEMP_1036", None, wf="specifiedwindowframe", required=_TO_NOW)
        return
    if isinstance(call, Call) and call.name in _OFFSETS:
        raise analysis_error("_LEGACY_ERROR_TEMP_1035", None, prettyName=call.name)
    if frame.kind is not FrameKind.RANGE or all(isinstance(b, str) for b in (written.lower, written.upper)):
        return
    if len(keys) > 1:
        shown = ",".join([n.name for k in keys for n in walk(k) if isinstance(n, Attribute)])
        raise mismatch("RANGE_FRAME_MULTI_ORDER", "(RANGE)", expression.origin, orderSpec=shown)
    if keys and not isinstance(dtype_of(keys[0]), _MEASURED):
        location = "upper" if isinstance(written.lower, str) else "lower"
        raise mismatch(
            "SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE", "RANGE", expression.origin, location=location,
            exprType=f'"{dtype_of(keys[0]).simpleString().upper()}"',
            expectedType='("NUMERIC" or "INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH" or "INTERVAL")',
        )  # fmt: skip
