"""Times of day (the TIME type)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions import java_parse, zones
from voltray.executors.functions.columns import ANSI_CONF
from voltray.executors.functions.date_format import by_pattern
from voltray.executors.functions.date_time import INT_INPUT
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.interval import seconds_micros
from voltray.executors.functions.physical import DAY_MICROS
from voltray.executors.functions.registry import (
    ANY,
    STRING_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Cast, EvalMode, Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    INTEGER,
    LONG,
    STRING,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    TimeType,
)  # fmt: skip

_DAY_NANOS = DAY_MICROS * 1000
TIME = TimeType(6)
_TIME_INPUT = Accept((TimeType,), (TIME,), '"TIME"')
_UNIT_NANOS = {
    "HOUR": 3_600_000_000_000, "MINUTE": 60_000_000_000, "SECOND": 1_000_000_000, "MILLISECOND": 1_000_000,
    "MICROSECOND": 1000,
}  # fmt: skip


def _time(nanos: pl.Expr) -> pl.Expr:
    return nanos.cast(pl.Int64).cast(pl.Time)


def _current_time(evaluation: Evaluation, precision: pl.Expr) -> pl.Expr:
    now = pl.lit(evaluation.context.now_micros, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    micros = zones.local_time(now, evaluation.context.time_zone).to_physical() % DAY_MICROS
    kind = evaluation.call.dtype
    digits = kind.precision if isinstance(kind, TimeType) else 6
    step = 10 ** (6 - digits)
    return _time((micros // step * step) * 1000)


def _resolve_current_time(resolution: Any) -> Expression:
    given = resolution.args[0] if resolution.args else Literal(6, INTEGER)
    if not isinstance(given, Literal) or given.value is None:
        raise resolution.mismatch(
            "NON_FOLDABLE_INPUT", inputName="`precision`", inputType='"INT"', inputExpr=f'"{resolution.names[0]}"'
        )
    if not 0 <= int(given.value) <= 6:
        raise resolution.mismatch(
            "VALUE_OUT_OF_RANGE", exprName="precision", valueRange="[0, 6]", currentValue=given.value
        )
    return resolution.call((given,), TimeType(int(given.value)), False)  # type: ignore[no-any-return]


def _out_of_bounds(name: str, high: int) -> Callable[[int], SparkError]:
    def error(value: int) -> SparkError:
        shown = f"Invalid value for {name} (valid values 0 - {high}): {value}"
        condition = "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION"
        return spark_error(condition, ErrorKind.DATE_TIME, rangeMessage=shown, ansiConfig=ANSI_CONF)

    return error


def _make_time(evaluation: Evaluation, hour: pl.Expr, minute: pl.Expr, second: pl.Expr) -> pl.Expr:
    micros = seconds_micros(second, dtype_of(evaluation.call.args[2])).cast(pl.Int64)

    def make(rows: Rows, hours: pl.Series, minutes: pl.Series, rest: pl.Series) -> pl.Series:
        seconds = rest // 1_000_000
        for name, high, field in (
            ("HourOfDay", 23, hours),
            ("MinuteOfHour", 59, minutes),
            ("SecondOfMinute", 59, seconds),
        ):
            rows.refuse((field < 0) | (field > high), _out_of_bounds(name, high), field)
        total = (hours.cast(pl.Int64) * 60 + minutes) * 60_000_000 + rest
        fits = (total >= 0) & (total < DAY_MICROS)
        return (total * 1000).zip_with(fits.fill_null(False), pl.Series([None], dtype=pl.Int64)).cast(pl.Time)

    return evaluation.columnwise(make, hour, minute, micros)


# ---- text ------------------------------------------------------------------------------------------
def _parse_error(text: str, pattern: str) -> SparkError:
    shown = f"'{pattern}'"
    return spark_error("CANNOT_PARSE_TIME", ErrorKind.DATE_TIME, input=f"'{text}'", format=shown)


def _to_time(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    tolerant = evaluation.call.name.startswith("try_")
    if len(args) == 1:
        mode = EvalMode.TRY if tolerant else EvalMode.ANSI
        return evaluation.compile(Cast(args[0], TIME, True, mode))

    def run(rows: Rows, texts: pl.Series, patterns: pl.Series) -> pl.Series:
        def one(pattern: str) -> pl.Series:
            parsed = java_parse.parse(texts, pattern, None)
            if not tolerant:
                rows.refuse(parsed.bad & (patterns == pattern), _parse_error, texts, patterns)
            return (parsed.micros % DAY_MICROS * 1000).cast(pl.Time)

        return by_pattern(patterns, pl.Time(), one)

    return evaluation.columnwise(run, *[evaluation.compile(a) for a in args])


def _resolve_to_time(tolerant: bool) -> Callable[[Any], Expression]:
    def resolve(resolution: Any) -> Expression:
        args = tuple([resolution.coerce(i, STRING) for i in range(len(resolution.args))])
        nullable = tolerant or any(nullable_of(a) for a in args)
        return resolution.call(args, TIME, nullable)  # type: ignore[no-any-return]

    return resolve


# ---- units and arithmetic --------------------------------------------------------------------------
def _unit(evaluation: Evaluation, unit: pl.Expr) -> pl.Expr:
    """The nanoseconds of units by name."""

    def error(name: str) -> SparkError:
        return spark_error(
            "INVALID_PARAMETER_VALUE.TIME_UNIT", ErrorKind.ILLEGAL_ARGUMENT, functionName=f"`{evaluation.call.name}`",
            parameter="`unit`", invalidValue=f"'{name}'",
        )  # fmt: skip

    def run(rows: Rows, names: pl.Series) -> pl.Series:
        nanos = names.str.to_uppercase().replace_strict(_UNIT_NANOS, default=None, return_dtype=pl.Int64)
        rows.refuse(names.is_not_null() & nanos.is_null(), error, names)
        return nanos

    return evaluation.columnwise(run, unit, dtype=pl.Int64())


def _time_diff(evaluation: Evaluation, unit: pl.Expr, start: pl.Expr, end: pl.Expr) -> pl.Expr:
    apart = end.to_physical() - start.to_physical()
    return apart.sign() * (apart.abs() // _unit(evaluation, unit))


def _time_trunc(evaluation: Evaluation, unit: pl.Expr, time: pl.Expr) -> pl.Expr:
    nanos = time.to_physical()
    return _time(nanos - nanos % _unit(evaluation, unit))


def _overflow() -> SparkError:
    return spark_error("DATETIME_OVERFLOW", ErrorKind.ARITHMETIC, operation="add an interval to a time")


def _time_add(evaluation: Evaluation, time: pl.Expr, interval: pl.Expr) -> pl.Expr:
    moved = time.to_physical() + interval.to_physical() * 1000

    def fit(rows: Rows, nanos: pl.Series) -> pl.Series:
        outside = (nanos < 0) | (nanos >= _DAY_NANOS)
        rows.refuse(outside, _overflow)
        return nanos.zip_with(~outside.fill_null(True), pl.Series([None], dtype=pl.Int64)).cast(pl.Time)

    return evaluation.columnwise(fit, moved)


def _subtract_times(evaluation: Evaluation, late: pl.Expr, early: pl.Expr) -> pl.Expr:
    return ((late.to_physical() - early.to_physical()) // 1000).cast(pl.Duration("us"))


def _first_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


def _third_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[1])


_SECONDS = Accept((DecimalType,), (DecimalType(16, 6),), '"DECIMAL(16,6)"')
_TEXT = Signature((Parameter("str", STRING_INPUT), Parameter("format", STRING_INPUT, optional=True)))
_PAIR = parameters(("left", ANY), ("right", ANY))
_CURRENT = Signature((Parameter("precision", Accept(), optional=True),))

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("current_time",), _CURRENT, TIME, _current_time, nullable=never_nullable, resolve=_resolve_current_time,
        display=lambda names: f"current_time({', '.join(names) or '6'})",
    ),
    Function(("make_time",), parameters(("hour", INT_INPUT), ("minute", INT_INPUT), ("second", _SECONDS)),
        TIME, _make_time),
    Function(("to_time",), _TEXT, TIME, lazy_body=_to_time, resolve=_resolve_to_time(False)),
    Function(
        ("try_to_time",), _TEXT, TIME, lazy_body=_to_time, resolve=_resolve_to_time(True), nullable=always_nullable
    ),
    Function(
        ("time_diff",), parameters(("unit", STRING_INPUT), ("start", _TIME_INPUT), ("end", _TIME_INPUT)), LONG,
        _time_diff
    ),
    Function(("time_trunc",), parameters(("unit", STRING_INPUT), ("time", _TIME_INPUT)), _third_type, _time_trunc),
    Function(("time_add_interval",), _PAIR, _first_type, _time_add, internal=True),
    Function(("subtract_times",), _PAIR, DayTimeIntervalType(0, 3), _subtract_times, internal=True),
)  # fmt: skip
