"""Sums and averages, exact or refused where they do not fit."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate, argument_type, mode_of
from voltray.executors.functions.columns import overflow_error
from voltray.executors.functions.decimal import (
    MAX_PRECISION,
    decimal_of,
    divide_half_up,
    exact_rows,
    fitted,
    largest,
    round_half_up,
    wide,
)  # fmt: skip
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import Accept, Function, Split, parameters
from voltray.proto.expressions import AggregateCall, EvalMode, Expression, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    DOUBLE,
    LONG,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    IntegralType,
    LongType,
    NumericType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

SUMMABLE = Accept((NumericType, YearMonthIntervalType, DayTimeIntervalType), (DOUBLE,), '"NUMERIC" or "ANSI INTERVAL"')

_WIDE = DecimalType(MAX_PRECISION, 0)
_WIDE_CARRIER = carrier(_WIDE)
_MODULUS = 1 << 128
_HALF = 10**19
_EASY_PRECISION = 28


# ---- sum --------------------------------------------------------------------------------------------
def sum_type(args: tuple[Expression, ...]) -> DataType:
    """Sums of integers are bigint, of decimals ten digits wider, of floats double."""
    match dtype_of(args[0]):
        case DecimalType() as dtype:
            return DecimalType(min(dtype.precision + 10, MAX_PRECISION), dtype.scale)
        case IntegralType():
            return LONG
        case YearMonthIntervalType() | DayTimeIntervalType() as dtype:
            return dtype
    return DOUBLE


def _sum_buffers(call: AggregateCall) -> tuple[tuple[str, DataType], ...]:
    dtype = argument_type(call)
    count = ("count", LONG)
    if isinstance(dtype, DecimalType):
        if dtype.precision > _EASY_PRECISION:
            return (("high", _WIDE), ("low", _WIDE), ("approximation", DOUBLE), count)
        return (("sum", DecimalType(dtype.precision + 10, dtype.scale)), count)
    if isinstance(dtype, LongType | DayTimeIntervalType):
        return (("sum", _WIDE), count)
    return (("sum", LONG if isinstance(dtype, IntegralType | YearMonthIntervalType) else DOUBLE), count)


def _sum_partial(evaluation: Evaluation, value: pl.Expr) -> tuple[pl.Expr, ...]:
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    dtype = argument_type(call)
    count = _known(call, value)
    if isinstance(dtype, DecimalType):
        if dtype.precision > _EASY_PRECISION:
            unscaled = value.to_physical()
            # The sum may wrap around 128 bits; a sum of doubles tells whether it did.
            # Its halves go on, as no decimal holds all that 128 bits can.
            total, half = unscaled.sum(), pl.lit(_HALF, dtype=pl.Int128)
            high = total // half
            return (_as_wide(high), _as_wide(total - high * half), unscaled.cast(pl.Float64).sum(), count)
        return (value.sum().cast(pl.Decimal(dtype.precision + 10, dtype.scale)), count)
    if isinstance(dtype, LongType | DayTimeIntervalType):
        number = value if isinstance(dtype, LongType) else value.cast(pl.Int64)
        return (_as_wide(number.cast(pl.Int128).sum()), count)
    whole = isinstance(dtype, IntegralType | YearMonthIntervalType)
    return (value.cast(pl.Int64 if whole else pl.Float64).sum(), count)


def _known(call: AggregateCall, value: pl.Expr) -> pl.Expr:
    """How many values there are; no need to look at them where none can be NULL."""
    plain = not nullable_of(call.args[0]) and call.filter is None and not call.distinct
    return (pl.len() if plain else value.count()).cast(pl.Int64)


def _as_wide(total: pl.Expr) -> pl.Expr:
    return total.reinterpret(dtype=_WIDE_CARRIER)


def _sum_merge(evaluation: Evaluation, *buffers: pl.Expr) -> tuple[pl.Expr, ...]:
    dtypes = [d for _, d in _sum_buffers(evaluation.call)]  # type: ignore[arg-type]
    return tuple(
        [
            _as_wide(b.to_physical().sum()) if d is _WIDE
            else b.sum().cast(carrier(d)) if isinstance(d, DecimalType) else b.sum()
            for b, d in zip(buffers, dtypes, strict=True)
        ]
    )  # fmt: skip


def _sum_finish(evaluation: Evaluation, *buffers: pl.Expr) -> pl.Expr:
    *parts, count = buffers
    dtype = argument_type(evaluation.call)  # type: ignore[arg-type]
    total = parts[0]
    if isinstance(dtype, DecimalType) and len(parts) > 1:
        total = evaluation.columnwise(_exact_total(evaluation, dtype), *parts)
    elif isinstance(dtype, LongType | DayTimeIntervalType | YearMonthIntervalType):
        total = evaluation.columnwise(_narrowed(evaluation, dtype), total)
    return pl.when(count > 0).then(total)


def _exact_total(evaluation: Evaluation, dtype: DecimalType) -> Callable[..., pl.Series]:
    """Totals that wrapped around 128 bits told by their approximations, then refused or NULL beyond 38 digits."""
    target = evaluation.call.dtype
    assert isinstance(target, DecimalType)
    mode = mode_of(evaluation)

    def total(rows: Rows, high: pl.Series, low: pl.Series, approximate: pl.Series) -> pl.Series:
        numbers = high.to_physical() * wide(_HALF) + low.to_physical()
        if beyond_digits(numbers, approximate).any():
            try:
                return exact_rows(rows, (numbers, approximate), _unwrapped, dtype.scale, target, mode)
            except SparkError:
                instead = "try_avg" if evaluation.call.name.endswith("avg") else "try_sum"
                raise overflow_error("Overflow in sum of decimals", instead) from None
        return decimal_of(numbers, target)

    return total


def beyond_digits(wrapped: pl.Series, approximate: pl.Series) -> pl.Series:
    """Sums of more than 38 digits, or so near that only exact arithmetic can tell."""
    return (approximate.abs() > 0.99e38) | (wrapped >= wide(10**38)) | (wrapped <= wide(-(10**38)))


def _unwrapped(wrapped: int, approximate: float) -> int:
    """The sum that stands behind its lowest 128 bits."""
    return wrapped + round((approximate - wrapped) / _MODULUS) * _MODULUS


def _narrowed(evaluation: Evaluation, dtype: DataType) -> Callable[..., pl.Series]:
    """Wide totals as the result's own integers: refused, NULL or wrapped where they do not fit."""
    mode = mode_of(evaluation)
    small = isinstance(dtype, YearMonthIntervalType)
    limit = 1 << (31 if small else 63)
    target = carrier(evaluation.call.dtype)

    def narrow(rows: Rows, total: pl.Series) -> pl.Series:
        values = total if small else total.to_physical()
        low, high = values.min(), values.max()
        if low is not None and (int(low) < -limit or int(high) >= limit):  # type: ignore[arg-type]
            if mode is EvalMode.ANSI or (mode is EvalMode.LEGACY and not isinstance(dtype, LongType)):
                upper, lower = pl.Series([limit], dtype=values.dtype), pl.Series([-limit], dtype=values.dtype)
                rows.refuse((values >= upper) | (values < lower), lambda *cells: _sum_overflow(dtype))
            return _out_of_bounds(values, limit, mode).cast(target)
        return values.cast(pl.Int32 if small else pl.Int64).cast(target)

    return narrow


def _out_of_bounds(values: pl.Series, limit: int, mode: EvalMode) -> pl.Series:
    if mode is EvalMode.LEGACY:
        wrapped = [None if v is None else (int(v) + limit) % (2 * limit) - limit for v in values.to_list()]
    else:
        wrapped = [None if v is None or not -limit <= v < limit else int(v) for v in values.to_list()]
    return pl.Series(wrapped, dtype=pl.Int64)


def _sum_overflow(dtype: DataType) -> SparkError:
    if isinstance(dtype, LongType):
        return overflow_error("long", "try_add")
    return spark_error("INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", ErrorKind.ARITHMETIC, functionName="`try_add`")


SUM = Split(_sum_buffers, _sum_partial, _sum_merge, _sum_finish)


# ---- avg --------------------------------------------------------------------------------------------
def avg_type(args: tuple[Expression, ...]) -> DataType:
    """Averages of decimals have four more digits, of intervals are intervals, of all others doubles."""
    match dtype_of(args[0]):
        case DecimalType() as dtype:
            return DecimalType(min(dtype.precision + 4, MAX_PRECISION), min(dtype.scale + 4, MAX_PRECISION))
        case YearMonthIntervalType():
            return YearMonthIntervalType()
        case DayTimeIntervalType():
            return DayTimeIntervalType()
    return DOUBLE


def _exact(dtype: DataType) -> bool:
    return isinstance(dtype, DecimalType | YearMonthIntervalType | DayTimeIntervalType)


def _avg_buffers(call: AggregateCall) -> tuple[tuple[str, DataType], ...]:
    return _sum_buffers(call) if _exact(argument_type(call)) else (("sum", DOUBLE), ("count", LONG))


def _avg_partial(evaluation: Evaluation, value: pl.Expr) -> tuple[pl.Expr, ...]:
    if _exact(argument_type(evaluation.call)):  # type: ignore[arg-type]
        return _sum_partial(evaluation, value)
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    return (value.cast(pl.Float64).sum(), _known(call, value))


def _avg_merge(evaluation: Evaluation, *buffers: pl.Expr) -> tuple[pl.Expr, ...]:
    if _exact(argument_type(evaluation.call)):  # type: ignore[arg-type]
        return _sum_merge(evaluation, *buffers)
    return tuple([b.sum() for b in buffers])


def _avg_finish(evaluation: Evaluation, *buffers: pl.Expr) -> pl.Expr:
    *parts, count = buffers
    dtype = argument_type(evaluation.call)  # type: ignore[arg-type]
    if not _exact(dtype):
        return pl.when(count > 0).then(parts[0] / count)
    if isinstance(dtype, DecimalType):
        return evaluation.columnwise(_decimal_average(evaluation, dtype), *buffers)
    return evaluation.columnwise(_interval_average(evaluation), parts[0], count)


def _decimal_average(evaluation: Evaluation, dtype: DecimalType) -> Callable[..., pl.Series]:
    target = evaluation.call.dtype
    assert isinstance(target, DecimalType)
    factor = 10 ** (target.scale - dtype.scale)
    mode = mode_of(evaluation)

    def average(rows: Rows, *buffers: pl.Series) -> pl.Series:
        *parts, count = buffers
        totals = [p.to_physical() for p in parts]
        count = count.set(count == 0, None)
        if len(totals) > 1:
            totals = [totals[0] * wide(_HALF) + totals[1], totals[2]]
        if len(totals) > 1 and beyond_digits(totals[0], totals[1]).any():
            return exact_rows(
                rows, (*totals, count), lambda total, near, n: round_half_up(_unwrapped(total, near) * factor, n),
                target.scale, target, mode,
            )  # fmt: skip
        if largest(totals[0]) * factor >= 1 << 126:
            return exact_rows(
                rows, (totals[0], count), lambda total, n: round_half_up(total * factor, n),
                target.scale, target, mode,
            )  # fmt: skip
        quotient = divide_half_up(totals[0] * wide(factor), count.cast(pl.Int128))
        return fitted(rows, quotient, target.scale, target, mode)

    return average


def _interval_average(evaluation: Evaluation) -> Callable[..., pl.Series]:
    target = carrier(evaluation.call.dtype)
    storage = pl.Int32 if target == pl.Int32 else pl.Int64
    limit = 1 << (31 if storage == pl.Int32 else 63)
    dtype, tolerant = evaluation.call.dtype, mode_of(evaluation) is EvalMode.TRY

    def average(rows: Rows, total: pl.Series, count: pl.Series) -> pl.Series:
        numbers = total.to_physical().cast(pl.Int128)
        bad = (numbers >= pl.Series([limit], dtype=pl.Int128)) | (numbers < pl.Series([-limit], dtype=pl.Int128))
        if not tolerant:
            rows.refuse(bad, lambda *cells: _sum_overflow(dtype))
        numbers = numbers.zip_with(~bad, pl.Series([None], dtype=pl.Int128))
        divisor = count.set(count == 0, None).cast(pl.Int128)
        return divide_half_up(numbers, divisor).cast(storage).cast(target)

    return average


AVG = Split(_avg_buffers, _avg_partial, _avg_merge, _avg_finish)


FUNCTIONS: tuple[Function, ...] = (
    aggregate("sum", parameters(("expr", SUMMABLE)), sum_type, SUM),
    aggregate("try_sum", parameters(("expr", SUMMABLE)), sum_type, SUM),
    aggregate("avg mean", parameters(("expr", SUMMABLE)), avg_type, AVG),
    aggregate("try_avg", parameters(("expr", SUMMABLE)), avg_type, AVG),
)
