"""Floating point numbers as Java prints them: 1.0E10, NaN, Infinity."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

# Java 17, which the reference runs on, prints whole numbers beyond the mantissa with the digits that their last
# binary digit still tells apart, not with the fewest. So: bits of the mantissa, up to 63.
_LAST_WHOLE = float(1 << 63)


def java_double(value: float) -> str:
    """One double as ``Double.toString`` gives it."""
    return _one(value, 53) or _java(value, repr(float(value)))


def java_float(value: float) -> str:
    """One float (single precision) as ``Float.toString`` gives it."""
    return _one(value, 24) or _java(value, str(np.float32(value)))


def _one(value: float, bits: int) -> str | None:
    if not float(1 << bits) <= abs(value) < _LAST_WHOLE:
        return None
    return str(_whole_numbers(pl.Series([float(value)]), bits)[0])


def _whole_numbers(column: pl.Series, bits: int) -> pl.Series:
    """Whole numbers of more bits than the mantissa, as text."""
    values = column.cast(pl.Float64).to_numpy()
    sizes = np.abs(values).astype(np.int64)
    spare = np.frexp(np.abs(values))[1].astype(np.int64) - 1 - bits - 1
    dropped = np.where(spare > 1, np.floor(spare * np.log10(2.0) + 1e-12), 0).astype(np.int64)
    powers = 10**dropped
    kept = sizes // powers + (sizes % powers >= np.maximum(powers // 2, 1))
    frame = pl.DataFrame({"kept": kept, "dropped": dropped, "negative": values < 0})
    digits = pl.col("kept").cast(pl.String)
    short = digits.str.strip_chars_end("0")
    rest = short.str.slice(1)
    exponent = digits.str.len_bytes().cast(pl.Int64) - 1 + pl.col("dropped")
    sign = pl.when("negative").then(pl.lit("-")).otherwise(pl.lit(""))
    tail = pl.when(rest == "").then(pl.lit("0")).otherwise(rest)
    text = sign + short.str.slice(0, 1) + pl.lit(".") + tail + pl.lit("E") + exponent.cast(pl.String)
    return frame.select(text).to_series()


def _java(value: float, shortest: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0.0"
    mantissa, _, exponent = shortest.lstrip("-").lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    if 1e-3 <= abs(value) < 1e7:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"
    if digits == "5" and abs(value) == 5e-324:
        digits = "49"  # the reference prints Double.MIN_VALUE so
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}"


def java_strings(column: pl.Series) -> pl.Series:
    """A column of floats or doubles as Java prints them."""
    text = column.cast(pl.String)
    size = column.abs()
    odd = ~((size >= 1e-3) & (size < 1e7) | (size == 0)) | column.is_nan()
    if not odd.any():
        return text
    frame = pl.DataFrame({"x": text, "odd": odd.fill_null(False)})
    found = frame.select(pl.when("odd").then(_scientific(pl.col("x"))).otherwise("x")).to_series()
    bits = 24 if column.dtype == pl.Float32 else 53
    whole = ((size >= float(1 << bits)) & (size < _LAST_WHOLE)).arg_true()
    return found.scatter(whole, _whole_numbers(column.gather(whole), bits)) if len(whole) else found


def _scientific(text: pl.Expr) -> pl.Expr:
    """Shortest decimal text (plain or with an exponent) in Java's scientific notation."""
    sign = pl.when(text.str.starts_with("-")).then(pl.lit("-")).otherwise(pl.lit(""))
    parts = text.str.strip_chars_start("-").str.split_exact("e", 1)
    mantissa = parts.struct.field("field_0")
    exponent = parts.struct.field("field_1").str.strip_chars_start("+").cast(pl.Int32, strict=False).fill_null(0)
    halves = mantissa.str.split_exact(".", 1)
    whole = halves.struct.field("field_0")
    fraction = halves.struct.field("field_1").fill_null("")
    every = whole + fraction
    digits = every.str.strip_chars_start("0")
    zeros = every.str.len_bytes().cast(pl.Int32) - digits.str.len_bytes().cast(pl.Int32)
    point = whole.str.len_bytes().cast(pl.Int32) + exponent - zeros - 1
    short = digits.str.strip_chars_end("0")
    rest = short.str.slice(1)
    tail = pl.when(rest == "").then(pl.lit("0")).otherwise(rest)
    number = sign + short.str.slice(0, 1) + pl.lit(".") + tail + pl.lit("E") + point.cast(pl.String)
    least = text.str.strip_chars_start("-") == "5e-324"
    return (
        pl.when(text == "NaN").then(pl.lit("NaN"))
        .when(text == "inf").then(pl.lit("Infinity"))
        .when(text == "-inf").then(pl.lit("-Infinity"))
        .when(least).then(sign + pl.lit("4.9E-324"))
        .otherwise(number)
    )  # fmt: skip
