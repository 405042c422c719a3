"""sequence: numbers, dates or timestamps counted out from start to stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists, zones
from voltray.executors.functions.array_build import MAX_ARRAY_LENGTH
from voltray.executors.functions.array_types import null_if_void
from voltray.executors.functions.columns import java_error
from voltray.executors.functions.date_time import zone_for
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.interval import interval_parts
from voltray.executors.functions.physical import DAY_MICROS, add_months, any_null, column, numbers
from voltray.executors.functions.registry import ANY, Function, Parameter, Signature, any_argument_nullable
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    INTEGER,
    LONG,
    ArrayType,
    CalendarIntervalType,
    DataType,
    DateType,
    DayTimeIntervalType,
    IntegralType,
    NullType,
    TimestampNTZType,
    TimestampType,
    YearMonthIntervalType,
)  # fmt: skip

_INTERVALS = (CalendarIntervalType, DayTimeIntervalType, YearMonthIntervalType)
_MOMENTS = (DateType, TimestampType, TimestampNTZType)


def _boundaries(start: int, stop: int, step: int) -> SparkError:
    message = f"requirement failed: Illegal sequence boundaries: {start} to {stop} by {step}"
    return java_error(message, ErrorKind.ILLEGAL_ARGUMENT)


def _too_many(count: int) -> SparkError:
    return spark_error(
        "COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER", ErrorKind.RUNTIME, numberOfElements=count, parameter="`count`",
        functionName="`sequence`", maxRoundedArrayLength=MAX_ARRAY_LENGTH,
    )  # fmt: skip


@null_if_void
def _sequence(evaluation: Evaluation, start: pl.Expr, stop: pl.Expr, *step: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[0])
    if isinstance(kind, IntegralType):
        return evaluation.columnwise(_of_numbers, start, stop, *step)
    return _of_moments(evaluation, kind, start, stop, *step)


def _counts(rows: Rows, first: np.ndarray, last: np.ndarray, by: np.ndarray, known: pl.Series) -> np.ndarray:
    """How many steps there are from first to last, both in it."""
    legal = ((by > 0) & (first <= last)) | ((by < 0) & (first >= last)) | ((by == 0) & (first == last))
    rows.refuse(pl.Series(~legal) & known, _boundaries, pl.Series(first), pl.Series(last), pl.Series(by))
    safe = np.where(by == 0, 1, by)
    counts = np.where(legal & known.to_numpy(), (last - first) // safe + 1, 0)
    rows.refuse(pl.Series(counts > MAX_ARRAY_LENGTH), _too_many, pl.Series(counts))
    return counts


def _of_numbers(rows: Rows, starts: pl.Series, stops: pl.Series, *steps: pl.Series) -> pl.Series:
    first, last = numbers(starts), numbers(stops)
    by = numbers(steps[0]) if steps else np.where(first <= last, 1, -1)
    known = ~any_null(starts, stops, *steps)
    counts = _counts(rows, first, last, by, known)
    places = _places(counts)
    values = np.repeat(first, counts) + places * np.repeat(by, counts)
    return lists.build(pl.Series(values).cast(starts.dtype), counts, known.to_numpy())


def _places(counts: np.ndarray) -> np.ndarray:
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)  # type: ignore[no-any-return]


def _of_moments(evaluation: Evaluation, kind: DataType, start: pl.Expr, stop: pl.Expr, *step: pl.Expr) -> pl.Expr:
    step_type: DataType = dtype_of(evaluation.call.args[2]) if step else DayTimeIntervalType()
    zone = zone_for(evaluation, kind)
    dates = isinstance(kind, DateType)

    def run(rows: Rows, starts: pl.Series, stops: pl.Series, *steps: pl.Series) -> pl.Series:
        first, last = [_local(s, zone, dates) for s in (starts, stops)]
        if steps:
            months, days, micros = interval_parts(steps[0], step_type)
        else:
            months, micros = np.zeros(len(first), dtype=np.int64), np.zeros(len(first), dtype=np.int64)
            days = np.where(first <= last, 1, -1)
        known = ~any_null(starts, stops, *steps)
        if dates:
            rows.refuse(pl.Series(micros % DAY_MICROS != 0) & known, lambda: _not_whole_days(step_type))
        months, days, micros = [np.where(known.to_numpy(), p, 0) for p in (months, days, micros)]
        # As Spark: a month counts as 28 days for an upper bound of the length; what lies past the end is cut.
        rough = months * 28 * DAY_MICROS + days * DAY_MICROS + micros
        if zone is not None:  # steps of hours are steps in time itself, whatever the clock shows
            by_time = (months == 0) & (days == 0)
            starting, ending = numbers(starts), numbers(stops)
            first, last = np.where(by_time, starting, first), np.where(by_time, ending, last)
        counts = _counts(rows, first, last, rough, known)
        row = np.repeat(np.arange(len(first)), counts)
        place = _places(counts)
        base = first[row]
        day = base // DAY_MICROS
        moved = add_months(day, months[row] * place) + days[row] * place
        values = moved * DAY_MICROS + (base - day * DAY_MICROS)
        if zone is not None:
            values = np.where(by_time[row], values, numbers(_moments(values, kind, zone)))
            last = ending
        values = values + micros[row] * place
        up = rough[row] > 0
        inside = np.where(up, values <= last[row], values >= last[row]) | (rough[row] == 0)
        lengths = np.bincount(row[inside], minlength=len(first))
        found = column(values[inside], starts.dtype) if zone is not None else _moments(values[inside], kind, zone)
        return lists.build(found, lengths, known.to_numpy())

    return evaluation.columnwise(run, start, stop, *step)


def _local(moments: pl.Series, zone: str | None, dates: bool) -> np.ndarray:
    if dates:
        return numbers(moments) * DAY_MICROS
    return numbers(moments if zone is None else zones.local_series(moments, zone))


def _moments(values: np.ndarray, kind: DataType, zone: str | None) -> pl.Series:
    if isinstance(kind, DateType):
        return column(values // DAY_MICROS, pl.Date())
    local = column(values, pl.Datetime("us"))
    return local if zone is None else zones.instant_series(local, zone)


def _not_whole_days(step_type: DataType) -> SparkError:
    condition = "_LEGACY_ERROR_TEMP_3242"
    return spark_error(condition, ErrorKind.ILLEGAL_ARGUMENT, intervalType=step_type.simpleString())


def _resolve(resolution: Any) -> Expression:
    args = resolution.args
    common = resolution.common_type(args[:2])
    step = args[2] if len(args) > 2 else None
    if isinstance(common, NullType):
        common = INTEGER
    if step is not None and isinstance(common, IntegralType):
        widened = resolution.common_type((Literal(None, common), step))
        common = widened if isinstance(widened, IntegralType) else None
    moments = isinstance(common, _MOMENTS) and (step is None or isinstance(dtype_of(step), (*_INTERVALS, NullType)))
    if not (isinstance(common, IntegralType) or moments):
        raise resolution.mismatch(
            "SEQUENCE_WRONG_INPUT_TYPES", functionName="`sequence`",
            startType='("TIMESTAMP" or "TIMESTAMP_NTZ" or "DATE")',
            stepType='("INTERVAL" or "INTERVAL YEAR TO MONTH" or "INTERVAL DAY TO SECOND")',
            otherStartType='"INTEGRAL"',
        )  # fmt: skip
    assert common is not None
    start, stop = [resolution.cast(a, common) for a in args[:2]]
    rest: tuple[Expression, ...] = ()
    if step is not None:
        rest = (resolution.cast(step, common) if isinstance(common, IntegralType) else step,)
        if isinstance(dtype_of(step), NullType) and moments:
            rest = (resolution.cast(step, DayTimeIntervalType()),)
    return resolution.call((start, stop, *rest), ArrayType(common, False))  # type: ignore[no-any-return]


FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("sequence",), Signature((Parameter("start", ANY), Parameter("stop", ANY), Parameter("step", ANY,
            optional=True))),
        ArrayType(LONG, False), _sequence, nullable=any_argument_nullable, resolve=_resolve,
    ),
)  # fmt: skip
