"""Dates and timestamps: the clock, their fields, and steps over the calendar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.displays import with_defaults
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.physical import (
    DAY_MICROS,
    add_months,
    column,
    first_days,
    months_of,
    numbers,
    year_month_day,
)  # fmt: skip
from voltray.executors.functions.registry import (
    DATE_INPUT,
    STRING_INPUT,
    TIMESTAMP_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    any_argument_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Call, EvalMode, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    ByteType,
    DataType,
    IntegerType,
    LongType,
    NullType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
    TimeType,
)  # fmt: skip

INT_INPUT = accepts_type(INTEGER)
LONG_INPUT = accepts_type(LONG)
SMALL_INT = Accept((IntegerType, ShortType, ByteType), (), '("INT" or "SMALLINT" or "TINYINT")')
TIMESTAMP_OR_TIME = Accept((TimestampType, TimeType), (TIMESTAMP,), '("TIMESTAMP" or "TIME")')
ANY_TIMESTAMP = Accept((TimestampType, TimestampNTZType), (TIMESTAMP,), '"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)"')
CURRENT_TIMESTAMP = Call("current_timestamp", (), TIMESTAMP, False)


# ---- the clock -------------------------------------------------------------------------------------
def _now(evaluation: Evaluation) -> pl.Expr:
    return pl.lit(evaluation.context.now_micros, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _local_now(evaluation: Evaluation) -> pl.Expr:
    return zones.local_time(_now(evaluation), evaluation.context.time_zone)


def _today(evaluation: Evaluation) -> pl.Expr:
    return _local_now(evaluation).dt.date()


def _session_zone(evaluation: Evaluation) -> pl.Expr:
    return pl.lit(evaluation.context.time_zone)


# ---- fields ----------------------------------------------------------------------------------------
def date_field(read: Callable[[pl.Expr], pl.Expr]) -> Callable[[Evaluation, pl.Expr], pl.Expr]:
    """A body that reads an int from a date."""
    return lambda evaluation, date: read(date).cast(pl.Int32)


DATE_FIELDS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "year": lambda d: d.dt.year(),
    "quarter": lambda d: d.dt.quarter(),
    "month": lambda d: d.dt.month(),
    "day": lambda d: d.dt.day(),
    "dayofyear": lambda d: d.dt.ordinal_day(),
    "dayofweek": lambda d: d.dt.weekday() % 7 + 1,
    "weekday": lambda d: d.dt.weekday() - 1,
    "weekofyear": lambda d: d.dt.week(),
}
_ALIASES = {"day": ("dayofmonth",)}
TIME_FIELDS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "hour": lambda t: t.dt.hour(),
    "minute": lambda t: t.dt.minute(),
    "second": lambda t: t.dt.second(),
}


def wall_clock(evaluation: Evaluation, value: pl.Expr, dtype: DataType) -> pl.Expr:
    """A timestamp's local time in the session's zone; times and zoneless timestamps as they are."""
    return zones.local_time(value, evaluation.context.time_zone) if isinstance(dtype, TimestampType) else value


def _time_field(read: Callable[[pl.Expr], pl.Expr]) -> Callable[[Evaluation, pl.Expr], pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
        return read(wall_clock(evaluation, value, dtype_of(evaluation.call.args[0]))).cast(pl.Int32)

    return body


def _name(format: str) -> Callable[[Evaluation, pl.Expr], pl.Expr]:
    return lambda evaluation, date: date.dt.strftime(format)


# ---- steps -----------------------------------------------------------------------------------------
def _shift(sign: int) -> Callable[[Evaluation, pl.Expr, pl.Expr], pl.Expr]:
    def body(evaluation: Evaluation, date: pl.Expr, days: pl.Expr) -> pl.Expr:
        moved = date.to_physical().cast(pl.Int64) + days.cast(pl.Int64) * sign
        wrapped = (moved + (1 << 31)) % (1 << 32) - (1 << 31)  # Java's int arithmetic
        return wrapped.cast(pl.Int32).cast(pl.Date)

    return body


def _resolve_days(resolution: Any) -> Expression:
    """Days are int or smaller; text is cast, a bigint refused."""
    days = resolution.args[1]
    if isinstance(dtype_of(days), StringType) and not resolution.ansi:
        return _legacy_days(resolution, days)
    if isinstance(dtype_of(days), StringType | NullType):
        return resolution.call((resolution.coerce(0, DATE), resolution.coerce(1, INTEGER)))  # type: ignore[no-any-return]
    return resolution.finish()  # type: ignore[no-any-return]


def _legacy_days(resolution: Any, days: Expression) -> Expression:
    """Without ANSI a text for days is a constant that holds an integer."""
    if not isinstance(days, Literal):
        raise resolution.unexpected(1, '("INT" or "SMALLINT" or "TINYINT")')
    try:
        whole = int(str(days.value))
    except ValueError:
        raise resolution.error("SECOND_FUNCTION_ARGUMENT_NOT_INTEGER", functionName=resolution.called_as) from None
    return resolution.call((resolution.coerce(0, DATE), Literal(whole, INTEGER)))  # type: ignore[no-any-return]


def _date_diff(evaluation: Evaluation, end: pl.Expr, start: pl.Expr) -> pl.Expr:
    return end.to_physical() - start.to_physical()


def _add_months(evaluation: Evaluation, date: pl.Expr, months: pl.Expr) -> pl.Expr:
    def move(rows: Rows, dates: pl.Series, amounts: pl.Series) -> pl.Series:
        return column(add_months(numbers(dates), numbers(amounts)), pl.Date(), dates, amounts)

    return evaluation.columnwise(move, date, months)


def _months_between(evaluation: Evaluation, late: pl.Expr, early: pl.Expr, rounded: pl.Expr) -> pl.Expr:
    zone = evaluation.context.time_zone

    def between(rows: Rows, ends: pl.Series, starts: pl.Series, rounding: pl.Series) -> pl.Series:
        (days1, seconds1), (days2, seconds2) = [_days_and_seconds(zones.local_series(s, zone)) for s in (ends, starts)]
        year1, month1, day1 = year_month_day(days1)
        year2, month2, day2 = year_month_day(days2)
        months = ((year1 * 12 + month1) - (year2 * 12 + month2)).astype(np.float64)
        last = (year_month_day(days1 + 1)[2] == 1) & (year_month_day(days2 + 1)[2] == 1)
        rest = (day1 - day2) * 86400 + seconds1 - seconds2
        exact = months + rest / (31 * 86400.0)
        full = np.where(rounding.fill_null(True).to_numpy(), np.floor(exact * 1e8 + 0.5) / 1e8, exact)
        values = pl.Series(np.where((day1 == day2) | last, months, full))
        known = ends.is_not_null() & starts.is_not_null() & rounding.is_not_null()
        return values.zip_with(known, pl.Series([None], dtype=pl.Float64))

    return evaluation.columnwise(between, late, early, rounded)


def _days_and_seconds(local: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    micros = numbers(local)
    days = micros // DAY_MICROS
    return days, (micros - days * DAY_MICROS) // 1_000_000


_WEEKDAYS = {
    name: position
    for position, names in enumerate([
        ("MO", "MON", "MONDAY"), ("TU", "TUE", "TUESDAY"), ("WE", "WED", "WEDNESDAY"), ("TH", "THU", "THURSDAY"),
        ("FR", "FRI", "FRIDAY"), ("SA", "SAT", "SATURDAY"), ("SU", "SUN", "SUNDAY"),
    ])
    for name in names
}  # fmt: skip


def _next_day(evaluation: Evaluation, date: pl.Expr, day: pl.Expr) -> pl.Expr:
    ansi = evaluation.call.mode is EvalMode.ANSI

    def next_day(rows: Rows, dates: pl.Series, names: pl.Series) -> pl.Series:
        weekday = names.str.to_uppercase().replace_strict(_WEEKDAYS, default=None, return_dtype=pl.Int64)
        unknown = names.is_not_null() & weekday.is_null() & dates.is_not_null()
        if ansi:
            rows.refuse(unknown, _illegal_day, names)
        days = numbers(dates)
        ahead = (numbers(weekday) - (days + 3)) % 7  # 1970-01-01 was a Thursday, number 3
        return column(days + np.where(ahead == 0, 7, ahead), pl.Date(), dates, weekday)

    return evaluation.columnwise(next_day, date, day)


def _illegal_day(name: str) -> SparkError:
    return spark_error("ILLEGAL_DAY_OF_WEEK", ErrorKind.ILLEGAL_ARGUMENT, string=name)


def _last_day(evaluation: Evaluation, date: pl.Expr) -> pl.Expr:
    return date.dt.month_end()


# ---- truncation ------------------------------------------------------------------------------------
_LEVELS = {
    **dict.fromkeys(("YEAR", "YYYY", "YY"), "year"), "QUARTER": "quarter", "WEEK": "week",
    **dict.fromkeys(("MONTH", "MM", "MON"), "month"),
}  # fmt: skip
_SPANS = {"MICROSECOND": 1, "MILLISECOND": 1000, "SECOND": 1_000_000, "MINUTE": 60_000_000, "HOUR": 3_600_000_000,
          "DAY": DAY_MICROS, "DD": DAY_MICROS}  # fmt: skip


def truncate_days(days: np.ndarray, level: str) -> np.ndarray:
    """Days since 1970 back to the start of their year, quarter, month or week."""
    if level == "week":
        return days - (days + 3) % 7  # type: ignore[no-any-return]
    step = {"year": 12, "quarter": 3, "month": 1}[level]
    return first_days(months_of(days) // step * step)


def _by_level(
    values: pl.Series, levels: pl.Series, truncate: Callable[[pl.Series, str], pl.Series | None]
) -> pl.Series:
    """Each level's truncation, put together; NULL for a level that is none."""
    result = pl.Series([None], dtype=values.dtype).new_from_index(0, len(values))
    for level in levels.unique().drop_nulls().to_list():
        truncated = truncate(values, level.upper())
        if truncated is not None:
            result = truncated.zip_with((levels == level).fill_null(False), result)
    return result


def _trunc(evaluation: Evaluation, date: pl.Expr, level: pl.Expr) -> pl.Expr:
    def one(dates: pl.Series, name: str) -> pl.Series | None:
        known = _LEVELS.get(name)
        return None if known is None else column(truncate_days(numbers(dates), known), pl.Date(), dates)

    return evaluation.columnwise(lambda rows, dates, levels: _by_level(dates, levels, one), date, level)


def _date_trunc(evaluation: Evaluation, level: pl.Expr, timestamp: pl.Expr) -> pl.Expr:
    zone = evaluation.context.time_zone

    def one(instants: pl.Series, name: str) -> pl.Series | None:
        local = numbers(zones.local_series(instants, zone))
        if name in _LEVELS:
            floor = truncate_days(local // DAY_MICROS, _LEVELS[name]) * DAY_MICROS
        elif name in _SPANS:
            floor = local - local % _SPANS[name]
            if _SPANS[name] < 60_000_000:
                return column(numbers(instants) - local % _SPANS[name], instants.dtype, instants)
        else:
            return None
        return zones.instant_series(column(floor, pl.Datetime("us"), instants), zone)

    def run(rows: Rows, levels: pl.Series, instants: pl.Series) -> pl.Series:
        return _by_level(instants, levels, one)

    return evaluation.columnwise(run, level, timestamp)


# ---- units -----------------------------------------------------------------------------------------
UNIT_MONTHS = {"YEAR": 12, "QUARTER": 3, "MONTH": 1}
UNIT_DAYS = {"WEEK": 7, "DAY": 1, "DAYOFYEAR": 1}
UNIT_MICROS = {"HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000, "MILLISECOND": 1000, "MICROSECOND": 1}


def add_to_timestamp(
    stamps: pl.Series, months: np.ndarray, days: np.ndarray, micros: np.ndarray, zone: str | None
) -> pl.Series:
    """Timestamps moved by months, then days, on the wall clock, then by microseconds on the time line."""
    physical = numbers(stamps)
    moved = (months != 0) | (days != 0)
    if moved.any():
        local = physical if zone is None else numbers(zones.local_series(stamps, zone))
        day = local // DAY_MICROS
        walked = (add_months(day, months) + days) * DAY_MICROS + (local - day * DAY_MICROS)
        if zone is not None:
            walked = numbers(zones.instant_series(column(walked, pl.Datetime("us"), stamps), zone))
        physical = np.where(moved, walked, physical)
    return column(physical + micros, stamps.dtype, stamps)


def zone_for(evaluation: Evaluation, dtype: DataType) -> str | None:
    """The zone of a timestamp's wall clock: the session's, none for a timestamp without zone."""
    return evaluation.context.time_zone if isinstance(dtype, TimestampType) else None


def _timestamp_add(evaluation: Evaluation, unit: pl.Expr, quantity: pl.Expr, stamp: pl.Expr) -> pl.Expr:
    name = _unit(evaluation)
    zone = zone_for(evaluation, dtype_of(evaluation.call.args[2]))

    def add(rows: Rows, amounts: pl.Series, stamps: pl.Series) -> pl.Series:
        count, nothing = numbers(amounts), np.zeros(len(amounts), dtype=np.int64)
        span = (
            UNIT_MICROS.get(name) or UNIT_DAYS.get(name, 0) * DAY_MICROS or UNIT_MONTHS.get(name, 1) * 2_629_746_000_000
        )
        rough = numbers(stamps).astype(np.float64) + count.astype(np.float64) * float(span)
        bad = np.abs(rough) > 9.2e18
        rows.refuse(pl.Series(bad), _overflow(name), amounts, stamps)
        count = np.where(bad, 0, count)
        months = count * UNIT_MONTHS[name] if name in UNIT_MONTHS else nothing
        days = count * UNIT_DAYS[name] if name in UNIT_DAYS else nothing
        micros = count * UNIT_MICROS[name] if name in UNIT_MICROS else nothing
        moved = add_to_timestamp(stamps, months, days, micros, zone)
        return moved.zip_with(amounts.is_not_null(), pl.Series([None], dtype=moved.dtype))

    return evaluation.columnwise(add, quantity, stamp)


def _overflow(unit: str) -> Callable[..., SparkError]:
    def error(amount: int, stamp: datetime) -> SparkError:
        kind = "TIMESTAMP" if stamp.tzinfo else "TIMESTAMP_NTZ"
        operation = f"add {amount}L {unit} to {kind} '{stamp.replace(tzinfo=None)}'"
        return spark_error("DATETIME_OVERFLOW", ErrorKind.ARITHMETIC, operation=operation)

    return error


def _unit(evaluation: Evaluation) -> str:
    first = evaluation.call.args[0]
    return str(first.value).upper() if isinstance(first, Literal) else ""


def _timestamp_diff(evaluation: Evaluation, unit: pl.Expr, start: pl.Expr, end: pl.Expr) -> pl.Expr:
    name = _unit(evaluation)
    zone = evaluation.context.time_zone

    def between(rows: Rows, starts: pl.Series, ends: pl.Series) -> pl.Series:
        early, late = [numbers(zones.local_series(s, zone)) for s in (starts, ends)]
        if name in UNIT_MONTHS:
            count = whole_months(early, late)
            divided = np.sign(count) * (np.abs(count) // UNIT_MONTHS[name])
        else:
            span = UNIT_MICROS.get(name) or UNIT_DAYS[name] * DAY_MICROS
            apart = late - early
            divided = np.sign(apart) * (np.abs(apart) // span)
        return column(divided, pl.Int64(), starts, ends)

    return evaluation.columnwise(between, start, end)


def whole_months(early: np.ndarray, late: np.ndarray) -> np.ndarray:
    """Months from one local time to another, cut towards zero."""
    months1, months2 = months_of(early // DAY_MICROS), months_of(late // DAY_MICROS)
    rest1, rest2 = early - first_days(months1) * DAY_MICROS, late - first_days(months2) * DAY_MICROS
    months = months2 - months1
    return months - ((months > 0) & (rest2 < rest1)) + ((months < 0) & (rest2 > rest1))  # type: ignore[no-any-return]


# ---- epochs ----------------------------------------------------------------------------------------
def _unix(divisor: int) -> Callable[[Evaluation, pl.Expr], pl.Expr]:
    return lambda evaluation, stamp: stamp.to_physical().floordiv(divisor)


def _same_type_or(default: DataType, position: int) -> Callable[[tuple[Expression, ...]], DataType]:
    def result(args: tuple[Expression, ...]) -> DataType:
        given = dtype_of(args[position])
        return given if isinstance(given, TimestampNTZType | TimestampType) else default

    return result


def _unit_display(name: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({', '.join(names)})"


_UNIT = Parameter("unit", Accept((STRING_INPUT.classes[0],), STRING_INPUT.targets, '"STRING"', foldable=True))
_FIELDS_OF_DATES = tuple(
    Function((name, *_ALIASES.get(name, ())), parameters(("date", DATE_INPUT)), INTEGER, date_field(read))
    for name, read in DATE_FIELDS.items()
)
_FIELDS_OF_TIMES = tuple(
    Function((name,), parameters(("expr", TIMESTAMP_OR_TIME)), INTEGER, _time_field(read))
    for name, read in TIME_FIELDS.items()
)

FUNCTIONS: tuple[Function, ...] = (
    Function(("current_timestamp", "now"), Signature(), TIMESTAMP, _now, nullable=never_nullable),
    Function(("localtimestamp",), Signature(), TIMESTAMP_NTZ, _local_now, nullable=never_nullable),
    Function(
        ("current_date", "curdate"), Signature(), DATE, _today, nullable=never_nullable,
        display=lambda names: "current_date()",
    ),
    Function(("current_timezone",), Signature(), STRING, _session_zone, nullable=never_nullable),
    *_FIELDS_OF_DATES,
    *_FIELDS_OF_TIMES,
    Function(("dayname",), parameters(("date", DATE_INPUT)), STRING, _name("%a")),
    Function(("monthname",), parameters(("date", DATE_INPUT)), STRING, _name("%b")),
    *[
        Function(
            names, parameters(("start_date", DATE_INPUT), ("num_days", SMALL_INT)), DATE, _shift(sign),
            resolve=_resolve_days, display=lambda shown, name=names[0]: f"{name}({', '.join(shown)})",  # type: ignore[misc]
        )
        for names, sign in ((("date_add", "dateadd"), 1), (("date_sub",), -1))
    ],
    Function(("datediff",), parameters(("end", DATE_INPUT), ("start", DATE_INPUT)), INTEGER, _date_diff),
    Function(("date_diff",), parameters(("end", DATE_INPUT), ("start", DATE_INPUT)), INTEGER, _date_diff),
    Function(("add_months",), parameters(("start_date", DATE_INPUT), ("num_months", INT_INPUT)), DATE, _add_months),
    Function(
        ("months_between",),
        parameters(
            ("timestamp1", TIMESTAMP_INPUT),
            ("timestamp2", TIMESTAMP_INPUT),
            Parameter("roundOff", accepts_type(BOOLEAN), Literal(True, BOOLEAN)),
        ),
        DOUBLE,
        _months_between,
        display=with_defaults("months_between", 3, "true"),
    ),
    Function(("last_day",), parameters(("date", DATE_INPUT)), DATE, _last_day),
    Function(
        ("next_day",), parameters(("start_date", DATE_INPUT), ("day_of_week", STRING_INPUT)), DATE, _next_day,
        nullable=always_nullable,
    ),
    Function(
        ("trunc",), parameters(("date", DATE_INPUT), ("fmt", STRING_INPUT)), DATE, _trunc, nullable=always_nullable
    ),
    Function(
        ("date_trunc",), parameters(("fmt", STRING_INPUT), ("ts", TIMESTAMP_INPUT)), TIMESTAMP, _date_trunc,
        nullable=always_nullable,
    ),
    Function(
        ("timestampadd",),
        parameters(_UNIT, ("quantity", Accept((LongType,), (LONG,), '"BIGINT"')), ("timestamp", ANY_TIMESTAMP)),
        _same_type_or(TIMESTAMP, 2), _timestamp_add, nullable=any_argument_nullable,
    ),
    Function(
        ("timestampdiff",), parameters(_UNIT, ("start", TIMESTAMP_INPUT), ("end", TIMESTAMP_INPUT)), LONG,
        _timestamp_diff,
    ),
    Function(("unix_seconds",), parameters(("timestamp", TIMESTAMP_INPUT)), LONG, _unix(1_000_000)),
    Function(("unix_millis",), parameters(("timestamp", TIMESTAMP_INPUT)), LONG, _unix(1000)),
    Function(("unix_micros",), parameters(("timestamp", TIMESTAMP_INPUT)), LONG, _unix(1)),
    Function(("unix_date",), parameters(("date", DATE_INPUT)), INTEGER, lambda evaluation, date: date.to_physical()),
    Function(
        ("date_from_unix_date",), parameters(("days", INT_INPUT)), DATE,
        lambda evaluation, days: days.cast(pl.Int32).cast(pl.Date),
    ),
)  # fmt: skip
