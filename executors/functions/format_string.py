"""format_string and printf: Java's Formatter over a row's values."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.java_numbers import java_double, java_float
from voltray.executors.functions.registry import ANY, STRING_INPUT, Function, Parameter, Signature
from voltray.executors.functions.string import constant
from voltray.proto.expressions import Expression, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    STRING,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
)  # fmt: skip

_SPECIFIER = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)?(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_WIDTHS: dict[type[DataType], int] = {ByteType: 8, ShortType: 16, IntegerType: 32, LongType: 64}
_WIDE = Context(prec=400)


def _mismatch(conversion: str, value: Any) -> SparkError:
    return spark_error(
        "INVALID_PARAMETER_VALUE.PATTERN",
        ErrorKind.ILLEGAL_ARGUMENT,
        message=f"{conversion} != {type(value).__name__}",
        functionName="`format_string`",
        parameter="`strfmt`",
        value=conversion,
    )


def java_format(pattern: str, values: tuple[Any, ...], types: tuple[DataType, ...]) -> str:
    """One row's text."""
    pieces: list[str] = []
    at = following = 0
    last = -1
    for match in _SPECIFIER.finditer(pattern):
        pieces.append(pattern[at : match.start()])
        at = match.end()
        index, flags, width, precision, conversion = match.groups()
        if conversion in "n%":
            pieces.append(_padded("\n" if conversion == "n" else "%", flags or "", width))
            continue
        if "<" in (flags or ""):
            position = last
        elif index is not None:
            position = int(index) - 1
        else:
            position = following
            following += 1
        last = position
        if not 0 <= position < len(values):
            raise spark_error(
                "INVALID_PARAMETER_VALUE.PATTERN", ErrorKind.ILLEGAL_ARGUMENT,
                message=f"Format specifier '{match.group()}'", functionName="`format_string`", parameter="`strfmt`",
                value=match.group(),
            )  # fmt: skip
        text = _converted(conversion, flags or "", width, precision, values[position], types[position])
        pieces.append(text)
    pieces.append(pattern[at:])
    return "".join(pieces)


def _padded(text: str, flags: str, width: str | None) -> str:
    if width is None:
        return text
    wide = int(width) - sum(ord(c) > 0xFFFF for c in text)  # Java counts a character beyond the BMP as two
    return text.ljust(wide) if "-" in flags else text.rjust(wide)


def _converted(
    conversion: str, flags: str, width: str | None, precision: str | None, value: Any, dtype: DataType
) -> str:
    lower = conversion.lower()
    if lower in "sbh" or value is None:
        text = _general(lower, value, dtype)
        if precision is not None:
            text = text[: int(precision)]
    elif lower == "c":
        text = value if isinstance(value, str) else chr(value)
        if isinstance(value, str):
            raise _mismatch(conversion, value)
    elif lower == "d":
        if isinstance(value, bool) or not isinstance(value, int):
            raise _mismatch(conversion, value)
        return _signed(f"{abs(value):,}" if "," in flags else str(abs(value)), value < 0, flags, width)
    elif lower in "xo":
        text = _unsigned(lower, value, flags, dtype)
        if "0" in flags and width is not None:
            text = text.rjust(int(width), "0")
    else:
        text = _floating(lower, flags, width, precision, value)
    if conversion.isupper():
        text = text.upper()
    return _padded(text, flags, width)


def _general(conversion: str, value: Any, dtype: DataType) -> str:
    if conversion == "b":
        return "false" if value is None else str(value).lower() if isinstance(value, bool) else "true"
    if value is None:
        return "null"
    if conversion == "h":
        return f"{hash_code(value) & 0xFFFFFFFF:x}"
    return java_text(value, dtype)


def java_text(value: Any, dtype: DataType) -> str:
    """A value as Java's toString gives it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(dtype, FloatType):
        return java_float(value)
    if isinstance(dtype, DoubleType):
        return java_double(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def hash_code(value: Any) -> int:
    """The hash of a string as Spark's own strings give it (Murmur3 from 42); a number's is Java's."""
    if isinstance(value, str):
        from voltray.executors.functions.hash_columns import MURMUR3, hash_columns

        return int(hash_columns(MURMUR3, [pl.Series([value])], [STRING], 42)[0])
    if isinstance(value, bool):
        return 1231 if value else 1237
    return int(value) if isinstance(value, int) else 0


def _signed(digits: str, negative: bool, flags: str, width: str | None) -> str:
    before, after = "", ""
    if negative:
        before, after = ("(", ")") if "(" in flags else ("-", "")
    elif "+" in flags:
        before = "+"
    elif " " in flags:
        before = " "
    if "0" in flags and width is not None:
        digits = digits.rjust(int(width) - len(before) - len(after), "0")
    return _padded(before + digits + after, flags, width)


def _unsigned(conversion: str, value: Any, flags: str, dtype: DataType) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _mismatch(conversion, value)
    number = value % (1 << _WIDTHS.get(type(dtype), 64))
    text = f"{number:{conversion}}"
    return ("0x" if conversion == "x" else "0") + text if "#" in flags else text


def _floating(conversion: str, flags: str, width: str | None, precision: str | None, value: Any) -> str:
    if conversion not in "efg" or isinstance(value, bool) or not isinstance(value, (float, Decimal)):
        raise _mismatch(conversion, value)
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return _signed("NaN" if value != value else "Infinity", value < 0, flags.replace("0", ""), width)
    number = Decimal(repr(value)) if isinstance(value, float) else value
    places = 6 if precision is None else int(precision)
    digits = _digits(conversion, abs(number), places)
    if "," in flags and conversion != "e":
        whole, dot, rest = digits.partition(".")
        digits = f"{int(whole):,}{dot}{rest}"
    negative = number.is_signed()
    return _signed(digits, negative, flags, width)


def _digits(conversion: str, number: Decimal, places: int) -> str:
    if conversion == "f":
        return f"{number.quantize(Decimal((0, (1,), -places)), rounding=ROUND_HALF_UP, context=_WIDE):f}"
    if conversion == "e":
        return _scientific(number, places)
    significant = places or 1
    rounded = Context(prec=significant, rounding=ROUND_HALF_UP).plus(number)
    if number == 0 or Decimal("1e-4") <= rounded < Decimal(10) ** significant:
        left = significant - (rounded.adjusted() + 1 if rounded else 1)
        return f"{rounded.quantize(Decimal((0, (1,), -max(left, 0))), context=_WIDE):f}"
    return _scientific(number, significant - 1)


def _scientific(number: Decimal, places: int) -> str:
    if number == 0:
        return f"{0:.{places}f}e+00"
    rounded = Context(prec=places + 1, rounding=ROUND_HALF_UP).plus(number)
    exponent = rounded.adjusted()
    mantissa = rounded.scaleb(-exponent, context=_WIDE)
    text = f"{mantissa.quantize(Decimal((0, (1,), -places)), context=_WIDE):f}"
    return f"{text}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _body(evaluation: Evaluation, pattern: pl.Expr, *values: pl.Expr) -> pl.Expr:
    types = tuple(dtype_of(a) for a in evaluation.call.args[1:])

    def run(rows: Rows, patterns: pl.Series, *columns: pl.Series) -> pl.Series:
        cells = [_internal(c, t).to_list() for c, t in zip(columns, types, strict=True)]
        texts = patterns.to_list()
        found: list[str | None] = []
        for position, text in enumerate(texts):
            if text is None or not rows.holds(position):
                found.append(None)
                continue
            found.append(java_format(text, tuple(c[position] for c in cells), types))
        return pl.Series(found, dtype=pl.String)

    return evaluation.columnwise(run, pattern, *values)


_AS_THEY_ARE = (DecimalType, StringType)


def _internal(column: pl.Series, dtype: DataType) -> pl.Series:
    """Values as Spark holds them: dates are days, timestamps microseconds."""
    if isinstance(dtype, _AS_THEY_ARE) or column.dtype.is_nested():
        return column
    return column.to_physical()


def _resolve(resolution: Any) -> Expression:
    pattern = constant(resolution.args[0])
    if isinstance(pattern, str) and "%0$" in pattern:
        raise resolution.error(
            "INVALID_PARAMETER_VALUE.ZERO_INDEX", parameter="`strfmt`", functionName="`format_string`"
        )
    return resolution.call((resolution.coerce(0, STRING), *resolution.args[1:]))  # type: ignore[no-any-return]


def _pattern_nullable(args: tuple[Expression, ...]) -> bool:
    return nullable_of(args[0])


_SIGNATURE = Signature((Parameter("strfmt", STRING_INPUT), Parameter("obj", ANY)), repeated=1, minimum=1)


def _entry(name: str) -> Function:
    return Function(
        (name,), _SIGNATURE, STRING, _body, resolve=_resolve, nullable=_pattern_nullable, notes="A loop a row."
    )


FUNCTIONS: tuple[Function, ...] = (_entry("format_string"), _entry("printf"))
