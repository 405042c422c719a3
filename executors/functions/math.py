"""Mathematical functions of doubles, and number bases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import math_strict
from voltray.executors.functions.arithmetic import exact_quotient, mode_of
from voltray.executors.functions.columns import by_unique, by_unique_rows, null_where, overflow_error
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.registry import (
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import EvalMode, dtype_of
from voltray.proto.types import (
    BINARY,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    BinaryType,
    DayTimeIntervalType,
    DoubleType,
    LongType,
    StringType,
    YearMonthIntervalType,
)  # fmt: skip

_DOUBLE = accepts_type(DOUBLE)
_ONE = parameters(("expr", _DOUBLE))
_TWO = parameters(("expr1", _DOUBLE), ("expr2", _DOUBLE))
_DEGREES, _RADIANS = 57.29577951308232, 0.017453292519943295


def _through_numpy(function: Callable[..., Any]) -> Callable[..., pl.Series]:
    """A NumPy function of doubles as a column function; NULL stays NULL."""

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        missing = columns[0].is_null()
        for column in columns[1:]:
            missing = missing | column.is_null()
        with np.errstate(all="ignore"):
            found = pl.Series(function(*[c.fill_null(1.0).to_numpy() for c in columns]))
        return null_where(found, missing)

    return run


def _numpy(function: Callable[..., Any]) -> Callable[..., pl.Expr]:
    run = _through_numpy(function)
    return lambda evaluation, *values: evaluation.columnwise(run, *values)


def _expression(function: Callable[[pl.Expr], pl.Expr]) -> Callable[..., pl.Expr]:
    return lambda evaluation, value: function(value)


def _positive_only(function: Callable[[pl.Expr], pl.Expr], above: float = 0.0) -> Callable[..., pl.Expr]:
    """NULL where the argument is not above a bound (NaN passes)."""
    return lambda evaluation, value: pl.when(value <= above).then(None).otherwise(function(value))


def _unary(name: str, body: Callable[..., pl.Expr], *more: str, nullable: Any = always_nullable) -> Function:
    return Function((name, *more), _ONE, DOUBLE, body, nullable=nullable, display=_upper(name))


def _upper(name: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name.upper()}({', '.join(names)})"


def _acosh(x: Any) -> Any:
    return math_strict.log(x + np.sqrt(x * x - 1.0))


def _asinh(x: Any) -> Any:
    return np.where(np.isneginf(x), x, math_strict.log(x + np.sqrt(x * x + 1.0)))


def _atanh(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return 0.5 * (value.log1p() - (-value).log1p())


_LN2 = math.log(2.0)


def _of_positive(function: Callable[..., Any]) -> Callable[..., pl.Expr]:
    """A NumPy function of doubles; NULL where one is not above zero (NaN passes)."""
    run = _through_numpy(function)

    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        outside = pl.any_horizontal([v <= 0 for v in values]) if len(values) > 1 else values[0] <= 0
        return pl.when(outside).then(None).otherwise(evaluation.columnwise(run, *values))

    return body


def _log_to_base(base: Any, x: Any) -> Any:
    return math_strict.log(x) / math_strict.log(base)


_ln, _any_log = _of_positive(math_strict.log), _of_positive(_log_to_base)


def _log(evaluation: Evaluation, *args: pl.Expr) -> pl.Expr:
    return _ln(evaluation, *args) if len(args) == 1 else _any_log(evaluation, *args)


def _log_name(names: tuple[str, ...]) -> str:
    return f"LOG({', '.join(names if len(names) > 1 else ('E()', *names))})"


def _atan2(y: Any, x: Any) -> Any:
    return math_strict.atan2(y + 0.0, x + 0.0)


def _sign(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    dtype = dtype_of(evaluation.call.args[0])
    number = value if isinstance(dtype, DoubleType) else value.to_physical().cast(pl.Float64)
    # Polars holds NaN greater than any number.
    signed = pl.when(number > 0).then(1.0).when(number < 0).then(-1.0).otherwise(number)
    return pl.when(number.is_nan()).then(number).otherwise(signed)


def _constant(value: float) -> Callable[..., pl.Expr]:
    return lambda evaluation: pl.lit(value, pl.Float64)


def _factorial(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    table = pl.Series([math.factorial(n) for n in range(21)], dtype=pl.Int64)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        inside = column.is_between(0, 20)
        return table.gather(null_where(column, ~inside).cast(pl.UInt32))

    return evaluation.columnwise(run, value)


# ---- number bases -------------------------------------------------------------------------------------
_UNSIGNED = 1 << 64


def _hex(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    dtype = dtype_of(evaluation.call.args[0])
    if isinstance(dtype, LongType):
        return evaluation.columnwise(lambda rows, c: by_unique(c, lambda v: f"{v % _UNSIGNED:X}", pl.String()), value)
    raw = value if isinstance(dtype, BinaryType) else value.cast(pl.Binary)
    return raw.bin.encode("hex").str.to_uppercase()


def _unhex(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    even = pl.when(value.str.len_bytes() % 2 == 1).then(pl.lit("0") + value).otherwise(value)
    return even.str.decode("hex", strict=False)


def _bin(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return evaluation.columnwise(lambda rows, c: by_unique(c, lambda v: f"{v % _UNSIGNED:b}", pl.String()), value)


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OVERFLOW = object()


def convert_base(text: str, source: int, target: int) -> Any:
    """One number from a base to another as Hive does; OVERFLOW beyond 64 bits."""
    if not 2 <= source <= 36 or not 2 <= abs(target) <= 36 or not text:
        return None
    text = text.strip(" ")
    if not text:
        return None
    negative = text.startswith("-")
    value = 0
    for character in text[negative:].upper():
        digit = _DIGITS.find(character)
        if digit < 0 or digit >= source:
            break
        value = value * source + digit
        if value >= _UNSIGNED:
            return OVERFLOW
    if negative:
        value = (_UNSIGNED - value) % _UNSIGNED if target > 0 or value >= 1 << 63 else -value
    if target < 0 and value >= 1 << 63:
        value -= _UNSIGNED
    return ("-" if value < 0 else "") + _in_base(abs(value), abs(target))


def _in_base(value: int, base: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, base)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _conv(evaluation: Evaluation, value: pl.Expr, source: pl.Expr, target: pl.Expr) -> pl.Expr:
    raises = mode_of(evaluation) is EvalMode.ANSI and evaluation.guard is not NEVER

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        def convert(text: str, from_base: int, to_base: int) -> str | None:
            found = convert_base(text, from_base, to_base)
            if found is not OVERFLOW:
                return found  # type: ignore[no-any-return]
            overflowed.append(text)
            return _in_base(_UNSIGNED - 1, abs(to_base)) if to_base > 0 else "-1"

        overflowed: list[str] = []
        found = by_unique_rows(list(columns), convert, pl.String())
        if overflowed and raises:
            rows.refuse(columns[0].is_in(overflowed), lambda: overflow_error("Overflow in function conv()"))
        return found

    return evaluation.columnwise(run, value, source, target)


# ---- width_bucket -------------------------------------------------------------------------------------
def _width_bucket(evaluation: Evaluation, value: pl.Expr, low: pl.Expr, high: pl.Expr, count: pl.Expr) -> pl.Expr:
    if not isinstance(dtype_of(evaluation.call.args[0]), DoubleType):
        value, low, high = (e.to_physical().cast(pl.Float64) for e in (value, low, high))
    finite = low.is_finite() & high.is_finite() & ~value.is_nan()
    valid = finite & (low != high) & (count > 0) & (count != (1 << 63) - 1)
    start, end = pl.min_horizontal(low, high), pl.max_horizontal(low, high)
    up, down = exact_quotient(value - low, high - low), exact_quotient(low - value, low - high)
    position = pl.when(low < high).then(up).otherwise(down)
    inside = (count * position).cast(pl.Int64, strict=False) + 1
    below = pl.when(low < high).then(value < start).otherwise(value > end)
    beyond = pl.when(low < high).then(value >= end).otherwise(value <= start)
    bucket = pl.when(below).then(pl.lit(0, pl.Int64)).when(beyond).then(count + 1).otherwise(inside)
    return pl.when(valid).then(bucket)


_INTERVAL_OR_DOUBLE = Accept(
    (DoubleType, DayTimeIntervalType, YearMonthIntervalType), (DOUBLE,),
    '("DOUBLE" or "INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH")',
)  # fmt: skip
_BUCKETED = Accept(
    (DoubleType, DayTimeIntervalType, YearMonthIntervalType), (DOUBLE,),
    '("DOUBLE" or "INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH")', common="T",
)  # fmt: skip
_LONG, _INT, _STRING = accepts_type(LONG), accepts_type(INTEGER), accepts_type(STRING)
_HEX = Accept((LongType, BinaryType, StringType), (LONG, BINARY, STRING), '("BIGINT" or "BINARY" or "STRING")')

FUNCTIONS: tuple[Function, ...] = (
    _unary("acos", _numpy(math_strict.acos)),
    _unary("acosh", _numpy(_acosh)),
    _unary("asin", _numpy(math_strict.asin)),
    _unary("asinh", _numpy(_asinh)),
    _unary("atan", _numpy(math_strict.atan)),
    _unary("atanh", _atanh),
    _unary("cbrt", _numpy(math_strict.cbrt)),
    _unary("cos", _expression(lambda v: v.cos())),
    _unary("cosh", _numpy(math_strict.cosh)),
    _unary("cot", _expression(lambda v: 1.0 / v.tan())),
    _unary("csc", _expression(lambda v: 1.0 / v.sin())),
    _unary("sec", _expression(lambda v: 1.0 / v.cos())),
    _unary("sin", _expression(lambda v: v.sin())),
    _unary("sinh", _numpy(math_strict.sinh)),
    _unary("tan", _expression(lambda v: v.tan())),
    _unary("tanh", _numpy(math_strict.tanh)),
    _unary("degrees", _expression(lambda v: v * _DEGREES)),
    _unary("radians", _expression(lambda v: v * _RADIANS)),
    _unary("exp", _numpy(math_strict.exp)),
    _unary("expm1", _numpy(math_strict.expm1)),
    _unary("sqrt", _expression(lambda v: v.sqrt())),
    _unary("log10", _of_positive(math_strict.log10)),
    _unary("log2", _of_positive(lambda x: math_strict.log(x) / _LN2)),
    _unary("log1p", _positive_only(lambda v: v.log1p(), -1.0), nullable=always_nullable),
    Function(("ln",), _ONE, DOUBLE, _ln, nullable=always_nullable),
    Function(("rint",), _ONE, DOUBLE, _numpy(np.rint), nullable=always_nullable),
    Function(
        ("log",),
        Signature((Parameter("base", _DOUBLE), Parameter("expr", _DOUBLE, optional=True))),
        DOUBLE,
        _log,
        nullable=always_nullable,
        display=_log_name,
    ),
    Function(("pow",), _TWO, DOUBLE, _numpy(math_strict.power)),
    Function(("power",), _TWO, DOUBLE, _numpy(math_strict.power), display=_upper("power")),
    Function(("hypot",), _TWO, DOUBLE, _numpy(math_strict.hypot), display=_upper("hypot")),
    Function(("atan2",), _TWO, DOUBLE, _numpy(_atan2), display=_upper("atan2")),
    Function(
        ("signum",), parameters(("expr", _INTERVAL_OR_DOUBLE)), DOUBLE, _sign, nullable=always_nullable,
        display=_upper("signum"),
    ),
    Function(("sign",), parameters(("expr", _INTERVAL_OR_DOUBLE)), DOUBLE, _sign, nullable=always_nullable),
    Function(("e",), Signature(), DOUBLE, _constant(math.e), display=_upper("e")),
    Function(("pi",), Signature(), DOUBLE, _constant(math.pi), display=_upper("pi")),
    Function(("factorial",), parameters(("expr", _INT)), LONG, _factorial, nullable=always_nullable),
    Function(("hex",), parameters(("expr", _HEX)), STRING, _hex, notes="Longs: a loop a distinct value."),
    Function(("unhex",), parameters(("expr", _STRING)), BINARY, _unhex, nullable=always_nullable),
    Function(("bin",), parameters(("expr", _LONG)), STRING, _bin, notes="A loop a distinct value."),
    Function(
        ("conv",), parameters(("num", _STRING), ("from_base", _INT), ("to_base", _INT)), STRING, _conv,
        nullable=always_nullable, notes="A loop a distinct value: 64-bit unsigned digits in any base.",
    ),
    Function(
        ("width_bucket",),
        parameters(("value", _BUCKETED), ("min_value", _BUCKETED), ("max_value", _BUCKETED), ("num_bucket", _LONG)),
        LONG, _width_bucket, nullable=always_nullable,
    ),
)  # fmt: skip
