"""Casts to and from dates, timestamps and times."""

from __future__ import annotations

import re
from datetime import date

import polars as pl

from voltray.executors.functions.cast_numeric import FLOATING, INTEGRAL, narrowed
from voltray.executors.functions.cast_string import TRIMMED
from voltray.executors.functions.casting import Casting, Conversion, invalid_input
from voltray.executors.functions.columns import by_unique, limits_of, null_where
from voltray.executors.functions.decimal import fitted, integer_quotient, unscaled_of
from voltray.executors.functions.evaluation import Rows
from voltray.executors.functions.zones import instant_of, instant_series, local_time, zone_of
from voltray.proto.expressions import EvalMode, Literal
from voltray.proto.failures import SparkError
from voltray.proto.types import (
    DOUBLE,
    LONG,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    FloatType,
    LongType,
    StringType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    carrier,
)  # fmt: skip

MICROS = 1_000_000
DAY_MICROS = 86_400 * MICROS
_EPOCH = date(1970, 1, 1).toordinal()


# ---- special words ---------------------------------------------------------------------------------------
_WORDS = ("epoch", "now", "today", "yesterday", "tomorrow")


def special_moment(casting: Casting) -> pl.Expr | None:
    """The local time that a constant like 'today' names; only constants are so read."""
    args = casting.evaluation.call.args
    word = args[0].value.strip().lower() if isinstance(args[0], Literal) and isinstance(args[0].value, str) else ""
    if word not in _WORDS:
        return None
    micros = 0 if word == "epoch" else casting.evaluation.context.now_micros
    instant = pl.lit(micros, pl.Int64).cast(pl.Datetime("us", "UTC"))
    if word == "epoch":
        return instant.dt.replace_time_zone(None)
    local = local_time(instant, casting.time_zone)
    if word == "now":
        return local
    days = {"today": 0, "yesterday": -1, "tomorrow": 1}[word]
    return local.dt.truncate("1d") + pl.duration(days=days, time_unit="us")


# ---- strings to dates -----------------------------------------------------------------------------------
_DATE = re.compile(r"([+-]?)(\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?", re.ASCII | re.DOTALL)


def string_to_date(casting: Casting, value: pl.Expr) -> pl.Expr:
    """``[+-]yyyy[yyy][-[m]m[-[d]d[ T...]]]``."""
    moment = special_moment(casting)
    if moment is not None:
        return moment.dt.date()

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return casting.refuse_nulls(rows, read_dates(column), column)

    return casting.columnwise(run, value)


def read_dates(column: pl.Series) -> pl.Series:
    """Strings as dates, NULL where Spark can't read one."""
    usual = column.str.contains(_USUAL_DATE).fill_null(False)
    if usual.sum() == len(column) - column.null_count():
        return column.str.to_date("%Y-%m-%d", strict=False)
    found = null_where(column, ~usual).str.to_date("%Y-%m-%d", strict=False)
    rest = (~usual & column.is_not_null()).arg_true()
    days = by_unique(column.gather(rest), read_days, pl.Int32())
    return found.scatter(rest, days.cast(pl.Date))


def read_days(text: str) -> int | None:
    """One string as days since 1970, None if it is no date."""
    match = _DATE.fullmatch(text.strip(TRIMMED))
    if match is None:
        return None
    sign, year, month, day = match.groups()
    days = days_of(int(sign + year), int(month or 1), int(day or 1))
    return days if days is not None and -(1 << 31) <= days < (1 << 31) else None


_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_of(year: int, month: int, day: int) -> int | None:
    """Days since 1970 of a proleptic Gregorian date of any year, None if there is no such day."""
    if not 1 <= month <= 12 or day < 1:
        return None
    leap = month == 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    if day > _MONTH_DAYS[month - 1] + leap:
        return None
    cycles, within = divmod(year - 2000, 400)  # the calendar repeats every 400 years
    return date(2000 + within, month, day).toordinal() - _EPOCH + cycles * 146_097


# ---- strings to timestamps --------------------------------------------------------------------------------
_TIMESTAMP = re.compile(
    r"(?:([+-]?)(\d{4,6})(?:-(\d{1,2})(?:-(\d{1,2}))?)?)?"
    r"(?:(?P<separator>[ T]|^)(?:(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?)?\s*(?P<zone>[A-Za-z+-].*|$))?",
    re.ASCII,
)
_USUAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?$"
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-5][0-9]$"
_USUAL_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def string_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Date, time and zone, each as far as it is given."""
    zone = casting.time_zone
    moment = special_moment(casting)
    if moment is not None:
        epoch = casting.evaluation.call.args[0].value.strip().lower() == "epoch"  # type: ignore[attr-defined]
        return moment.dt.replace_time_zone("UTC") if epoch else instant_of(moment, zone)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return casting.refuse_nulls(rows, read_timestamps(column, zone, casting.evaluation.context.now_micros), column)

    return casting.columnwise(run, value)


def string_to_timestamp_ntz(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Date and time; a zone in the text is read and dropped."""
    moment = special_moment(casting)
    if moment is not None:
        return moment

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return casting.refuse_nulls(rows, read_local_times(column), column)

    return casting.columnwise(run, value)


def _usual_times(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Local times of the texts in the most common forms, and which of the others remain."""
    sizes = column.str.len_bytes()
    if sizes.min() == sizes.max() == 19 and column.str.contains(_PLAIN).all():
        found = column.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
        return found, pl.Series([False]).new_from_index(0, len(column))
    x = pl.col("x")
    spaced = x.str.replace("T", " ", literal=True)
    long = pl.when(x.str.contains(_USUAL)).then(spaced)
    short = pl.when(x.str.contains(_USUAL_DATE)).then(x)
    frame = column.to_frame("x").select(
        t=long.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False),
        d=short.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
        known=(x.str.contains(_USUAL) | x.str.contains(_USUAL_DATE)).fill_null(True),
    )
    found = frame.select(pl.coalesce("t", "d")).to_series()
    return found, ~frame.get_column("known")


def read_timestamps(column: pl.Series, time_zone: str, now_micros: int) -> pl.Series:
    """Strings as instants; local ones are in the session's zone."""
    local, remain = _usual_times(column)
    found = instant_series(local, time_zone)
    positions = remain.arg_true()
    if not len(positions):
        return found
    rest = column.gather(positions)
    parsed = [None if t is None else read_time_parts(t) for t in rest.to_list()]
    instants = [None if p is None else _instant(p, time_zone, now_micros) for p in parsed]
    return found.scatter(positions, pl.Series(instants, dtype=pl.Int64).cast(found.dtype))


def read_local_times(column: pl.Series) -> pl.Series:
    """Strings as wall-clock times; texts of a time alone are refused."""
    found, remain = _usual_times(column)
    positions = remain.arg_true()
    if not len(positions):
        return found
    values = by_unique(column.gather(positions), _local_micros, pl.Int64())
    return found.scatter(positions, values.cast(found.dtype))


Parts = tuple["int | None", int, "str | None"]
"""Days since 1970 (None: a time alone), microseconds of the day, zone."""


def read_time_parts(text: str) -> Parts | None:
    """One string taken apart, None if it is no timestamp."""
    trimmed = text.strip(TRIMMED)
    match = _TIMESTAMP.fullmatch(trimmed)
    if match is None or not trimmed:
        return _read_bare_time(trimmed)
    sign, year, month, day, separator, hour, minute, second, fraction, zone = match.groups()
    if year is None:
        return _read_bare_time(trimmed)
    if separator is not None and (day is None or (hour is None and (zone or separator == "T"))):
        return None
    days = days_of(int(sign + year), int(month or 1), int(day or 1))
    micros = _micros_of_day(hour, minute, second, fraction)
    if days is None or micros is None:
        return None
    return days, micros, _zone_text(zone)


_BARE_TIME = re.compile(r"T?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?\s*([A-Za-z+-].*)?", re.ASCII)
_BARE_HOUR = re.compile(r"T(\d{1,2})\s*([A-Za-z+-].*)?", re.ASCII)


def _read_bare_time(text: str) -> Parts | None:
    match = _BARE_TIME.fullmatch(text)
    if match is None:
        hour_only = _BARE_HOUR.fullmatch(text)
        micros = _micros_of_day(hour_only[1], None, None, None) if hour_only else None
        return None if micros is None or hour_only is None else (None, micros, _zone_text(hour_only[2]))
    hour, minute, second, fraction, zone = match.groups()
    micros = _micros_of_day(hour, minute, second, fraction)
    return None if micros is None else (None, micros, _zone_text(zone))


def _micros_of_day(hour: str | None, minute: str | None, second: str | None, fraction: str | None) -> int | None:
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        return None
    return ((h * 60 + m) * 60 + s) * MICROS + int((fraction or "")[:6].ljust(6, "0"))


def _zone_text(zone: str | None) -> str | None:
    return zone.strip() if zone and zone.strip() else None


def _instant(parts: Parts, session_zone: str, now_micros: int) -> int | None:
    days, micros, zone = parts
    try:
        applied = zone if zone is not None else session_zone
        zone_of(applied)
    except SparkError:
        return None
    if days is None:
        now = pl.Series([now_micros], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")).to_frame("x")
        today = now.select(local_time(pl.col("x"), applied).dt.date().to_physical()).item()
        days = int(today)
    local = days * DAY_MICROS + micros
    if not -(1 << 63) <= local < (1 << 63):
        return None
    series = pl.Series([local], dtype=pl.Int64).cast(pl.Datetime("us"))
    return int(instant_series(series, applied).to_physical().item())


def _local_micros(text: str) -> int | None:
    parts = read_time_parts(text)
    if parts is None or parts[0] is None:
        return None
    try:
        zone_of(parts[2] or "UTC")
    except SparkError:
        return None
    return parts[0] * DAY_MICROS + parts[1]


# ---- among dates and timestamps -----------------------------------------------------------------------------
def date_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Midnight in the session's zone."""
    return instant_of(value.cast(pl.Datetime("us")), casting.time_zone)


def date_to_timestamp_ntz(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Midnight."""
    return value.cast(pl.Datetime("us"))


def timestamp_to_date(casting: Casting, value: pl.Expr) -> pl.Expr:
    """The day in the session's zone."""
    return local_time(value, casting.time_zone).dt.date()


def timestamp_ntz_to_date(casting: Casting, value: pl.Expr) -> pl.Expr:
    """The day."""
    return value.dt.date()


def timestamp_to_ntz(casting: Casting, value: pl.Expr) -> pl.Expr:
    """The wall-clock time in the session's zone."""
    return local_time(value, casting.time_zone)


def ntz_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """The instant of the wall-clock time in the session's zone."""
    return instant_of(value, casting.time_zone)


# ---- numbers ---------------------------------------------------------------------------------------------------
def integral_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Seconds since 1970, saturating."""
    low, high = limits_of(pl.Int64())
    seconds = value.cast(pl.Int64).clip(-(-low // MICROS), high // MICROS)
    micros = seconds * MICROS
    if isinstance(casting.source, LongType):
        micros = (
            pl.when(value > high // MICROS).then(pl.lit(high, pl.Int64))
            .when(value < -(-low // MICROS)).then(pl.lit(low, pl.Int64)).otherwise(micros)
        )  # fmt: skip
    return micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def floating_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Seconds with a fraction; NaN and infinities are refused."""
    low, high = limits_of(pl.Int64())

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        doubles = column.cast(pl.Float64)
        bad = doubles.is_nan() | doubles.is_infinite()
        scaled = doubles * float(MICROS)
        beyond = ~bad & ((scaled >= float(high)) | (scaled < float(low)))
        if casting.raises:
            rows.refuse(bad, lambda cell: invalid_input(cell, casting.source, casting.target), doubles)
            to_long = Casting(casting.evaluation, DOUBLE, LONG, casting.mode)
            rows.refuse(beyond, to_long.overflow, scaled)
        micros = scaled.cast(pl.Int64, strict=False)
        return null_where(micros, bad).cast(pl.Datetime("us", "UTC"))

    return casting.columnwise(run, value)


def decimal_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Seconds with a fraction, cut to microseconds."""
    assert isinstance(casting.source, DecimalType)
    scale = casting.source.scale

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        numbers = unscaled_of(column)
        if scale <= 6:
            micros = numbers * pl.Series([10 ** (6 - scale)], dtype=pl.Int128)
        else:
            cut = integer_quotient(pl.col("x"), pl.lit(10 ** (scale - 6), pl.Int128))
            micros = numbers.to_frame("x").select(cut).to_series()
        return micros.cast(pl.Int64, wrap_numerical=True).cast(pl.Datetime("us", "UTC"))

    return casting.columnwise(run, value)


def boolean_to_timestamp(casting: Casting, value: pl.Expr) -> pl.Expr:
    """One microsecond or none (legacy)."""
    return value.cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def timestamp_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Whole seconds since 1970, rounded down."""
    seconds = value.to_physical() // MICROS
    if isinstance(casting.target, LongType):
        return seconds
    if casting.mode is EvalMode.LEGACY:
        return seconds.cast(carrier(casting.target), strict=False)

    def run(rows: Rows, numbers: pl.Series, source: pl.Series) -> pl.Series:
        return narrowed(casting, rows, numbers, source)

    return casting.columnwise(run, seconds, value)


def timestamp_to_floating(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Seconds since 1970 with a fraction."""
    micros = value.to_physical()  # not over a bare constant: Polars would multiply by its reciprocal
    seconds = micros / pl.when(micros.is_not_null()).then(pl.lit(float(MICROS)))
    return seconds.cast(pl.Float32) if isinstance(casting.target, FloatType) else seconds


def timestamp_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Seconds since 1970 with a fraction."""
    target = casting.target
    assert isinstance(target, DecimalType)
    mode = EvalMode.ANSI if casting.raises else EvalMode.TRY

    def run(rows: Rows, micros: pl.Series) -> pl.Series:
        return fitted(rows, micros.cast(pl.Int128), 6, target, mode)

    return casting.columnwise(run, value.to_physical())


def timestamp_to_boolean(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Any instant but 1970-01-01 00:00:00 UTC is true (legacy)."""
    return value.to_physical() != 0


def to_null(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Always NULL: what legacy mode gives for dates as numbers."""
    return pl.when(value.is_null() & value.is_not_null()).then(pl.lit(None, carrier(casting.target)))


# ---- time of day ----------------------------------------------------------------------------------------------
_CLOCK = re.compile(r"T?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9}))?)?(?:\s*([AaPp])[Mm])?", re.ASCII)
NANOS = 1_000_000_000


def read_time(text: str) -> int | None:
    """One string as nanoseconds of the day, None if it is no time."""
    match = _CLOCK.fullmatch(text.strip(TRIMMED))
    if match is None:
        return None
    hour, minute, second, fraction, half = match.groups()
    h = int(hour)
    if half is not None:
        if not 1 <= h <= 12:
            return None
        h = h % 12 + (12 if half in "Pp" else 0)
    micros = _micros_of_day(str(h), minute, second, fraction)
    return None if micros is None else micros * 1000


def string_to_time(casting: Casting, value: pl.Expr) -> pl.Expr:
    """``[h]h:[m]m[:[s]s[.ffffff]][ AM|PM]``."""

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        found = by_unique(column, read_time, pl.Int64()).cast(pl.Time)
        return casting.refuse_nulls(rows, found, column)

    return casting.columnwise(run, value)


def time_to_time(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Cut to fewer fractional digits."""
    digits = getattr(casting.target, "precision", 6)
    unit = int(10 ** (9 - digits))
    return (value.to_physical() // unit * unit).cast(pl.Time)


def time_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Whole seconds of the day."""

    def run(rows: Rows, numbers: pl.Series, source: pl.Series) -> pl.Series:
        return narrowed(casting, rows, numbers, source)

    return casting.columnwise(run, value.to_physical() // NANOS, value)


def time_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Seconds of the day with a fraction."""
    target = casting.target
    assert isinstance(target, DecimalType)
    mode = EvalMode.ANSI if casting.raises else EvalMode.TRY

    def run(rows: Rows, nanos: pl.Series) -> pl.Series:
        return fitted(rows, nanos.cast(pl.Int128), 9, target, mode)

    return casting.columnwise(run, value.to_physical())


def _table() -> dict[tuple[type[DataType], type[DataType]], Conversion]:
    table: dict[tuple[type[DataType], type[DataType]], Conversion] = {
        (StringType, DateType): string_to_date,
        (StringType, TimestampType): string_to_timestamp,
        (StringType, TimestampNTZType): string_to_timestamp_ntz,
        (StringType, TimeType): string_to_time,
        (TimeType, TimeType): time_to_time,
        (TimeType, DecimalType): time_to_decimal,
        **{(TimeType, t): time_to_integral for t in INTEGRAL},
        (DateType, TimestampType): date_to_timestamp,
        (DateType, TimestampNTZType): date_to_timestamp_ntz,
        (TimestampType, DateType): timestamp_to_date,
        (TimestampNTZType, DateType): timestamp_ntz_to_date,
        (TimestampType, TimestampNTZType): timestamp_to_ntz,
        (TimestampNTZType, TimestampType): ntz_to_timestamp,
        (DecimalType, TimestampType): decimal_to_timestamp,
        (BooleanType, TimestampType): boolean_to_timestamp,
        (TimestampType, DecimalType): timestamp_to_decimal,
        (TimestampType, BooleanType): timestamp_to_boolean,
        (DateType, BooleanType): to_null,
        (DateType, DecimalType): to_null,
    }
    table |= {(t, TimestampType): integral_to_timestamp for t in INTEGRAL}
    table |= {(t, TimestampType): floating_to_timestamp for t in FLOATING}
    table |= {(TimestampType, t): timestamp_to_integral for t in INTEGRAL}
    table |= {(TimestampType, t): timestamp_to_floating for t in FLOATING}
    table |= {(DateType, t): to_null for t in (*INTEGRAL, *FLOATING)}
    return table


CASTS = _table()
