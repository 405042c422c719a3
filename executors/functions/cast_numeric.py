"""Casts among numbers and booleans."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl

from voltray.executors.functions.casting import Casting, Conversion
from voltray.executors.functions.columns import bounds_of, by_unique, limits_of, null_where
from voltray.executors.functions.decimal import (
    decimal_of,
    fitted,
    integer_quotient,
    largest,
    out_of_range,
    plain,
    unscaled,
    unscaled_of,
)  # fmt: skip
from voltray.executors.functions.evaluation import Rows
from voltray.proto.expressions import EvalMode
from voltray.proto.types import (
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    carrier,
)  # fmt: skip

INTEGRAL: tuple[type[DataType], ...] = (ByteType, ShortType, IntegerType, LongType)
FLOATING: tuple[type[DataType], ...] = (FloatType, DoubleType)
_DIGITS: dict[type[DataType], int] = {
    ByteType: 3,
    ShortType: 5,
    IntegerType: 10,
    LongType: 19,
    BooleanType: 1,
}
_EXACT_IN_DOUBLE = 1 << 53


def plain_cast(casting: Casting, value: pl.Expr) -> pl.Expr:
    """A conversion that Polars does as Spark does and that no value fails."""
    return value.cast(carrier(casting.target))


# ---- to integers --------------------------------------------------------------------------------------
def integral_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Between integer types: narrower ones overflow, or wrap in legacy mode."""
    source, target = carrier(casting.source), carrier(casting.target)
    if limits_of(source)[1] <= limits_of(target)[1]:
        return value.cast(target)
    if casting.mode is EvalMode.LEGACY:
        return value.cast(target, wrap_numerical=True)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return narrowed(casting, rows, column, column)

    return casting.columnwise(run, value)


def narrowed(casting: Casting, rows: Rows, numbers: pl.Series, source: pl.Series) -> pl.Series:
    """Integers in the target's carrier; those beyond it refused or NULL. ``source`` is what errors show."""
    dtype = carrier(casting.target)
    low, high = limits_of(dtype)
    extent = bounds_of(numbers)
    if extent is None or (low <= extent[0] and extent[1] <= high):
        return numbers.cast(dtype)
    constants = [pl.Series([v], dtype=numbers.dtype) for v in (low, high)]
    bad = (numbers < constants[0]) | (numbers > constants[1])
    return casting.settle(rows, numbers.cast(dtype, strict=False), bad, source)


def floating_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Floats to integers, truncated; in legacy mode saturated as Java does."""
    dtype = carrier(casting.target)
    low, high = limits_of(dtype)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        doubles = column.cast(pl.Float64)
        if casting.mode is EvalMode.LEGACY:
            return saturated(doubles, dtype)
        bad = ~((doubles.floor() <= float(high)) & (doubles.ceil() >= float(low))) | doubles.is_nan()
        if dtype == pl.Int64:  # 2**63 as a double passes Spark's own comparison, and saturates
            return casting.settle(rows, saturated(doubles, dtype), bad, column)
        return casting.settle(rows, doubles.cast(dtype, strict=False), bad, column)

    return casting.columnwise(run, value)


def saturated(doubles: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Doubles as Java's (long) and (int) make them: truncated, saturating, NaN as 0; narrower types wrap."""
    wider = pl.Int64() if dtype == pl.Int64 else pl.Int32()
    low, high = limits_of(wider)
    x = pl.col("x")
    whole = (
        pl.when(x.is_nan()).then(pl.lit(0, wider))
        .when(x >= float(high)).then(pl.lit(high, wider))
        .when(x <= float(low)).then(pl.lit(low, wider))
        .otherwise(x.cast(wider, strict=False))
    )  # fmt: skip
    return doubles.to_frame("x").select(whole).to_series().cast(dtype, wrap_numerical=True)


def decimal_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Decimals to integers, truncated."""
    assert isinstance(casting.source, DecimalType)
    divisor = 10**casting.source.scale

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        whole = unscaled_of(column)
        if divisor > 1:
            whole = whole.to_frame("x").select(integer_quotient(pl.col("x"), pl.lit(divisor, pl.Int128))).to_series()
        if casting.mode is EvalMode.LEGACY:
            return whole.cast(pl.Int64, wrap_numerical=True).cast(carrier(casting.target), wrap_numerical=True)
        return narrowed(casting, rows, whole, column)

    return casting.columnwise(run, value)


# ---- to decimals --------------------------------------------------------------------------------------
def _target(casting: Casting) -> DecimalType:
    assert isinstance(casting.target, DecimalType)
    return casting.target


def _fit_mode(casting: Casting) -> EvalMode:
    return EvalMode.ANSI if casting.raises else EvalMode.TRY


def integral_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Integers (and booleans) to decimals."""
    target = _target(casting)
    width = _DIGITS[type(casting.source)]
    certain = target.precision - target.scale >= width
    if certain:
        numbers = value.cast(pl.Int128) if not isinstance(casting.source, BooleanType) else value.cast(pl.Int8)
        factor = pl.lit(10**target.scale, pl.Int128)
        exact = numbers.cast(pl.Int128) * factor if target.scale else numbers.cast(pl.Int128)
        return exact.reinterpret(dtype=carrier(target))

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        numbers = column.cast(pl.Int8) if column.dtype == pl.Boolean else column
        return fitted(rows, numbers.cast(pl.Int128), 0, target, _fit_mode(casting))

    return casting.columnwise(run, value)


def decimal_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Decimals to another precision and scale, half up."""
    source, target = casting.source, _target(casting)
    assert isinstance(source, DecimalType)
    wider = target.precision - target.scale >= source.precision - source.scale
    if wider and target.scale == source.scale:
        return value.cast(carrier(target))
    if wider and target.scale > source.scale:
        factor = pl.lit(10 ** (target.scale - source.scale), pl.Int128)
        return (value.to_physical() * factor).reinterpret(dtype=carrier(target))

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return fitted(rows, unscaled_of(column), source.scale, target, _fit_mode(casting))

    return casting.columnwise(run, value)


def floating_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Floats to decimals: the digits that Java prints, half up; NaN and infinities give NULL."""
    target = _target(casting)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return _decimals_of_doubles(casting, rows, column.cast(pl.Float64), target)

    return casting.columnwise(run, value)


def _decimals_of_doubles(casting: Casting, rows: Rows, doubles: pl.Series, target: DecimalType) -> pl.Series:
    missing = doubles.is_null().to_numpy()
    numbers = doubles.fill_null(0.0).to_numpy()
    with np.errstate(all="ignore"):
        scaled = numbers * 10.0**target.scale
        nearest = np.rint(scaled)
        # Away from ties and within 52 bits, rounding the product is rounding the printed digits.
        sure = (np.abs(scaled) < 2**44) & (np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) > 1e-3)
        sure &= (np.abs(scaled) < 10.0**target.precision - 1) | (target.precision > 18)
    found = pl.Series(np.where(sure, nearest, 0).astype(np.int64)).cast(pl.Int128)
    unsure = np.flatnonzero(~sure & ~missing)
    if len(unsure):
        values = [_exact_decimal(casting, rows, int(row), float(numbers[row]), target) for row in unsure]
        found = found.scatter(unsure, pl.Series(values, dtype=pl.Int128))
    return decimal_of(null_where(found, pl.Series(missing)), target)


def _exact_decimal(casting: Casting, rows: Rows, row: int, number: float, target: DecimalType) -> int | None:
    if number != number or abs(number) == float("inf"):
        return None
    exact = Decimal(repr(number))
    value = unscaled(exact, target.scale)
    if abs(value) < 10**target.precision:
        return value
    if casting.raises and rows.holds(row):
        raise out_of_range(unscaled(exact, max(_scale_of(exact), 0)), max(_scale_of(exact), 0), target)
    return None


def _scale_of(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


# ---- to floats ----------------------------------------------------------------------------------------
def decimal_to_floating(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Decimals to the nearest float."""
    assert isinstance(casting.source, DecimalType)
    scale = casting.source.scale
    single = isinstance(casting.target, FloatType)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        numbers = unscaled_of(column)
        if largest(numbers) < _EXACT_IN_DOUBLE and scale <= 22:
            doubles = column.cast(pl.Float64)  # exact; by a division it would not be
            return doubles.cast(pl.Float32) if single else doubles
        cells = [None if v is None else float(plain(v, scale)) for v in numbers.to_list()]
        doubles = pl.Series(cells, dtype=pl.Float64)
        return doubles.cast(pl.Float32) if single else doubles

    return casting.columnwise(run, value)


def integral_to_binary(casting: Casting, value: pl.Expr) -> pl.Expr:
    """The bytes of an integer, the highest first (legacy)."""

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        width = (limits_of(column.dtype)[1].bit_length() + 1) // 8
        return by_unique(column, lambda v: int(v).to_bytes(width, "big", signed=True), pl.Binary())

    return casting.columnwise(run, value)


# ---- booleans -----------------------------------------------------------------------------------------
def number_to_boolean(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Any number but zero is true."""
    return value.to_physical() != 0 if isinstance(casting.source, DecimalType) else value != 0


def _table() -> dict[tuple[type[DataType], type[DataType]], Conversion]:
    numbers = (*INTEGRAL, *FLOATING)
    table: dict[tuple[type[DataType], type[DataType]], Conversion] = {}
    for source in INTEGRAL:
        table |= {(source, t): integral_to_integral for t in INTEGRAL}
        table |= {(source, t): plain_cast for t in FLOATING}
        table[source, DecimalType] = integral_to_decimal
        table[source, BinaryType] = integral_to_binary
    for source in FLOATING:
        table |= {(source, t): floating_to_integral for t in INTEGRAL}
        table |= {(source, t): plain_cast for t in FLOATING}
        table[source, DecimalType] = floating_to_decimal
    table |= {(DecimalType, t): decimal_to_integral for t in INTEGRAL}
    table |= {(DecimalType, t): decimal_to_floating for t in FLOATING}
    table[DecimalType, DecimalType] = decimal_to_decimal
    table |= {(t, BooleanType): number_to_boolean for t in (*numbers, DecimalType)}
    table |= {(BooleanType, t): plain_cast for t in numbers}
    table[BooleanType, DecimalType] = integral_to_decimal
    return table


CASTS = _table()
