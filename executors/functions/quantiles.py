"""Percentiles: exact, approximate (Spark's summaries are exact up to some ten thousand values; ours always), median."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate
from voltray.executors.functions.argument_checks import checked, constant_value, in_range
from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import Accept, Function, Parameter, Signature, parameters
from voltray.proto.expressions import AggregateCall, Expression, Literal, dtype_of
from voltray.proto.types import (
    DOUBLE,
    INTEGER,
    LONG,
    ArrayType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DoubleType,
    IntegralType,
    NumericType,
    TimestampNTZType,
    TimestampType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

_INTERVALS = (YearMonthIntervalType, DayTimeIntervalType)
_MEASURE = Accept((NumericType, *_INTERVALS), (DOUBLE,), '("NUMERIC" or "ANSI INTERVAL")')
_ORDERED = Accept((NumericType, *_INTERVALS, DateType, TimestampType, TimestampNTZType), (DOUBLE,), '"NUMERIC"')
_PERCENTAGE = Accept((DoubleType, ArrayType), (DOUBLE,), '("DOUBLE" or "ARRAY<DOUBLE>")', foldable=True)
_FREQUENCY = Accept((IntegralType,), (LONG,), '"INTEGRAL"')
_ACCURACY = Accept((IntegralType,), (INTEGER,), '"INTEGRAL"', foldable=True)


def _percentages(argument: Expression) -> tuple[list[float], bool]:
    """The percentages asked for, and whether they came as an array."""
    value = constant_value(argument)
    many = isinstance(dtype_of(argument), ArrayType)
    return [float(v) for v in value] if many else [float(value)], many


def _numbers(value: pl.Expr, dtype: DataType) -> pl.Expr:
    if isinstance(dtype, DayTimeIntervalType):
        value = value.cast(pl.Int64)
    return value.cast(pl.Float64)


def _interpolated(ordered: pl.Expr, count: pl.Expr, percentage: float) -> pl.Expr:
    """The value at a position between the two nearest ones, weighted as Spark does it."""
    position = (count - 1).cast(pl.Float64) * percentage
    low, high = position.floor(), position.ceil()
    below, above = _at(ordered, low), _at(ordered, high)
    between = (high - position) * below + (position - low) * above
    return pl.when(low == high).then(below).otherwise(between)


def _at(ordered: pl.Expr, position: pl.Expr) -> pl.Expr:
    return ordered.get(position.cast(pl.Int64).clip(lower_bound=0), null_on_oob=True)


def _result(evaluation: Evaluation, dtype: DataType, values: list[pl.Expr], many: bool, known: pl.Expr) -> pl.Expr:
    element = evaluation.call.dtype
    if isinstance(element, ArrayType):
        element = element.elementType
    target = carrier(element)
    if isinstance(dtype, DayTimeIntervalType):
        values = [v.cast(pl.Int64) for v in values]
    typed = [v.cast(target) for v in values]
    if not many:
        return pl.when(known).then(typed[0])
    together: pl.Expr = typed[0].implode() if len(typed) == 1 else pl.concat_list(typed)
    return pl.when(known).then(together)


def _percentile(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    call = evaluation.call
    dtype = dtype_of(call.args[0])
    percentages, many = _percentages(call.args[1])
    numbers = _numbers(value, dtype)
    if len(call.args) > 2 and not (isinstance(call.args[2], Literal) and call.args[2].value == 1):
        kept = numbers.is_not_null() & rest[1].is_not_null() & (rest[1] > 0)
        numbers = numbers.filter(kept).repeat_by(rest[1].filter(kept)).explode(empty_as_null=False)
    return _exact(evaluation, dtype, numbers, percentages, many)


def _exact(evaluation: Evaluation, dtype: DataType, numbers: pl.Expr, percentages: list[float], many: bool) -> pl.Expr:
    ordered, count = numbers.drop_nulls().sort(), numbers.count()
    values = [_interpolated(ordered, count, p) for p in percentages]
    return _result(evaluation, dtype, values, many, count > 0)


def _median(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    dtype = dtype_of(evaluation.call.args[0])
    return _exact(evaluation, dtype, _numbers(value, dtype), [0.5], many=False)


def _key(evaluation: Evaluation) -> tuple[DataType, bool]:
    """The type of WITHIN GROUP's key, and whether it ascends."""
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    order = call.order_by[0]
    return dtype_of(order), order.ascending


def _continuous(evaluation: Evaluation, *arguments: pl.Expr) -> pl.Expr:
    dtype, ascending = _key(evaluation)
    percentages, many = _percentages(evaluation.call.args[0])
    wanted = percentages if ascending else [1.0 - p for p in percentages]
    return _exact(evaluation, dtype, _numbers(arguments[-1], dtype), wanted, many)


def _discrete(evaluation: Evaluation, *arguments: pl.Expr) -> pl.Expr:
    """The first value whose cumulative distribution reaches the percentage."""
    dtype, ascending = _key(evaluation)
    percentages, many = _percentages(evaluation.call.args[0])
    numbers = _numbers(arguments[-1], dtype)
    ordered, count = numbers.drop_nulls().sort(descending=not ascending), numbers.count()
    positions = [(count.cast(pl.Float64) * p).ceil() - 1 for p in percentages]
    return _result(evaluation, dtype, [_at(ordered, p) for p in positions], many, count > 0)


def _approximate(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    call = evaluation.call
    percentages, many = _percentages(call.args[1])
    ordered, count = value.drop_nulls().sort(), value.count()
    positions = [(count.cast(pl.Float64) * p).ceil() - 1 for p in percentages]
    values = [_at(ordered, p) for p in positions]
    typed = values if not many else [values[0].implode() if len(values) == 1 else pl.concat_list(values)]
    return pl.when(count > 0).then(typed[0])


# ---- types ------------------------------------------------------------------------------------------
def _exact_type(dtype: DataType) -> DataType:
    match dtype:
        case YearMonthIntervalType():
            return YearMonthIntervalType()
        case DayTimeIntervalType():
            return DayTimeIntervalType()
    return DOUBLE


def _percentile_type(args: tuple[Expression, ...]) -> DataType:
    element = _exact_type(dtype_of(args[0]))
    return ArrayType(element, containsNull=False) if isinstance(dtype_of(args[1]), ArrayType) else element


def _approximate_type(args: tuple[Expression, ...]) -> DataType:
    element = dtype_of(args[0])
    return ArrayType(element, containsNull=False) if isinstance(dtype_of(args[1]), ArrayType) else element


def _resolve_within(resolution: Any) -> Expression:
    """The type follows WITHIN GROUP's key: intervals stay intervals; an array of percentages gives an array."""
    call: Expression = resolution.finish()
    _UNIT_WITHIN(resolution, call)
    assert isinstance(call, AggregateCall)
    element = _exact_type(dtype_of(call.order_by[0]))
    many = isinstance(dtype_of(call.args[0]), ArrayType)
    return replace(call, dtype=ArrayType(element, containsNull=False) if many else element)


def _with_default(name: str, default: str) -> Any:
    return lambda names: f"{name}({', '.join(names if len(names) > 2 else (*names, default))})"


_PERCENTILE = Signature(
    (
        Parameter("expr", _MEASURE),
        Parameter("percentage", _PERCENTAGE),
        Parameter("frequency", _FREQUENCY, Literal(1, LONG)),
    )
)
_APPROXIMATE = Signature(
    (
        Parameter("expr", _ORDERED),
        Parameter("percentage", _PERCENTAGE),
        Parameter("accuracy", _ACCURACY, Literal(10000, INTEGER)),
    )
)
_UNIT = in_range("percentage", 1, 0.0, 1.0, "[0.0, 1.0]")
_UNIT_WITHIN = in_range("percentage", 0, 0.0, 1.0, "[0.0, 1.0]")
_POSITIVE = in_range("accuracy", 2, 1, 2**31 - 1, "(0, 2147483647]")
_WITHIN = parameters(("percentage", _PERCENTAGE))

FUNCTIONS: tuple[Function, ...] = (
    aggregate(
        "percentile",
        _PERCENTILE,
        _percentile_type,
        body=_percentile,
        display=_with_default("percentile", "1"),
        resolve=checked(_UNIT),
    ),
    aggregate("median", parameters(("expr", _MEASURE)), lambda args: _exact_type(dtype_of(args[0])), body=_median),
    aggregate("percentile_cont", _WITHIN, DOUBLE, body=_continuous, resolve=_resolve_within),
    aggregate("percentile_disc", _WITHIN, DOUBLE, body=_discrete, resolve=_resolve_within),
    *[
        aggregate(
            name,
            _APPROXIMATE,
            _approximate_type,
            body=_approximate,
            display=_with_default(name, "10000"),
            resolve=checked(_UNIT, _POSITIVE),
        )
        for name in ("percentile_approx", "approx_percentile")
    ],
)
