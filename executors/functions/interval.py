"""Intervals: making them, scaling them, and moving dates and timestamps by them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.columns import java_error, overflow_error
from voltray.executors.functions.date_time import INT_INPUT, add_to_timestamp, zone_for
from voltray.executors.functions.displays import with_defaults
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.physical import DAY_MICROS, LONG_MAX, add_months, any_null, column, numbers
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import EvalMode, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    CALENDAR_INTERVAL,
    DATE,
    INTEGER,
    TIMESTAMP,
    CalendarIntervalType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    TimestampType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

_INT_MAX = (1 << 31) - 1
_DAY_TO_SECOND = DayTimeIntervalType()
_YEAR_TO_MONTH = YearMonthIntervalType()


def interval_overflow() -> SparkError:
    """INTERVAL_ARITHMETIC_OVERFLOW of parts that no interval can hold."""
    return spark_error("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", ErrorKind.ARITHMETIC)


def _integer_overflow() -> SparkError:
    return overflow_error("integer")


def _java_integer_overflow() -> SparkError:
    return java_error("integer overflow")


def _java_long_overflow() -> SparkError:
    return java_error("long overflow")


def _long_overflow() -> SparkError:
    return overflow_error("long")


# ---- making ----------------------------------------------------------------------------------------
def seconds_micros(seconds: pl.Expr, dtype: DataType) -> pl.Expr:
    """Decimal seconds as microseconds, rounded half up to the sixth digit, in 128 bits."""
    assert isinstance(dtype, DecimalType)
    unscaled = seconds.to_physical().cast(pl.Int128)
    if dtype.scale <= 6:
        return unscaled * 10 ** (6 - dtype.scale)  # type: ignore[no-any-return]
    return _half_up(unscaled, pl.lit(10 ** (dtype.scale - 6), dtype=pl.Int128))


def _half_up(numerator: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """Division of 128-bit integers, halves away from zero."""
    quotient = (numerator.abs() * 2 + divisor.abs()) // (divisor.abs() * 2)
    return pl.when((numerator < 0) != (divisor < 0)).then(quotient * -1).otherwise(quotient)


def _wide(value: pl.Expr, factor: int = 1) -> pl.Expr:
    return value.cast(pl.Int128) * factor


def _make_interval(evaluation: Evaluation, *parts: pl.Expr) -> pl.Expr:
    years, months, weeks, days, hours, minutes, seconds = parts
    strict = evaluation.call.mode is EvalMode.ANSI and not evaluation.call.name.startswith("try_")
    micros = _wide(hours, 3_600_000_000) + _wide(minutes, 60_000_000)
    micros = micros + seconds_micros(seconds, dtype_of(evaluation.call.args[6]))
    fields = (_wide(years, 12) + _wide(months), _wide(weeks, 7) + _wide(days), micros)

    def make(rows: Rows, month: pl.Series, day: pl.Series, micro: pl.Series) -> pl.Series:
        bad = (month.abs() > _INT_MAX) | (day.abs() > _INT_MAX) | (micro.abs() > LONG_MAX)
        if strict:
            rows.refuse(bad, _integer_overflow)
        return calendar_intervals(month, day, micro, bad.fill_null(True))

    return evaluation.columnwise(make, *fields)


def calendar_intervals(months: pl.Series, days: pl.Series, micros: pl.Series, null: pl.Series) -> pl.Series:
    """Months, days and microseconds as a column of calendar intervals, NULL where ``null`` holds."""
    frame = pl.DataFrame({
        "months": months.cast(pl.Int32, strict=False), "days": days.cast(pl.Int32, strict=False),
        "microseconds": micros.cast(pl.Int64, strict=False), "null": null,
    })  # fmt: skip
    whole = pl.struct("months", "days", "microseconds")
    return frame.select(pl.when(~pl.col("null")).then(whole).alias("interval")).to_series()


def _make_day_time(evaluation: Evaluation, *parts: pl.Expr) -> pl.Expr:
    days, hours, minutes, seconds = parts
    total = _wide(days, DAY_MICROS) + _wide(hours, 3_600_000_000) + _wide(minutes, 60_000_000)
    total = total + seconds_micros(seconds, dtype_of(evaluation.call.args[3]))
    return _fitting(evaluation, total, LONG_MAX, pl.Duration("us"))


def _make_year_month(evaluation: Evaluation, years: pl.Expr, months: pl.Expr) -> pl.Expr:
    return _fitting(evaluation, _wide(years, 12) + _wide(months), _INT_MAX, pl.Int32())


def _fitting(
    evaluation: Evaluation, value: pl.Expr, limit: int, dtype: pl.DataType,
    error: Callable[[], SparkError] = interval_overflow,
) -> pl.Expr:  # fmt: skip
    """128-bit values as an interval's carrier; an error where they do not fit."""
    tolerant = evaluation.call.mode is EvalMode.TRY
    physical = pl.Int32() if dtype == pl.Int32() else pl.Int64()

    def fit(rows: Rows, wide: pl.Series) -> pl.Series:
        if not tolerant:
            rows.refuse((wide > limit) | (wide < -limit - 1), error)
        return wide.cast(physical, strict=False).cast(dtype)

    return evaluation.columnwise(fit, value, dtype=dtype)


# ---- scaling ---------------------------------------------------------------------------------------
def _scale(divide: bool) -> Callable[[Evaluation, pl.Expr, pl.Expr], pl.Expr]:
    def body(evaluation: Evaluation, interval: pl.Expr, number: pl.Expr) -> pl.Expr:
        kind, amount = [dtype_of(a) for a in evaluation.call.args]
        if divide:
            number = _not_zero(evaluation, number)
        if isinstance(kind, CalendarIntervalType):
            return _scale_calendar(evaluation, interval, number, divide)
        months = isinstance(kind, YearMonthIntervalType)
        limit, dtype = (_INT_MAX, pl.Int32()) if months else (LONG_MAX, pl.Duration("us"))
        whole = interval.to_physical()
        error = _java_integer_overflow if months else _java_long_overflow
        if isinstance(amount, DecimalType):
            unscaled, scale = number.to_physical().cast(pl.Int128), pl.lit(10**amount.scale, dtype=pl.Int128)
            wide = _half_up(_wide(whole) * scale, unscaled) if divide else _half_up(_wide(whole) * unscaled, scale)
            return _fitting(evaluation, wide, limit, dtype, error)
        if amount.simpleString() in ("float", "double"):
            return _scale_by_double(evaluation, whole, number, divide, limit, dtype, error)
        wide = _half_up(_wide(whole), _wide(number)) if divide else _wide(whole) * _wide(number)
        return _fitting(evaluation, wide, limit, dtype, _quotient_overflow if divide else error)

    return body


def _not_zero(evaluation: Evaluation, number: pl.Expr) -> pl.Expr:
    mode, calendar = evaluation.call.mode, isinstance(dtype_of(evaluation.call.args[0]), CalendarIntervalType)

    def check(rows: Rows, numbers_: pl.Series) -> pl.Series:
        zero = numbers_ == 0
        if mode is EvalMode.ANSI or (mode is EvalMode.LEGACY and not calendar):
            rows.refuse(zero, _divided_by_zero)
        return numbers_.zip_with(~zero.fill_null(False), pl.Series([None], dtype=numbers_.dtype))

    return evaluation.columnwise(check, number, dtype=carrier(dtype_of(evaluation.call.args[1])))


def _quotient_overflow() -> SparkError:
    condition = "INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION"
    return spark_error(condition, ErrorKind.ARITHMETIC, functionName="`try_divide`")


def _divided_by_zero() -> SparkError:
    return spark_error("INTERVAL_DIVIDED_BY_ZERO", ErrorKind.ARITHMETIC)


def _scale_by_double(
    evaluation: Evaluation, whole: pl.Expr, number: pl.Expr, divide: bool, limit: int, dtype: pl.DataType,
    error: Callable[[], SparkError],
) -> pl.Expr:  # fmt: skip
    real = whole.cast(pl.Float64) / number if divide else whole.cast(pl.Float64) * number

    def round_half_up(rows: Rows, values: pl.Series) -> pl.Series:
        floats = values.fill_null(0.0).to_numpy()
        rounded = np.sign(floats) * np.floor(np.abs(floats) + 0.5)
        bad = ~(np.abs(rounded) <= float(limit)) if limit < LONG_MAX else ~(np.abs(rounded) < 2.0**63)
        if evaluation.call.mode is not EvalMode.TRY:
            rows.refuse(pl.Series(bad), error)
        return column(np.where(bad, 0, rounded).astype(np.int64), dtype, values, bad=bad)

    return evaluation.columnwise(round_half_up, real, dtype=dtype)


def _scale_calendar(evaluation: Evaluation, interval: pl.Expr, number: pl.Expr, divide: bool) -> pl.Expr:
    factor = number.cast(pl.Float64)
    ansi = evaluation.call.mode is EvalMode.ANSI

    def scale(rows: Rows, intervals: pl.Series, factors: pl.Series) -> pl.Series:
        fields = [intervals.struct.field(n) for n in ("months", "days", "microseconds")]
        by = factors.fill_null(1.0).to_numpy()
        months, days, micros = [numbers(f) / by if divide else numbers(f) * by for f in fields]
        # A part that is no whole month is dropped, one that is no whole day becomes time.
        micros = np.rint(micros + DAY_MICROS * (days - np.trunc(days)))
        bad = ~((np.abs(months) < 2.0**31) & (np.abs(days) < 2.0**31) & (np.abs(micros) < 2.0**63))
        null = any_null(intervals, factors)
        if ansi:
            rows.refuse(pl.Series(bad) & ~null, _integer_overflow)
        whole = [pl.Series(np.where(bad, 0, np.trunc(p)).astype(np.int64)) for p in (months, days, micros)]
        return calendar_intervals(whole[0], whole[1], whole[2], null | pl.Series(bad))

    return evaluation.columnwise(scale, interval, factor)


# ---- moving ----------------------------------------------------------------------------------------
def interval_parts(intervals: pl.Series, dtype: DataType) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months, days and microseconds of a column of any interval type."""
    if isinstance(dtype, CalendarIntervalType):
        months, days, micros = [numbers(intervals.struct.field(n)) for n in ("months", "days", "microseconds")]
        return months, days, micros
    amount, nothing = numbers(intervals), np.zeros(len(intervals), dtype=np.int64)
    if isinstance(dtype, YearMonthIntervalType):
        return amount, nothing, nothing
    days = (np.sign(amount) * (np.abs(amount) // DAY_MICROS)).astype(np.int64)
    return nothing, days, amount - days * DAY_MICROS


def _move_timestamp(evaluation: Evaluation, stamp: pl.Expr, interval: pl.Expr) -> pl.Expr:
    stamp_type, interval_type = [dtype_of(a) for a in evaluation.call.args]
    zone = zone_for(evaluation, stamp_type)

    def move(rows: Rows, stamps: pl.Series, intervals: pl.Series) -> pl.Series:
        months, days, micros = interval_parts(intervals, interval_type)
        known = ~any_null(stamps, intervals)
        rough = numbers(stamps) + months * (2.63e12) + days * float(DAY_MICROS) + micros.astype(np.float64)
        bad = pl.Series(np.abs(rough) > 9.2e18) & known
        if evaluation.call.mode is not EvalMode.TRY:
            rows.refuse(bad, _long_overflow)
        safe = ~bad.to_numpy()
        moved = add_to_timestamp(stamps, months * safe, days * safe, micros * safe, zone)
        return moved.zip_with(known & ~bad, pl.Series([None], dtype=moved.dtype))

    return evaluation.columnwise(move, stamp, interval)


def _move_date(evaluation: Evaluation, date: pl.Expr, interval: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[1])
    mode = evaluation.call.mode

    def move(rows: Rows, dates: pl.Series, intervals: pl.Series) -> pl.Series:
        months, days, micros = interval_parts(intervals, kind)
        known = ~any_null(dates, intervals)
        partial = pl.Series(micros != 0) & known
        if mode is EvalMode.ANSI:
            rows.refuse(partial, _no_microseconds)
        days = days + micros // DAY_MICROS
        moved = column(add_months(numbers(dates), months) + days, pl.Date(), dates)
        return moved.zip_with(known & ~partial if mode is EvalMode.TRY else known, pl.Series([None], dtype=pl.Date))

    return evaluation.columnwise(move, date, interval)


def _no_microseconds() -> SparkError:
    return spark_error("INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION", ErrorKind.ILLEGAL_ARGUMENT)


def _subtract_dates(evaluation: Evaluation, late: pl.Expr, early: pl.Expr) -> pl.Expr:
    days = late.to_physical().cast(pl.Int64) - early.to_physical().cast(pl.Int64)
    return (days * DAY_MICROS).cast(pl.Duration("us"))


def _subtract_timestamps(evaluation: Evaluation, late: pl.Expr, early: pl.Expr) -> pl.Expr:
    zone = evaluation.context.time_zone
    kinds = [dtype_of(a) for a in evaluation.call.args]
    local = [
        zones.local_time(e, zone) if isinstance(k, TimestampType) else e
        for e, k in zip((late, early), kinds, strict=True)
    ]
    return (local[0].to_physical() - local[1].to_physical()).cast(pl.Duration("us"))


def _extract_days(evaluation: Evaluation, interval: pl.Expr) -> pl.Expr:
    micros = interval.to_physical()
    days = micros.abs() // DAY_MICROS
    return pl.when(micros < 0).then(-days).otherwise(days).cast(pl.Int32)


# ---- entries ---------------------------------------------------------------------------------------
def _scaled_type(args: tuple[Expression, ...]) -> DataType:
    kind = dtype_of(args[0])
    if isinstance(kind, CalendarIntervalType):
        return kind
    return _YEAR_TO_MONTH if isinstance(kind, YearMonthIntervalType) else _DAY_TO_SECOND


def _first_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


def _moved_date_type(args: tuple[Expression, ...]) -> DataType:
    return DATE if isinstance(dtype_of(args[0]), DateType) else TIMESTAMP


def _calendar_nullable(args: tuple[Expression, ...]) -> bool:
    return isinstance(dtype_of(args[0]), CalendarIntervalType) or any_argument_nullable(args)


_ZERO = Literal(0, INTEGER)
_SECONDS = Accept((DecimalType,), (DecimalType(18, 6),), '"DECIMAL(18,6)"')
_ZERO_SECONDS = Literal(Decimal("0.000000"), DecimalType(18, 6))


def _defaulted(*names: str, seconds: bool = True) -> Signature:
    given = [Parameter(n, INT_INPUT, _ZERO) for n in names]
    return Signature(tuple([*given, Parameter("secs", _SECONDS, _ZERO_SECONDS)] if seconds else given))


_INTERVAL_PARTS = _defaulted("years", "months", "weeks", "days", "hours", "mins")
_TWO = parameters(("left", ANY), ("right", ANY))


def _internal(name: str, result: object, body: object, nullable: object = any_argument_nullable) -> Function:
    return Function((name,), _TWO, result, body, nullable=nullable, internal=True)  # type: ignore[arg-type]


FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("make_interval",),
        _INTERVAL_PARTS,
        CALENDAR_INTERVAL,
        _make_interval,
        display=with_defaults("make_interval", 7, *["0"] * 6, "0.000000"),
    ),
    Function(
        ("try_make_interval",),
        _INTERVAL_PARTS,
        CALENDAR_INTERVAL,
        _make_interval,
        nullable=always_nullable,
        display=with_defaults("try_make_interval", 7, *["0"] * 6, "0.000000"),
    ),
    Function(
        ("make_dt_interval",),
        _defaulted("days", "hours", "mins"),
        _DAY_TO_SECOND,
        _make_day_time,
        display=with_defaults("make_dt_interval", 4, "0", "0", "0", "0.000000"),
    ),
    Function(
        ("make_ym_interval",),
        _defaulted("years", "months", seconds=False),
        _YEAR_TO_MONTH,
        _make_year_month,
        display=with_defaults("make_ym_interval", 2, "0", "0"),
    ),
    _internal("multiply_interval", _scaled_type, _scale(False), _calendar_nullable),
    _internal("divide_interval", _scaled_type, _scale(True), _calendar_nullable),
    _internal("timestamp_add_interval", _first_type, _move_timestamp),
    _internal("timestamp_add_year_month_interval", _first_type, _move_timestamp),
    _internal("date_add_interval", _moved_date_type, _move_date),
    _internal("date_add_year_month_interval", _moved_date_type, _move_date),
    _internal("subtract_dates", DayTimeIntervalType(0, 0), _subtract_dates),
    _internal("subtract_timestamps", _DAY_TO_SECOND, _subtract_timestamps),
    Function(("extract_days",), parameters(("interval", ANY)), INTEGER, _extract_days, internal=True),
)
