"""Casts of strings to numbers, booleans and binary, by the grammar that Java and Spark read."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

import polars as pl

from voltray.executors.functions.cast_numeric import FLOATING, INTEGRAL
from voltray.executors.functions.casting import Casting, Conversion
from voltray.executors.functions.columns import by_unique, null_where
from voltray.executors.functions.decimal import decimal_of, out_of_range, unscaled
from voltray.executors.functions.evaluation import Rows
from voltray.proto.expressions import EvalMode
from voltray.proto.types import (
    BinaryType,
    BooleanType,
    DataType,
    DecimalType,
    StringType,
    carrier,
)  # fmt: skip

# UTF8String.trimAll: white space and control characters of one byte.
TRIMMED = "".join(map(chr, [*range(0x21), 0x7F]))
_TRUE, _FALSE = ("t", "true", "y", "yes", "1"), ("f", "false", "n", "no", "0")
_JAVA_DOUBLE = re.compile(r"[+-]?(NaN|Infinity|((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)[fFdD]?)", re.ASCII)
_HEX_DOUBLE = re.compile(r"([+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+)[fFdD]?")
_SPECIAL = {
    "inf": "inf", "+inf": "inf", "infinity": "inf", "+infinity": "inf", "-inf": "-inf", "-infinity": "-inf",
    "nan": "nan",
}  # fmt: skip
_PLAIN_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def string_to_integral(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Digits with a sign; legacy mode also takes (and drops) a fraction."""
    dtype = carrier(casting.target)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        found = column.cast(dtype, strict=False)
        if found.null_count() == column.null_count():
            return found
        text = column.str.strip_chars(TRIMMED)
        if casting.mode is EvalMode.LEGACY:
            text = text.str.replace(r"^([+-]?)(\d*)\.\d*$", "${1}0$2")
        return casting.refuse_nulls(rows, text.cast(dtype, strict=False), column)

    return casting.columnwise(run, value)


def string_to_floating(casting: Casting, value: pl.Expr) -> pl.Expr:
    """What ``Double.parseDouble`` reads, and inf, infinity, nan in any case."""
    dtype = carrier(casting.target)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        found = column.cast(dtype, strict=False)
        if found.null_count() > column.null_count():
            rest = by_unique(column.filter(found.is_null() & column.is_not_null()), read_double, pl.Float64())
            positions = (found.is_null() & column.is_not_null()).arg_true()
            found = found.scatter(positions, rest.cast(dtype))
        return casting.refuse_nulls(rows, found, column)

    return casting.columnwise(run, value)


def read_double(text: str) -> float | None:
    """One string as a double, None where Java would refuse it."""
    trimmed = text.strip(TRIMMED[:33])
    special = _SPECIAL.get(trimmed.lower())
    if special is not None:
        return float(special)
    if _JAVA_DOUBLE.fullmatch(trimmed):
        return float(trimmed.rstrip("fFdD"))
    hexadecimal = _HEX_DOUBLE.fullmatch(trimmed)
    return float.fromhex(hexadecimal[1]) if hexadecimal else None


def string_to_decimal(casting: Casting, value: pl.Expr) -> pl.Expr:
    """Digits with sign, point and exponent, half up."""
    target = casting.target
    assert isinstance(target, DecimalType)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        # Polars reads plain short numbers at their own scale; the rest go through Python's decimals.
        text = column.str.strip_chars(TRIMMED)
        plain = text.str.contains(r"^[+-]?\d{1,18}(?:\.\d{1,9})?$").fill_null(False)
        numbers = null_where(text, ~plain).cast(pl.Decimal(38, 9), strict=False).to_physical()
        exact = _rounded(numbers, target)
        if plain.sum() == len(column) - column.null_count() and exact is not None:
            return decimal_of(exact, target)
        return _decimals(casting, rows, column, target)

    return casting.columnwise(run, value)


def _rounded(numbers: pl.Series, target: DecimalType) -> pl.Series | None:
    from voltray.executors.functions.decimal import largest, rescaled

    if target.scale > 19:
        return None
    found = rescaled(numbers, 9, target.scale)
    return found if largest(found) < 10**target.precision else None


def _decimals(casting: Casting, rows: Rows, column: pl.Series, target: DecimalType) -> pl.Series:
    """A loop a distinct value, for exponents, long numbers, and telling what is wrong."""
    limit = 10**target.precision
    beyond: dict[str, Decimal] = {}

    def read(text: str) -> int | None:
        exact = read_decimal(text)
        if exact is None:
            return None
        adjusted = exact.adjusted()
        value = unscaled(exact, target.scale) if adjusted < 80 else limit
        if abs(value) < limit:
            return value
        beyond[text] = exact
        return None

    found = by_unique(column, read, pl.Int128())
    if casting.raises and found.null_count() > column.null_count():
        row = rows.first(found.is_null() & column.is_not_null())
        if row is not None:
            exact = beyond.get(column[row])
            if exact is None:
                raise casting.invalid(column[row])
            scale = max(-int(exact.as_tuple().exponent), 0)
            raise out_of_range(unscaled(exact, scale), scale, target)
    return decimal_of(found, target)


def read_decimal(text: str) -> Decimal | None:
    """One string as an exact decimal, None where Java would refuse it."""
    trimmed = text.strip(TRIMMED)
    if not _PLAIN_DECIMAL.fullmatch(trimmed):
        return None
    try:
        return Decimal(trimmed)
    except InvalidOperation:
        return None


def string_to_boolean(casting: Casting, value: pl.Expr) -> pl.Expr:
    """t true y yes 1, f false n no 0, in any case."""

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        text = column.str.strip_chars(TRIMMED).str.to_lowercase()
        truth = text.is_in(_TRUE)
        return casting.refuse_nulls(rows, null_where(truth, ~truth & ~text.is_in(_FALSE)), column)

    return casting.columnwise(run, value)


def string_to_binary(casting: Casting, value: pl.Expr) -> pl.Expr:
    """The UTF-8 bytes."""
    return value.cast(pl.Binary)


CASTS: dict[tuple[type[DataType], type[DataType]], Conversion] = {
    **{(StringType, t): string_to_integral for t in INTEGRAL},
    **{(StringType, t): string_to_floating for t in FLOATING},
    (StringType, DecimalType): string_to_decimal,
    (StringType, BooleanType): string_to_boolean,
    (StringType, BinaryType): string_to_binary,
}
