"""Dates and timestamps from their fields or from numbers of seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.columns import ANSI_CONF, java_error
from voltray.executors.functions.date_time import INT_INPUT
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.interval import seconds_micros
from voltray.executors.functions.java_parse import invalid_date
from voltray.executors.functions.physical import DAY_MICROS, LONG_MAX, any_null, column, numbers
from voltray.executors.functions.registry import (
    STRING_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.timestamp_zone import by_zone
from voltray.proto.expressions import EvalMode, Expression, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    DATE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegralType,
    NullType,
    NumericType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    type_name,
)  # fmt: skip

_CHECKS = (("MonthOfYear", 1, 12, "1 - 12"), ("DayOfMonth", 1, 31, "1 - 28/31"))
_TIME_CHECKS = (("HourOfDay", 23), ("MinuteOfHour", 59), ("SecondOfMinute", 59))


def _out_of_bounds(message: str) -> SparkError:
    condition = "DATETIME_FIELD_OUT_OF_BOUNDS.WITH_SUGGESTION"
    return spark_error(condition, ErrorKind.DATE_TIME, rangeMessage=message, ansiConfig=ANSI_CONF)


def _range_error(field: str, valid: str) -> Callable[[int], SparkError]:
    return lambda value: _out_of_bounds(f"Invalid value for {field} (valid values {valid}): {value}")


def _date_error(year: int, month: int, day: int) -> SparkError:
    return _out_of_bounds(invalid_date(year, month, day))


def _days(rows: Rows | None, years: pl.Series, months: pl.Series, days: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 and the rows that are no date; with ``rows``, those are refused."""
    known = ~any_null(years, months, days)
    bad = np.zeros(len(years), dtype=bool)
    for field, (name, low, high, valid) in zip((months, days), _CHECKS, strict=True):
        outside = ((field < low) | (field > high)) & known
        if rows is not None:
            rows.refuse(outside, _range_error(name, valid), field)
        bad |= outside.fill_null(False).to_numpy()
    month = np.clip(numbers(months), 1, 12)
    first = ((numbers(years) - 1970) * 12 + month - 1).astype("M8[M]")
    start = first.astype("M8[D]")
    size = ((first + 1).astype("M8[D]") - start).astype(np.int64)
    missing = (numbers(days) > size) & known.to_numpy()
    if rows is not None:
        rows.refuse(pl.Series(missing), _date_error, years, months, days)
    return start.astype(np.int64) + numbers(days) - 1, bad | missing


def _make_date(evaluation: Evaluation, *parts: pl.Expr) -> pl.Expr:
    strict = evaluation.call.mode is EvalMode.ANSI

    def make(rows: Rows, *fields: pl.Series) -> pl.Series:
        days, bad = _days(rows if strict else None, *fields)
        return column(days, pl.Date(), *fields, bad=bad)

    return evaluation.columnwise(make, *parts)


def _fraction_error(micros: int) -> SparkError:
    shown = str(Decimal(micros).scaleb(-6).normalize())
    return spark_error("INVALID_FRACTION_OF_SECOND", ErrorKind.DATE_TIME, secAndMicros=shown)


def _local_micros(rows: Rows | None, fields: tuple[pl.Series, ...], micros: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Local microseconds of year, month, day, hour, minute and microseconds of the minute, and the bad rows."""
    years, months, days, hours, minutes = fields
    seconds = micros // 1_000_000
    sixty = seconds == 60
    fractional = sixty & (micros % 1_000_000 != 0)
    if rows is not None:
        rows.refuse(fractional & ~any_null(*fields), _fraction_error, micros)
    whole = pl.Series(np.where(sixty.fill_null(False).to_numpy(), 0, numbers(seconds)))
    date, bad = _days(rows, years, months, days)
    known = ~any_null(*fields, micros)
    for field, (name, high) in zip((hours, minutes, whole), _TIME_CHECKS, strict=True):
        outside = ((field < 0) | (field > high)) & known
        if rows is not None:
            rows.refuse(outside, _range_error(name, f"0 - {high}"), field)
        bad = bad | outside.fill_null(False).to_numpy()
    bad = bad | (fractional & known).fill_null(False).to_numpy()
    clock = (numbers(hours) * 60 + numbers(minutes)) * 60_000_000 + numbers(micros)
    return date * DAY_MICROS + clock, bad


def _make_timestamp(evaluation: Evaluation, *parts: pl.Expr) -> pl.Expr:
    kinds = [dtype_of(a) for a in evaluation.call.args]
    zoned = isinstance(evaluation.call.dtype, TimestampType)
    strict = evaluation.call.mode is EvalMode.ANSI and not evaluation.call.name.startswith("try_")
    session = evaluation.context.time_zone
    if isinstance(kinds[0], DateType):
        local = parts[0].to_physical().cast(pl.Int64) * DAY_MICROS + parts[1].to_physical().floordiv(1000)
        return _in_zone(evaluation, local.cast(pl.Datetime("us")), parts[2:], zoned, session)
    micros = seconds_micros(parts[5], kinds[5]).cast(pl.Int64)

    def make(rows: Rows, *columns: pl.Series) -> pl.Series:
        fields, second = columns[:5], columns[5]
        values, bad = _local_micros(rows if strict else None, fields, second)
        return column(values, pl.Datetime("us"), *fields, second, bad=bad)

    local = evaluation.columnwise(make, *parts[:5], micros, dtype=pl.Datetime("us"))
    return _in_zone(evaluation, local, parts[6:], zoned, session)


def _in_zone(evaluation: Evaluation, local: pl.Expr, zone: tuple[pl.Expr, ...], zoned: bool, session: str) -> pl.Expr:
    if not zoned:
        return local
    if not zone:
        return zones.instant_of(local, session)

    def convert(rows: Rows, stamps: pl.Series, names: pl.Series) -> pl.Series:
        return by_zone(stamps.dt.replace_time_zone("UTC"), names, _instants)

    return evaluation.columnwise(convert, local, zone[0])


def _instants(stamps: pl.Series, zone: str) -> pl.Series:
    return zones.instant_series(stamps.dt.replace_time_zone(None), zone)


def _resolve_make_timestamp(target: DataType, tolerant: bool) -> Callable[[Any], Expression]:
    """Six or seven fields, or a date, a time and perhaps a zone."""

    def resolve(resolution: Any) -> Expression:
        args = resolution.args
        zoned = not isinstance(target, TimestampNTZType)
        if len(args) == 2 or (len(args) == 3 and zoned):
            _check_parts(resolution)
            whole: tuple[DataType, ...] = (DATE, TimeType(), STRING)
            coerced = [resolution.coerce(i, whole[i]) for i in range(1, len(args))]
            coerced = [resolution.coerce(0, DATE), *coerced]
        elif len(args) == 6 or (len(args) == 7 and zoned):
            ints = [resolution.coerce(i, INTEGER) for i in range(5)]
            seconds = resolution.coerce(5, DecimalType(16, 6))
            if not isinstance(dtype_of(seconds), DecimalType):
                seconds = resolution.cast(seconds, DecimalType(16, 6))
            coerced = [*ints, seconds, *([resolution.coerce(6, STRING)] if len(args) == 7 else [])]
        else:
            raise resolution.error(
                "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", functionName=f"`{resolution.called_as}`",
                expectedNum="[2, 3, 6, 7]" if zoned else "[2, 6]", actualNum=len(args), docroot="https://spark.apache.org/docs/latest",
            )  # fmt: skip
        nullable = tolerant or not resolution.ansi or any(nullable_of(a) for a in coerced)
        return resolution.call(tuple(coerced), target, nullable)  # type: ignore[no-any-return]

    return resolve


def _check_parts(resolution: Any) -> None:
    """A date and a time, or NULLs: nothing else becomes one here."""
    for position, (place, taken) in enumerate((("first", DateType), ("second", TimeType))):
        given = dtype_of(resolution.args[position])
        if not isinstance(given, (taken, NullType)):
            required = '"DATE"' if taken is DateType else '"TIME"'
            raise resolution.mismatch(
                "UNEXPECTED_INPUT_TYPE", paramIndex=place, requiredType=required,
                inputSql=f'"{resolution.names[position]}"', inputType=type_name(given),
            )  # fmt: skip


# ---- seconds ---------------------------------------------------------------------------------------
def _timestamp_seconds(evaluation: Evaluation, seconds: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[0])
    if isinstance(kind, DoubleType | FloatType):

        def convert(rows: Rows, values: pl.Series) -> pl.Series:
            floats = values.cast(pl.Float64).fill_null(0.0).to_numpy()
            missing = ~np.isfinite(floats)
            scaled = np.clip(np.where(missing, 0.0, floats * 1e6), -9.223372036854775e18, 9.223372036854775e18)
            whole = np.where(floats * 1e6 >= 2.0**63, LONG_MAX, scaled.astype(np.int64))
            return column(whole, pl.Datetime("us", "UTC"), values, bad=missing)

        return evaluation.columnwise(convert, seconds)
    wide = seconds_micros(seconds, kind) if isinstance(kind, DecimalType) else seconds.cast(pl.Int128) * 1_000_000
    return _exact(evaluation, wide)


def _exact(evaluation: Evaluation, wide: pl.Expr) -> pl.Expr:
    def fit(rows: Rows, values: pl.Series) -> pl.Series:
        rows.refuse((values > LONG_MAX) | (values < -LONG_MAX - 1), lambda: java_error("long overflow"))
        return values.cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC"))

    return evaluation.columnwise(fit, wide)


def _timestamp_of(factor: int) -> Callable[[Evaluation, pl.Expr], pl.Expr]:
    return lambda evaluation, value: _exact(evaluation, value.cast(pl.Int128) * factor)


def _seconds_nullable(args: tuple[Expression, ...]) -> bool:
    return (
        isinstance(dtype_of(args[0]), FractionalType) and not isinstance(dtype_of(args[0]), DecimalType)
    ) or any_argument_nullable(args)


_FIELDS = Signature(
    tuple(Parameter(n, Accept(), optional=i > 1) for i, n in enumerate(
        ("year", "month", "day", "hour", "min", "sec", "timezone")
    ))
)  # fmt: skip
_INTEGRAL = Accept((IntegralType,), (LONG,), '"INTEGRAL"')


def _nullable_without_ansi(resolution: Any) -> Expression:
    """Then what is out of range gives NULL."""
    call = resolution.finish()
    return call if resolution.ansi else replace(call, nullable=True)  # type: ignore[no-any-return]


def _shown(name: str, names: tuple[str, ...]) -> str:
    """Spark shows some of these by what stands for them."""
    if len(names) == 2 and name == "make_timestamp_ltz":
        return f"make_timestamp({', '.join(names)})"
    if len(names) == 2 and name == "try_make_timestamp_ntz":
        return f"{name}(make_timestamp_ntz({', '.join(names)}))"
    kept = names[:6] if name == "try_make_timestamp" else names
    return f"{name}({', '.join(kept)})"


def _maker(name: str, target: DataType, tolerant: bool = False) -> Function:
    return Function(
        (name,), _FIELDS, target, _make_timestamp, resolve=_resolve_make_timestamp(target, tolerant),
        display=lambda names: _shown(name, tuple(names)),
        nullable=always_nullable if tolerant else any_argument_nullable,
    )  # fmt: skip


FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("make_date",), parameters(("year", INT_INPUT), ("month", INT_INPUT), ("day", INT_INPUT)), DATE, _make_date,
        resolve=_nullable_without_ansi,
    ),
    _maker("make_timestamp", TIMESTAMP),
    _maker("make_timestamp_ltz", TIMESTAMP),
    _maker("make_timestamp_ntz", TIMESTAMP_NTZ),
    _maker("try_make_timestamp", TIMESTAMP, tolerant=True),
    _maker("try_make_timestamp_ltz", TIMESTAMP, tolerant=True),
    _maker("try_make_timestamp_ntz", TIMESTAMP_NTZ, tolerant=True),
    Function(
        ("timestamp_seconds",), parameters(("seconds", Accept((NumericType,), (DoubleType(),), '"NUMERIC"'))),
        TIMESTAMP,
        _timestamp_seconds, nullable=_seconds_nullable,
    ),
    Function(("timestamp_millis",), parameters(("milliseconds", _INTEGRAL)), TIMESTAMP, _timestamp_of(1000)),
    Function(("timestamp_micros",), parameters(("microseconds", _INTEGRAL)), TIMESTAMP, _timestamp_of(1)),
)  # fmt: skip

__all__ = ["FUNCTIONS", "STRING_INPUT", "TimestampNTZType"]
