"""Exact decimal arithmetic: whole columns of unscaled Int128 numbers, Spark's result types and rounding.

A Polars decimal is an Int128 with a scale: ``to_physical`` and ``reinterpret`` go from one to the other for
nothing, so everything here is integer arithmetic. Where bounds show that 128 bits may not do, Python's integers
do the same (a loop a row, rare).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from voltray.executors.functions.columns import ANSI_CONF, bounds_of, null_where
from voltray.executors.functions.evaluation import Rows
from voltray.proto.expressions import EvalMode
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import DecimalType

MAX_PRECISION = 38
_INT128_MAX = (1 << 127) - 1


# ---- errors -----------------------------------------------------------------------------------------
def out_of_range(unscaled: int, scale: int, target: DecimalType) -> SparkError:
    """NUMERIC_VALUE_OUT_OF_RANGE for an exact value that its type can't hold."""
    return spark_error(
        "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
        ErrorKind.ARITHMETIC,
        value=plain(unscaled, scale),
        precision=target.precision,
        scale=target.scale,
        config=ANSI_CONF,
    )


def plain(unscaled: int, scale: int) -> str:
    """An unscaled number in plain notation, every digit of the scale shown."""
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    sign = "-" if unscaled < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale > 0 else f"{sign}{digits}"


# ---- unscaled columns -------------------------------------------------------------------------------
def unscaled_of(column: pl.Series) -> pl.Series:
    """The unscaled Int128 numbers of a decimal column."""
    return column.to_physical()


def decimal_of(unscaled: pl.Series, target: DecimalType) -> pl.Series:
    """Unscaled Int128 numbers as a decimal column of a type."""
    return unscaled.reinterpret(dtype=pl.Decimal(max(target.precision, 1), target.scale))


def wide(value: int) -> pl.Series:
    """A constant to stand beside Int128 columns."""
    return pl.Series([value], dtype=pl.Int128)


def divide_half_up(column: pl.Series, divisor: pl.Series) -> pl.Series:
    """Quotients rounded half away from zero; NULL where the divisor is zero."""
    frame = pl.DataFrame({"a": column, "b": divisor}) if len(column) == len(divisor) else None
    a, b = (pl.col("a"), pl.col("b")) if frame is not None else (pl.lit(column), pl.lit(divisor))
    expression = half_up_quotient(a, b)
    return (frame.select(expression) if frame is not None else pl.select(expression)).to_series()


def half_up_quotient(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Integer quotient rounded half away from zero."""
    magnitude = b.abs()
    quotient = (a.abs() + magnitude // 2) // magnitude
    return pl.when((a < 0) != (b < 0)).then(0 - quotient).otherwise(quotient)


def rescaled(column: pl.Series, scale: int, target_scale: int) -> pl.Series:
    """Unscaled numbers at another scale, half up where digits fall away; the caller has seen that they fit."""
    if target_scale == scale:
        return column
    if target_scale > scale:
        return column * wide(10 ** (target_scale - scale))
    return divide_half_up(column, wide(10 ** (scale - target_scale)))


def rescale_int(value: int, scale: int, target_scale: int) -> int:
    """One unscaled number at another scale, half up."""
    if target_scale >= scale:
        return value * int(10 ** (target_scale - scale))
    return round_half_up(value, 10 ** (scale - target_scale))


def round_half_up(numerator: int, divisor: int) -> int:
    """Integer quotient rounded half away from zero."""
    magnitude = (2 * abs(numerator) + abs(divisor)) // (2 * abs(divisor))
    return -magnitude if (numerator < 0) != (divisor < 0) else magnitude


def fitted(
    rows: Rows, exact: pl.Series, scale: int, target: DecimalType, mode: EvalMode, certain: bool = False
) -> pl.Series:
    """Exact unscaled numbers as a decimal column: rounded to the scale, refused or NULL beyond the precision."""
    column = _rescaled_safely(exact, scale, target.scale)
    if not certain and column.dtype == pl.Int128:
        limit = 10**target.precision
        extent = bounds_of(column)
        if extent is not None and (extent[0] <= -limit or extent[1] >= limit):
            bad = (column >= wide(limit)) | (column <= wide(-limit))
            if mode is EvalMode.ANSI:
                rows.refuse(bad, lambda cell: out_of_range(cell, scale, target), exact)
            column = null_where(column, bad)
        return decimal_of(column, target)
    if column.dtype == pl.Int128:
        return decimal_of(column, target)
    return column


def _rescaled_safely(column: pl.Series, scale: int, target_scale: int) -> pl.Series:
    if target_scale > scale:
        factor = 10 ** (target_scale - scale)
        extent = bounds_of(column)
        if extent is not None and max(-extent[0], extent[1]) * factor > _INT128_MAX:
            # Beyond 128 bits is beyond 38 digits too: any number out of range stands for them.
            beyond = _INT128_MAX // factor
            column = pl.select(
                pl.when(pl.lit(column) > beyond)
                .then(pl.lit(beyond, pl.Int128))
                .when(pl.lit(column) < -beyond)
                .then(pl.lit(-beyond, pl.Int128))
                .otherwise(pl.lit(column))
            ).to_series()
    return rescaled(column, scale, target_scale)


def exact_rows(
    rows: Rows,
    columns: tuple[pl.Series, ...],
    compute: Callable[..., int | None],
    scale: int,
    target: DecimalType,
    mode: EvalMode,
) -> pl.Series:
    """Python's integers a row, for values whose exact result may not fit 128 bits.

    ``compute`` gives the unscaled result at the target's scale; ``scale`` is the one that errors show.
    """
    limit = 10**target.precision
    found: list[int | None] = []
    for row, cells in enumerate(zip(*[c.to_list() for c in columns], strict=True)):
        value = None if None in cells else compute(*cells)
        if value is not None and abs(value) >= limit:
            if mode is EvalMode.ANSI and rows.holds(row):
                raise out_of_range(value, target.scale, target)
            value = None
        found.append(value)
    return decimal_of(pl.Series(found, dtype=pl.Int128), target)


def largest(column: pl.Series) -> int:
    """The greatest magnitude of a column, 0 if it has no values."""
    extent = bounds_of(column)
    return 0 if extent is None else max(-extent[0], extent[1])


def unscaled(value: Any, scale: int) -> int:
    """One Python decimal as an unscaled integer at a scale (half up)."""
    sign, digits, exponent = Decimal(value).as_tuple()
    number = int("".join(map(str, digits)) or "0") * (-1 if sign else 1)
    return rescale_int(number, -int(exponent), scale)


# ---- operations on decimal columns ------------------------------------------------------------------
def add_columns(sign: int, left: DecimalType, right: DecimalType, target: DecimalType, mode: EvalMode) -> Any:
    """A column function for a + b (sign 1) or a - b (sign -1)."""
    scale = max(left.scale, right.scale)
    up_left, up_right = 10 ** (scale - left.scale), 10 ** (scale - right.scale)
    safe = max(left.precision - left.scale, right.precision - right.scale) + scale + 1 <= MAX_PRECISION

    def compute(a: int, b: int) -> int:
        return rescale_int(a * up_left + sign * b * up_right, scale, target.scale)

    def run(rows: Rows, first: pl.Series, second: pl.Series) -> pl.Series:
        a, b = unscaled_of(first), unscaled_of(second)
        if not safe and largest(a) * up_left + largest(b) * up_right > _INT128_MAX:
            return exact_rows(rows, (a, b), compute, scale, target, mode)
        a, b = rescaled(a, left.scale, scale), rescaled(b, right.scale, scale)
        return fitted(rows, a + b if sign > 0 else a - b, scale, target, mode, safe)

    return run


def multiply_columns(left: DecimalType, right: DecimalType, target: DecimalType, mode: EvalMode) -> Any:
    """A column function for a * b."""
    scale = left.scale + right.scale
    safe = left.precision + right.precision + 1 <= MAX_PRECISION

    def compute(a: int, b: int) -> int:
        return rescale_int(a * b, scale, target.scale)

    def run(rows: Rows, first: pl.Series, second: pl.Series) -> pl.Series:
        a, b = unscaled_of(first), unscaled_of(second)
        bound = 0 if safe else largest(a) * largest(b)
        if bound > _INT128_MAX // 2:
            return exact_rows(rows, (a, b), compute, scale, target, mode)
        fits = safe or (scale == target.scale and bound < 10**target.precision)
        return fitted(rows, a * b, scale, target, mode, fits)

    return run


def divide_columns(left: DecimalType, right: DecimalType, target: DecimalType, mode: EvalMode) -> Any:
    """A column function for a / b; NULL where b is zero (the caller has raised already)."""
    shift = target.scale - left.scale + right.scale

    def compute(a: int, b: int) -> int | None:
        if b == 0:
            return None
        return round_half_up(a * 10**shift, b) if shift >= 0 else round_half_up(a, b * 10**-shift)

    def run(rows: Rows, first: pl.Series, second: pl.Series) -> pl.Series:
        a, b = unscaled_of(first), unscaled_of(second)
        up, down = 10 ** max(shift, 0), 10 ** max(-shift, 0)
        if largest(a) * up + largest(b) * down > _INT128_MAX // 4:
            return exact_rows(rows, (a, b), compute, target.scale, target, mode)
        quotients = divide_half_up(a * wide(up) if up > 1 else a, b * wide(down) if down > 1 else b)
        return fitted(rows, quotients, target.scale, target, mode)

    return run


def remainder_columns(
    left: DecimalType, right: DecimalType, target: DecimalType, mode: EvalMode, positive: bool
) -> Any:
    """A column function for a % b (sign of a) or pmod(a, b); NULL where b is zero."""
    scale = max(left.scale, right.scale)
    up_left, up_right = 10 ** (scale - left.scale), 10 ** (scale - right.scale)

    def compute(a: int, b: int) -> int | None:
        if b == 0:
            return None
        value = java_remainder(a * up_left, b * up_right)
        if positive and value < 0:
            value = java_remainder(value + b * up_right, b * up_right)
        return rescale_int(value, scale, target.scale)

    def run(rows: Rows, first: pl.Series, second: pl.Series) -> pl.Series:
        a, b = unscaled_of(first), unscaled_of(second)
        if largest(a) * up_left + largest(b) * up_right > _INT128_MAX // 4:
            return exact_rows(rows, (a, b), compute, scale, target, mode)
        frame = pl.DataFrame({"a": rescaled(a, left.scale, scale), "b": rescaled(b, right.scale, scale)})
        value = integer_remainder(pl.col("a"), pl.col("b"))
        found = frame.with_columns(r=value)
        if positive:
            again = integer_remainder(pl.col("r") + pl.col("b"), pl.col("b"))
            found = found.with_columns(r=pl.when(pl.col("r") < 0).then(again).otherwise(pl.col("r")))
        return fitted(rows, found.get_column("r"), scale, target, mode)

    return run


def java_remainder(a: int, b: int) -> int:
    """Remainder with the sign of the dividend."""
    value = abs(a) % abs(b)
    return -value if a < 0 else value


def integer_remainder(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Integer remainder with the sign of the dividend; NULL where the divisor is zero."""
    floored = a % b
    return pl.when((floored != 0) & ((a < 0) != (b < 0))).then(floored - b).otherwise(floored)


def integer_quotient(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Integer quotient truncated toward zero; NULL where the divisor is zero."""
    floored = a // b
    return pl.when((floored < 0) & (floored * b != a)).then(floored + 1).otherwise(floored)


def integral_divide_columns(left: DecimalType, right: DecimalType) -> Any:
    """A column function for a div b on decimals: a long; NULL where b is zero."""
    scale = max(left.scale, right.scale)
    up_left, up_right = 10 ** (scale - left.scale), 10 ** (scale - right.scale)

    def run(rows: Rows, first: pl.Series, second: pl.Series) -> pl.Series:
        a, b = unscaled_of(first), unscaled_of(second)
        if largest(a) * up_left + largest(b) * up_right <= _INT128_MAX // 4:
            frame = pl.DataFrame({"a": rescaled(a, left.scale, scale), "b": rescaled(b, right.scale, scale)})
            return frame.select(integer_quotient(pl.col("a"), pl.col("b"))).to_series()
        cells = zip(a.to_list(), b.to_list(), strict=True)
        return pl.Series([_truncated(x, y, up_left, up_right) for x, y in cells], dtype=pl.Int128)

    return run


def _truncated(a: int | None, b: int | None, up_left: int, up_right: int) -> int | None:
    if a is None or not b:
        return None
    x, y = a * up_left, b * up_right
    value = abs(x) // abs(y)
    return -value if (x < 0) != (y < 0) else value
