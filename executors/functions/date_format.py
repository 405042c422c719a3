"""Timestamps to text and back by Java patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions import java_format, java_parse
from voltray.executors.functions.date_time import CURRENT_TIMESTAMP, LONG_INPUT
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.java_patterns import DEFAULT_TIMESTAMP_PATTERN
from voltray.executors.functions.registry import (
    STRING_INPUT,
    TIMESTAMP_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Cast, EvalMode, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    DATE,
    LONG,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    DataType,
    DateType,
    NullType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

_DATETIMES = (DateType, TimestampType, TimestampNTZType)


# ---- formatting ------------------------------------------------------------------------------------
def by_pattern(patterns: pl.Series, dtype: pl.DataType, one: Callable[[str], pl.Series]) -> pl.Series:
    """``one(pattern)`` for every pattern that occurs, put together by row."""
    known = patterns.unique().drop_nulls().to_list()
    if len(known) == 1 and not patterns.null_count():
        return one(known[0])
    result = pl.Series([None], dtype=dtype).new_from_index(0, len(patterns))
    for pattern in known:
        result = one(pattern).zip_with((patterns == pattern).fill_null(False), result)
    return result


def _date_format(evaluation: Evaluation, stamp: pl.Expr, pattern: pl.Expr) -> pl.Expr:
    zone = evaluation.context.time_zone

    def run(rows: Rows, stamps: pl.Series, patterns: pl.Series) -> pl.Series:
        return by_pattern(patterns, pl.String(), lambda p: java_format.format_instants(stamps, p, zone))

    return evaluation.columnwise(run, stamp, pattern)


def _from_unixtime(evaluation: Evaluation, seconds: pl.Expr, pattern: pl.Expr) -> pl.Expr:
    wrapped = (seconds.cast(pl.Int128) * 1_000_000 + (1 << 63)) % (1 << 64) - (1 << 63)  # Java's long arithmetic
    return _date_format(evaluation, wrapped.cast(pl.Int64).cast(pl.Datetime("us", "UTC")), pattern)


# ---- parsing ---------------------------------------------------------------------------------------
def _parse_error(function: str) -> Callable[[str, str], SparkError]:
    def error(text: str, pattern: str) -> SparkError:
        shown = {"message": java_parse.problem(text, pattern), "func": f"`{function}`"}
        return spark_error("CANNOT_PARSE_TIMESTAMP", ErrorKind.DATE_TIME, extra=shown)

    return error


def _parse(
    evaluation: Evaluation, text: pl.Expr, pattern: pl.Expr, zone: str | None, function: str, tolerant: bool
) -> pl.Expr:
    """Text as microseconds, of an instant or (without ``zone``) of local time."""

    def run(rows: Rows, texts: pl.Series, patterns: pl.Series) -> pl.Series:
        def one(pattern: str) -> pl.Series:
            mine = patterns == pattern
            parsed = java_parse.parse(texts, pattern, zone)
            if not tolerant:
                rows.refuse(parsed.bad & mine, _parse_error(function), texts, patterns)
            return parsed.micros

        return by_pattern(patterns, pl.Int64(), one)

    return evaluation.columnwise(run, text, pattern, dtype=pl.Int64())


def _parsed_timestamp(zoned: bool, tolerant: bool) -> Callable[[Evaluation, pl.Expr, pl.Expr], pl.Expr]:
    def body(evaluation: Evaluation, text: pl.Expr, pattern: pl.Expr) -> pl.Expr:
        lenient = tolerant or evaluation.call.mode is not EvalMode.ANSI
        zone = evaluation.context.time_zone if zoned else None
        micros = _parse(evaluation, text, pattern, zone, "try_to_timestamp", lenient)
        return micros.cast(pl.Datetime("us", "UTC") if zoned else pl.Datetime("us"))

    return body


def _parsed_date(tolerant: bool) -> Callable[[Evaluation, pl.Expr, pl.Expr], pl.Expr]:
    def body(evaluation: Evaluation, text: pl.Expr, pattern: pl.Expr) -> pl.Expr:
        lenient = tolerant or evaluation.call.mode is not EvalMode.ANSI
        return (
            _parse(evaluation, text, pattern, None, "try_to_date", lenient)
            .floordiv(86_400_000_000)
            .cast(pl.Int32)
            .cast(pl.Date)
        )

    return body


def _unix_timestamp(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    moment, pattern = args
    kind = dtype_of(moment)
    if isinstance(kind, StringType):
        lenient = evaluation.call.mode is not EvalMode.ANSI
        zone = evaluation.context.time_zone
        compiled = evaluation.compile(moment), evaluation.compile(pattern)
        micros = _parse(evaluation, *compiled, zone, "try_to_timestamp", lenient)
    else:
        instant = moment if isinstance(kind, TimestampType) else Cast(moment, TIMESTAMP)
        micros = evaluation.compile(instant).to_physical()
    return micros.floordiv(1_000_000)


# ---- resolution ------------------------------------------------------------------------------------
def _resolve_conversion(target: DataType, tolerant: bool) -> Callable[[Any], Expression]:
    """One argument is a cast; with a pattern, text is parsed and anything else is still a cast."""

    def resolve(resolution: Any) -> Expression:
        first = resolution.args[0]
        if len(resolution.args) == 1 or isinstance(dtype_of(first), _DATETIMES):
            mode = EvalMode.TRY if tolerant else EvalMode.ANSI if resolution.ansi else EvalMode.LEGACY
            if dtype_of(first) == target:
                return first  # type: ignore[no-any-return]
            if not isinstance(dtype_of(first), (*_DATETIMES, StringType, NullType)) and not (
                isinstance(dtype_of(first), NumericType) and target == TIMESTAMP
            ):
                first = resolution.coerce(0, STRING)
            if tolerant:
                unsure = isinstance(dtype_of(first), StringType) or resolution.arguments[0].nullable
                return Cast(first, target, unsure, mode)
            return resolution.cast(first, target)  # type: ignore[no-any-return]
        args = (resolution.coerce(0, STRING), resolution.coerce(1, STRING))
        nullable = tolerant or not resolution.ansi or any_argument_nullable(args)
        return resolution.call(args, target, nullable)  # type: ignore[no-any-return]

    return resolve


def _with_defaults(name: str) -> Callable[[tuple[str, ...]], str]:
    def display(names: tuple[str, ...]) -> str:
        shown = names or ("current_timestamp()",)
        return f"{name}({', '.join(shown if len(shown) > 1 else (*shown, DEFAULT_TIMESTAMP_PATTERN))})"

    return display


_PATTERN = Parameter("fmt", STRING_INPUT, Literal(DEFAULT_TIMESTAMP_PATTERN, STRING))
_MOMENT = Accept((StringType, *_DATETIMES), (TIMESTAMP,), '("STRING" or "DATE" or "TIMESTAMP" or "TIMESTAMP_NTZ")')
_CONVERSION = Signature((Parameter("expr", Accept()), Parameter("fmt", STRING_INPUT, optional=True)))


def _conversion(name: str, target: DataType, body: Any, tolerant: bool = False) -> Function:
    return Function(
        (name,), _CONVERSION, target, body, resolve=_resolve_conversion(target, tolerant),
        nullable=always_nullable if tolerant else any_argument_nullable,
    )  # fmt: skip


FUNCTIONS: tuple[Function, ...] = (
    Function(("date_format",), parameters(("timestamp", TIMESTAMP_INPUT), ("fmt", STRING_INPUT)), STRING, _date_format),
    Function(
        ("from_unixtime",), parameters(("sec", LONG_INPUT), _PATTERN), STRING, _from_unixtime,
        nullable=always_nullable, display=_with_defaults("from_unixtime"),
    ),
    Function(
        ("unix_timestamp",), parameters(Parameter("timeExp", _MOMENT, CURRENT_TIMESTAMP), _PATTERN), LONG,
        lazy_body=_unix_timestamp, display=_with_defaults("unix_timestamp"),
    ),
    Function(
        ("to_unix_timestamp",), parameters(Parameter("timeExp", _MOMENT), _PATTERN), LONG,
        lazy_body=_unix_timestamp, display=_with_defaults("to_unix_timestamp"),
    ),
    _conversion("to_timestamp", TIMESTAMP, _parsed_timestamp(True, False)),
    _conversion("to_timestamp_ltz", TIMESTAMP, _parsed_timestamp(True, False)),
    _conversion("to_timestamp_ntz", TIMESTAMP_NTZ, _parsed_timestamp(False, False)),
    _conversion("try_to_timestamp", TIMESTAMP, _parsed_timestamp(True, True), tolerant=True),
    _conversion("to_date", DATE, _parsed_date(False)),
    _conversion("try_to_date", DATE, _parsed_date(True), tolerant=True),
)  # fmt: skip
