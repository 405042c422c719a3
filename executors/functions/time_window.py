"""Windows of time: the buckets of window(), their ends, and the sessions of session_window()."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.physical import column, numbers
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.failures import spark_error
from voltray.proto.types import (
    TIMESTAMP,
    CalendarIntervalType,
    DataType,
    DayTimeIntervalType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

_UNITS = {
    "microsecond": 1, "millisecond": 1000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000,
    "day": 86_400_000_000, "week": 7 * 86_400_000_000,
}  # fmt: skip
_TERM = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s+([a-z]+?)s?(?=\s|$)")


def interval_micros(text: str) -> int | None:
    """The length of an interval text without months, None for any other text."""
    rest = text.strip().lower().removeprefix("interval").strip()
    total, at = 0, 0
    while at < len(rest):
        found = _TERM.match(rest, at)
        if found is None or found[2] not in _UNITS:
            return None
        total += round(float(found[1]) * _UNITS[found[2]])
        at = found.end()
    return total if at else None


def window_type(moment: DataType) -> StructType:
    """The struct of a window's ends."""
    return StructType([StructField("start", moment, True), StructField("end", moment, True)])


# ---- bodies ----------------------------------------------------------------------------------------
def _windows(evaluation: Evaluation, moment: pl.Expr) -> pl.Expr:
    """Every window that a moment lies in, the latest start first: one where windows do not overlap."""
    duration, slide, start = [evaluation.call.option(n) for n in ("duration", "slide", "start")]
    single = evaluation.call.name == "window"

    def run(rows: Rows, moments: pl.Series) -> pl.Series:
        micros = numbers(moments)
        last = micros - (micros - start) % slide
        if single:
            ends = [column(v, moments.dtype, moments).alias(n) for n, v in (("start", last), ("end", last + duration))]
            whole = pl.DataFrame(ends).to_struct("window")
            return whole.zip_with(moments.is_not_null(), pl.Series([None], dtype=whole.dtype))
        most = -(-duration // slide)
        starts = (last[:, None] - np.arange(most)[None, :] * slide).ravel()
        row = np.repeat(np.arange(len(moments)), most)
        inside = (starts + duration > micros[row]) & moments.is_not_null().to_numpy()[row]
        kept = starts[inside]
        fields = [column(v, moments.dtype).alias(n) for n, v in (("start", kept), ("end", kept + duration))]
        lengths = np.bincount(row[inside], minlength=len(moments))
        return lists.build(pl.DataFrame(fields).to_struct("window"), lengths, None)

    return evaluation.columnwise(run, moment)


def _window_time(evaluation: Evaluation, window: pl.Expr) -> pl.Expr:
    end = window.struct.field("end")
    return end - pl.duration(microseconds=1, time_unit="us")


def _session(evaluation: Evaluation, moment: pl.Expr, *gap: pl.Expr) -> pl.Expr:
    fixed = evaluation.call.option("gap")

    def run(rows: Rows, moments: pl.Series, *gaps: pl.Series) -> pl.Series:
        lengths = numbers(gaps[0]) if gaps else fixed
        start = numbers(moments)
        ends = [column(v, moments.dtype, moments).alias(n) for n, v in (("start", start), ("end", start + lengths))]
        whole = pl.DataFrame(ends).to_struct("session_window")
        return whole.zip_with(moments.is_not_null(), pl.Series([None], dtype=whole.dtype))

    return evaluation.columnwise(run, moment, *gap)


# ---- resolution ------------------------------------------------------------------------------------
def _moment(resolution: Any) -> Expression:
    given = resolution.args[0]
    kind = dtype_of(given)
    if isinstance(kind, StructType) and [f.name for f in kind.fields] == ["start", "end"]:
        return resolution.function_of("window_time", given)  # type: ignore[no-any-return]
    if isinstance(kind, TimestampType | TimestampNTZType):
        return given  # type: ignore[no-any-return]
    return resolution.coerce(0, TIMESTAMP, '("TIMESTAMP" or "TIMESTAMP_NTZ")')  # type: ignore[no-any-return]


def _length(resolution: Any, position: int, name: str) -> int:
    given = resolution.args[position]
    if isinstance(given, Literal):
        if isinstance(given.dtype, StringType):
            micros = interval_micros(given.value or "")
            if micros is not None:
                return micros
            raise resolution.error("CANNOT_PARSE_INTERVAL", intervalString=f"'{given.value}'")
        if isinstance(given.dtype, DayTimeIntervalType):
            return int(given.value)
        if isinstance(given.dtype, CalendarIntervalType) and given.value[0] == 0:
            return int(given.value[1]) * 86_400_000_000 + int(given.value[2])
    raise resolution.mismatch(
        "NON_FOLDABLE_INPUT", inputName=f"`{name}`", inputType='"BIGINT"', inputExpr=f'"{resolution.names[position]}"'
    )


def _resolve_window(resolution: Any) -> Expression:
    count = len(resolution.args)
    duration = _length(resolution, 1, "windowDuration")
    slide = _length(resolution, 2, "slideDuration") if count > 2 else duration
    start = _length(resolution, 3, "startTime") if count > 3 else 0
    _check(resolution, duration, slide, start)
    moment = _moment(resolution)
    kind = window_type(dtype_of(moment))
    options = (("duration", duration), ("slide", slide), ("start", start))
    # Overlapping windows (slide < duration) become a generator below: driver/optimizer/rewrite_time_windows.py.
    return resolution.call((moment,), kind, False, options)  # type: ignore[no-any-return]


def _check(resolution: Any, duration: int, slide: int, start: int) -> None:
    for name, value in (("window_duration", duration), ("slide_duration", slide)):
        if value <= 0:
            raise resolution.mismatch(
                "VALUE_OUT_OF_RANGE", exprName=f"`{name}`", valueRange="(0, 9223372036854775807]",
                currentValue=f"{value}L",
            )  # fmt: skip
    if slide > duration:
        raise resolution.mismatch(
            "PARAMETER_CONSTRAINT_VIOLATION", leftExprName="`slide_duration`", leftExprValue=f"{slide}L",
            constraint="<=", rightExprName="`window_duration`", rightExprValue=f"{duration}L",
        )  # fmt: skip
    if abs(start) >= slide:
        raise resolution.mismatch(
            "PARAMETER_CONSTRAINT_VIOLATION", leftExprName="`abs(start_time)`", leftExprValue=f"{abs(start)}L",
            constraint="<", rightExprName="`slide_duration`", rightExprValue=f"{slide}L",
        )  # fmt: skip


def _resolve_session(resolution: Any) -> Expression:
    moment = _moment(resolution)
    gap = resolution.args[1]
    kind = window_type(dtype_of(moment))
    if isinstance(gap, Literal):
        options = (("gap", _length(resolution, 1, "gapDuration")),)
        return resolution.call((moment,), kind, False, options)  # type: ignore[no-any-return]
    length = gap
    if isinstance(dtype_of(gap), StringType | CalendarIntervalType):
        length = resolution.cast(gap, DayTimeIntervalType())
    return resolution.call((moment, length), kind, False)  # type: ignore[no-any-return]


_WINDOW = Signature((
    Parameter("timeColumn", Accept()), Parameter("windowDuration", Accept()),
    Parameter("slideDuration", Accept(), optional=True), Parameter("startTime", Accept(), optional=True),
))  # fmt: skip
_PLACE = window_type(TIMESTAMP)


def _end_type(args: tuple[Expression, ...]) -> DataType:
    kind = dtype_of(args[0])
    if isinstance(kind, StructType) and [f.name for f in kind.fields] == ["start", "end"]:
        return kind.fields[1].dataType
    raise spark_error("_LEGACY_ERROR_TEMP_3101", windowTime="window_time")


_STRUCT = Accept((StructType,), (), '"STRUCT"')

FUNCTIONS: tuple[Function, ...] = (
    Function(("window",), _WINDOW, _PLACE, _windows, resolve=_resolve_window, display=lambda names: "window"),
    Function(("time_windows",), parameters(("time", ANY)), _PLACE, _windows, nullable=never_nullable, internal=True),
    Function(
        ("window_time",), parameters(("windowColumn", _STRUCT)), _end_type, _window_time, nullable=always_nullable
    ),
    Function(
        ("session_window",), parameters(("timeColumn", Accept()), ("gapDuration", Accept())), _PLACE, _session,
        resolve=_resolve_session, display=lambda names: "session_window",
    ),
)  # fmt: skip
