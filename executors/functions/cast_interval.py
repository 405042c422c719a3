"""Casts to and from intervals."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.cast_numeric import INTEGRAL, narrowed
from voltray.executors.functions.casting import Casting, Conversion
from voltray.executors.functions.columns import by_unique, limits_of
from voltray.executors.functions.decimal import fitted, integer_quotient, rescale_int, unscaled_of
from voltray.executors.functions.evaluation import Rows
from voltray.proto.expressions import EvalMode
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.interval_text import (
    UNIT_MICROS,
    OutOfRange,
    field_pattern,
    read_fields,
    read_interval,
    unmatched,
)  # fmt: skip
from voltray.proto.types import (
    CalendarIntervalType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    StringType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip


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
def string_to_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """``1 02:03:04`` or ``INTERVAL '1 02:03:04' DAY TO SECOND``, by the target's fields."""
    target = casting.target
    assert isinstance(target, (DayTimeIntervalType, YearMonthIntervalType))
    pattern = field_pattern(target)
    counter = pl.Int64() if isinstance(target, DayTimeIntervalType) else pl.Int32()

    def read(text: str) -> int | None:
        try:
            return read_fields(target, pattern, text)
        except (SparkError, OutOfRange):
            return None

    def failure(text: str) -> SparkError:
        try:
            read_fields(target, pattern, text)
        except SparkError as error:
            return error
        except OutOfRange as error:
            kind = ErrorKind.ILLEGAL_ARGUMENT
            return spark_error("INVALID_INTERVAL_FORMAT.DAY_TIME_PARSING", kind, input=text, msg=error)
        return unmatched(target, text)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        found = by_unique(column, read, counter)
        if casting.raises_always and found.null_count() > column.null_count():
            rows.refuse(found.is_null() & column.is_not_null(), failure, column)
        return found.cast(carrier(target))

    return casting.columnwise(run, value)


def string_to_calendar_interval(casting: Casting, value: pl.Expr) -> pl.Expr:
    """``1 year 2 days 3.5 seconds``; NULL for anything else, even under ANSI."""

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return by_unique(column, read_calendar_interval, carrier(casting.target))

    return casting.columnwise(run, value)


def read_calendar_interval(text: str) -> dict[str, int] | None:
    """One text of numbers with units, None if it is malformed."""
    try:
        months, days, micros = read_interval(text)
    except SparkError:
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
