"""extract, date_part: a field of a date, a timestamp, a time or an interval, by the field's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.date_time import DATE_FIELDS, wall_clock
from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.physical import DAY_MICROS
from voltray.executors.functions.registry import Accept, Function, Parameter, Signature
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.types import (
    BYTE,
    DOUBLE,
    INTEGER,
    STRING,
    TIMESTAMP,
    CalendarIntervalType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    StringType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)  # fmt: skip

SECONDS = DecimalType(8, 6)
_NAMES = {
    "year": ("YEAR", "Y", "YEARS", "YR", "YRS"), "yearofweek": ("YEAROFWEEK",), "quarter": ("QUARTER", "QTR"),
    "month": ("MONTH", "MON", "MONS", "MONTHS"), "weekofyear": ("WEEK", "W", "WEEKS"), "day": ("DAY", "D", "DAYS"),
    "dayofweek": ("DAYOFWEEK", "DOW"), "dow_iso": ("DAYOFWEEK_ISO", "DOW_ISO"), "dayofyear": ("DOY",),
    "hour": ("HOUR", "H", "HOURS", "HR", "HRS"), "minute": ("MINUTE", "M", "MIN", "MINS", "MINUTES"),
    "second": ("SECOND", "S", "SEC", "SECONDS", "SECS"),
}  # fmt: skip
FIELD_NAMES = {name: field for field, names in _NAMES.items() for name in names}

_CLOCK = ("hour", "minute", "second")
_OF_DATE: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    **DATE_FIELDS,
    "yearofweek": lambda d: d.dt.iso_year(),
    "dow_iso": lambda d: d.dt.weekday(),
}
_OF_CLOCK: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "hour": lambda micros: micros // 3_600_000_000,
    "minute": lambda micros: micros // 60_000_000 % 60,
    "second": lambda micros: micros % 60_000_000,
}


def _truncated(value: pl.Expr, divisor: int) -> pl.Expr:
    """Division towards zero, as Java's."""
    return value.sign() * (value.abs() // divisor)


def _signed(value: pl.Expr, read: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    return value.sign() * read(value.abs())


def _of_interval(kind: DataType, field: str, value: pl.Expr) -> pl.Expr | None:
    calendar = isinstance(kind, CalendarIntervalType)
    if field in ("year", "month") and isinstance(kind, CalendarIntervalType | YearMonthIntervalType):
        months = value.struct.field("months") if calendar else value
        return _truncated(months, 12) if field == "year" else _signed(months, lambda m: m % 12)
    if not isinstance(kind, CalendarIntervalType | DayTimeIntervalType):
        return None
    if field == "day":
        return value.struct.field("days") if calendar else _truncated(value.to_physical(), DAY_MICROS)
    if field not in _CLOCK:
        return None
    micros = value.struct.field("microseconds") if calendar else value.to_physical()
    return _signed(micros, lambda m: _OF_CLOCK[field](m % DAY_MICROS))


def _type_of(kind: DataType, field: str) -> DataType | None:
    """The type of a field of a type, None where it has no such field."""
    if isinstance(kind, CalendarIntervalType | DayTimeIntervalType | YearMonthIntervalType):
        if _of_interval(kind, field, pl.lit(None)) is None:
            return None
        return SECONDS if field == "second" else INTEGER if field in ("year", "day") else BYTE
    if isinstance(kind, TimeType) and field not in _CLOCK:
        return None
    return SECONDS if field == "second" else INTEGER


def _body(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    source = args[1]
    kind, field = dtype_of(source), evaluation.call.option("part")
    value = evaluation.compile(source)
    inner = _of_interval(kind, field, value)
    if inner is not None:
        return (
            _as_seconds(inner) if field == "second" else inner.cast(pl.Int32 if field in ("year", "day") else pl.Int8)
        )
    local = wall_clock(evaluation, value, kind)
    if field not in _CLOCK:
        return _OF_DATE[field](local).cast(pl.Int32)
    if isinstance(kind, TimeType):
        micros = local.to_physical() // 1000
    else:
        micros = (local.cast(pl.Datetime("us")) if isinstance(kind, DateType) else local).to_physical() % DAY_MICROS
    read = _OF_CLOCK[field](micros)
    return _as_seconds(read) if field == "second" else read.cast(pl.Int32)


def _as_seconds(micros: pl.Expr) -> pl.Expr:
    """Microseconds as a decimal of six digits."""
    return (micros.cast(pl.Decimal(38, 0)) * pl.lit("0.000001").cast(pl.Decimal(38, 6))).cast(pl.Decimal(8, 6))


_DATETIMES = (DateType, TimestampType, TimestampNTZType, TimeType, CalendarIntervalType, DayTimeIntervalType,
              YearMonthIntervalType)  # fmt: skip


def _resolve(resolution: Any) -> Expression:
    field, source = resolution.args
    if not isinstance(field, Literal):
        raise resolution.error(
            "NON_FOLDABLE_ARGUMENT", funcName=f"`{resolution.called_as}`", paramName="`field`", paramType='"STRING"'
        )
    if field.value is None:
        return Literal(None, DOUBLE)
    name = FIELD_NAMES.get(str(field.value).upper())
    if isinstance(dtype_of(source), StringType) or not isinstance(dtype_of(source), _DATETIMES):
        source = resolution.coerce(1, TIMESTAMP)
    kind = dtype_of(source)
    dtype = None if name is None else _type_of(kind, name)
    if dtype is None:
        shown = {"field": f"`{field.value}`", "expr": f'"{resolution.names[1]}"'}
        raise resolution.error("INVALID_EXTRACT_FIELD", **shown)
    return resolution.call((field, source), dtype, options=(("part", name),))  # type: ignore[no-any-return]


_SIGNATURE = Signature((Parameter("field", Accept()), Parameter("source", Accept())))


def _entry(name: str, separator: str) -> Function:
    return Function(
        (name,), _SIGNATURE, INTEGER, lazy_body=_body, resolve=_resolve,
        display=lambda names: f"{name}({separator.join(names)})",
    )  # fmt: skip


FUNCTIONS: tuple[Function, ...] = (_entry("date_part", ", "), _entry("datepart", " FROM "), _entry("extract", " FROM "))

__all__ = ["FIELD_NAMES", "FUNCTIONS", "STRING"]
