"""Casts to and from intervals."""

from __future__ import annotations

import re
from functools import partial

import polars as pl

from voltray.executors.functions.cast_numeric import INTEGRAL, narrowed
from voltray.executors.functions.cast_string import TRIMMED
from voltray.executors.functions.casting import Casting, Conversion
from voltray.executors.functions.columns import by_unique, limits_of
from voltray.executors.functions.decimal import fitted, integer_quotient, rescale_int, unscaled_of
from voltray.executors.functions.evaluation import Rows
from voltray.proto.expressions import EvalMode
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    CalendarIntervalType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    StringType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

UNIT_MICROS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)
_DAY_TIME, _YEAR_MONTH = ("DAY", "HOUR", "MINUTE", "SECOND"), ("YEAR", "MONTH")


def _fields(dtype: DataType) -> tuple[int, int]:
    assert isinstance(dtype, (DayTimeIntervalType, YearMonthIntervalType))
    return dtype.startField or 0, dtype.endField or 0


# ---- numbers --------------------------------------------------------------------------------------------
def _unit(dtype: DataType) -> int:
    """What one of the type's last field counts: microseconds or months."""
    _, end = _fields(dtype)
    return UNIT_MICROS[end] if isinstance(dtype, DayTimeIntervalType) else (12, 1)[end]


def integral_to_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """So many of the interval's unit."""
    counter = pl.Int64() if isinstance(casting.target, DayTimeIntervalType) else pl.Int32()
    low, high = limits_of(counter)
    unit = _unit(casting.target)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        wide = column.cast(pl.Int128) * pl.Series([unit], dtype=pl.Int128)
        bad = (wide < pl.Series([low], dtype=pl.Int128)) | (wide > pl.Series([high], dtype=pl.Int128))
        if casting.raises_always:
            rows.refuse(bad, casting.overflow, column)
        return wide.cast(counter, strict=False).cast(carrier(casting.target))

    return casting.columnwise(run, value)


def interval_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """How many of the interval's unit, truncated."""
    unit = _unit(casting.source)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        counts = column.to_physical().cast(pl.Int64)
        whole = counts.to_frame("x").select(integer_quotient(pl.col("x"), pl.lit(unit, pl.Int64))).to_series()
        if casting.mode is EvalMode.LEGACY:
            return whole.cast(carrier(casting.target), wrap_numerical=True)
        return narrowed(casting, rows, whole, whole)

    return casting.columnwise(run, value)


def decimal_to_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """So many of the interval's unit, with a fraction."""
    source, unit = casting.source, _unit(casting.target)
    assert isinstance(source, DecimalType)
    scale = source.scale

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        values = by_unique(unscaled_of(column), lambda v: rescale_int(v * unit, scale, 0), pl.Int128())
        return values.cast(pl.Int64).cast(carrier(casting.target))

    return casting.columnwise(run, value)


def interval_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """How many of the interval's unit, with a fraction."""
    target = casting.target
    assert isinstance(target, DecimalType)
    unit = _unit(casting.source)
    mode = EvalMode.ANSI if casting.raises else EvalMode.TRY

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        counts = column.to_physical().cast(pl.Int64)
        scaled = by_unique(counts, lambda v: rescale_int(v * 10**18 // unit, 0, 0), pl.Int128())
        return fitted(rows, scaled, 18, target, mode)

    return casting.columnwise(run, value)


# ---- between intervals ------------------------------------------------------------------------------------
def interval_to_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Cut to the target's last field."""
    unit = _unit(casting.target)
    counts = value.to_physical()
    dtype = pl.Int64() if isinstance(casting.target, DayTimeIntervalType) else pl.Int32()
    if unit == 1 or (unit <= _unit(casting.source) and unit != UNIT_MICROS[3]):
        return value
    if isinstance(casting.target, DayTimeIntervalType) and _fields(casting.target)[1] == 3:
        return value
    return (integer_quotient(counts, pl.lit(unit, dtype)) * unit).cast(carrier(casting.target))


# ---- strings ----------------------------------------------------------------------------------------------
_SIGN = r"([+-]?)"
_NUMBERS = {"DAY": r"(\d+)", "HOUR": r"(\d+)", "MINUTE": r"(\d+)", "SECOND": r"(\d+(?:\.\d{1,9})?)"}
_LATER = {"HOUR": r" (\d{1,2})", "MINUTE": r":(\d{1,2})", "SECOND": r":(\d{1,2}(?:\.\d{1,9})?)"}


def _day_time_pattern(start: int, end: int) -> re.Pattern[str]:
    names = _DAY_TIME[start : end + 1]
    body = _NUMBERS[names[0]] + "".join(_LATER[n] for n in names[1:])
    unit = names[0] if start == end else f"{names[0]} TO {names[-1]}"
    return re.compile(rf"(?:{_SIGN}{body}|INTERVAL\s+{_SIGN}'{_SIGN}{body}'\s+{unit})", re.IGNORECASE | re.ASCII)


def _year_month_pattern(start: int, end: int) -> re.Pattern[str]:
    body = r"(\d+)" if start == end else r"(\d+)-(\d+)"
    unit = _YEAR_MONTH[start] if start == end else "YEAR TO MONTH"
    return re.compile(rf"(?:{_SIGN}{body}|INTERVAL\s+{_SIGN}'{_SIGN}{body}'\s+{unit})", re.IGNORECASE | re.ASCII)


def _matched(pattern: re.Pattern[str], count: int, text: str) -> tuple[int, list[str]] | None:
    match = pattern.fullmatch(text.strip(TRIMMED))
    if match is None:
        return None
    groups = match.groups()
    if groups[1] is not None:
        return (-1 if groups[0] == "-" else 1), [g or "" for g in groups[1 : 1 + count]]
    rest = groups[1 + count :]
    sign = -1 if (rest[0] == "-") != (rest[1] == "-") else 1
    return sign, [g or "" for g in rest[2 : 2 + count]]


def _read_day_time(pattern: re.Pattern[str], start: int, end: int, text: str) -> int | None:
    found = _matched(pattern, end - start + 1, text)
    if found is None:
        return None
    sign, numbers = found
    micros = 0
    for field, number in zip(range(start, end + 1), numbers, strict=True):
        whole, _, fraction = number.partition(".")
        if field > start and int(whole) > (23, 59, 59)[field - 1]:
            return None
        micros += int(whole) * UNIT_MICROS[field] + int(fraction[:6].ljust(6, "0") or 0) * (field == 3)
    return sign * micros if abs(micros) < 1 << 63 else None


def _read_year_month(pattern: re.Pattern[str], start: int, end: int, text: str) -> int | None:
    found = _matched(pattern, end - start + 1, text)
    if found is None:
        return None
    sign, numbers = found
    if start != end and int(numbers[1]) > 11:
        return None
    months = int(numbers[0]) * (12 if start == 0 else 1) + (int(numbers[1]) if start != end else 0)
    return sign * months if months < 1 << 31 else None


def string_to_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """``1 02:03:04`` or ``INTERVAL '1 02:03:04' DAY TO SECOND``, by the target's fields."""
    start, end = _fields(casting.target)
    day_time = isinstance(casting.target, DayTimeIntervalType)
    pattern = _day_time_pattern(start, end) if day_time else _year_month_pattern(start, end)
    read = partial(_read_day_time if day_time else _read_year_month, pattern, start, end)
    counter = pl.Int64() if day_time else pl.Int32()

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        found = by_unique(column, read, counter)
        if casting.raises_always and found.null_count() > column.null_count():
            rows.refuse(found.is_null() & column.is_not_null(), partial(_malformed, casting.target), column)
        return found.cast(carrier(casting.target))

    return casting.columnwise(run, value)


def _malformed(target: DataType, text: str) -> SparkError:
    kind = "day-time" if isinstance(target, DayTimeIntervalType) else "year-month"
    return spark_error(
        "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING_WITH_NOTICE",
        ErrorKind.ILLEGAL_ARGUMENT,
        input=text,
        intervalStr=kind,
        typeName=target.simpleString(),
        supportedFormat=_supported(target),
    )


_SHAPES = {
    ("DAY", "DAY"): "[+|-]d", ("DAY", "HOUR"): "[+|-]d h", ("DAY", "MINUTE"): "[+|-]d h:m",
    ("DAY", "SECOND"): "[+|-]d h:m:s.n", ("HOUR", "HOUR"): "[+|-]h", ("HOUR", "MINUTE"): "[+|-]h:m",
    ("HOUR", "SECOND"): "[+|-]h:m:s.n", ("MINUTE", "MINUTE"): "[+|-]m", ("MINUTE", "SECOND"): "[+|-]m:s.n",
    ("SECOND", "SECOND"): "[+|-]s.n", ("YEAR", "YEAR"): "[+|-]y", ("MONTH", "MONTH"): "[+|-]m",
    ("YEAR", "MONTH"): "[+|-]y-m",
}  # fmt: skip


def _supported(target: DataType) -> str:
    start, end = _fields(target)
    names = _DAY_TIME if isinstance(target, DayTimeIntervalType) else _YEAR_MONTH
    shape = _SHAPES[names[start], names[end]]
    unit = names[start] if start == end else f"{names[start]} TO {names[end]}"
    return f"`{shape}`, `INTERVAL [+|-]'{shape}' {unit}`"


def string_to_calendar_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """``1 year 2 days 3.5 seconds``; NULL for anything else, even under ANSI."""

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return by_unique(column, read_calendar_interval, carrier(casting.target))

    return casting.columnwise(run, value)


_MONTHS = {"year": 12, "month": 1}
_DAYS = {"week": 7, "day": 1}
_MICROS = {
    "hour": UNIT_MICROS[1],
    "minute": UNIT_MICROS[2],
    "second": UNIT_MICROS[3],
    "millisecond": 1000,
    "microsecond": 1,
}
_PAIR = re.compile(r"\s*([+-]?)\s*(\d+)?(\.\d{0,9})?\s+([a-z]+)", re.ASCII)


def read_calendar_interval(text: str) -> dict[str, int] | None:
    """One text of numbers with units, None if it is malformed."""
    rest = text.strip().lower()
    if rest == "interval" or rest.startswith("interval "):
        rest = rest[8:].strip()
    if not rest:
        return None
    months = days = micros = at = 0
    while at < len(rest):
        match = _PAIR.match(rest, at)
        if match is None or (match[2] is None and match[3] is None):
            return None
        sign = -1 if match[1] == "-" else 1
        unit = match[4].removesuffix("s")
        number, fraction = int(match[2] or 0), match[3]
        if fraction is not None and (unit != "second" or (fraction == "." and match[2] is None)):
            return None
        if unit in _MONTHS:
            months += sign * number * _MONTHS[unit]
        elif unit in _DAYS:
            days += sign * number * _DAYS[unit]
        elif unit in _MICROS:
            micros += sign * (number * _MICROS[unit] + int((fraction or ".")[1:7].ljust(6, "0")))
        else:
            return None
        at = match.end()
        if at < len(rest) and not rest[at].isspace():
            return None
    if abs(months) >= 1 << 31 or abs(days) >= 1 << 31 or abs(micros) >= 1 << 63:
        return None
    return {"months": months, "days": days, "microseconds": micros}


def _table() -> dict[tuple[type[DataType], type[DataType]], Conversion]:
    table: dict[tuple[type[DataType], type[DataType]], Conversion] = {
        (StringType, CalendarIntervalType): string_to_calendar_interval,
    }
    for interval in (DayTimeIntervalType, YearMonthIntervalType):
        table |= {(t, interval): integral_to_interval for t in INTEGRAL}
        table |= {(interval, t): interval_to_integral for t in INTEGRAL}
        table[DecimalType, interval] = decimal_to_interval
        table[interval, DecimalType] = interval_to_decimal
        table[interval, interval] = interval_to_interval
        table[StringType, interval] = string_to_interval
    return table


CASTS = _table()
