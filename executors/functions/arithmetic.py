"""Arithmetic operators: + - * / % div pmod, signs, and their try_ forms, on every numeric and interval type."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions.columns import (
    INTEGER_LIMITS,
    JAVA_NAMES,
    bounds_of,
    divide_by_zero,
    limits_of,
    null_where,
    overflow_error,
)  # fmt: skip
from voltray.executors.functions.decimal import (
    add_columns,
    divide_columns,
    integer_quotient,
    integer_remainder,
    integral_divide_columns,
    multiply_columns,
    remainder_columns,
)  # fmt: skip
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
)  # fmt: skip
from voltray.proto.coercion import decimal_result
from voltray.proto.expressions import Cast, EvalMode, Expression, Literal, dtype_of, references
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    DOUBLE,
    LONG,
    CalendarIntervalType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    NumericType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

_INTERVALS = (DayTimeIntervalType, YearMonthIntervalType, CalendarIntervalType)


def mode_of(evaluation: Evaluation) -> EvalMode:
    """The call's mode; functions named try_... give NULL whatever the session says."""
    call = evaluation.call
    return EvalMode.TRY if call.name.startswith("try_") else call.mode


def argument_types(evaluation: Evaluation) -> tuple[DataType, ...]:
    """Types of the call's arguments."""
    return tuple(dtype_of(a) for a in evaluation.call.args)


# ---- integers: + - * ---------------------------------------------------------------------------------
def _wrapped_sum(a: pl.Series, b: pl.Series, sign: int) -> tuple[pl.Series, pl.Series]:
    result = a + b if sign > 0 else a - b
    flipped = (a ^ result) & (b ^ result) if sign > 0 else (a ^ b) & (a ^ result)
    return result, flipped < 0


def _sum_fits(a: tuple[int, int], b: tuple[int, int], sign: int, limits: tuple[int, int]) -> bool:
    low, high = (a[0] + b[0], a[1] + b[1]) if sign > 0 else (a[0] - b[1], a[1] - b[0])
    return limits[0] <= low and high <= limits[1]


def _product_fits(a: tuple[int, int], b: tuple[int, int], limits: tuple[int, int]) -> bool:
    corners = [x * y for x in a for y in b]
    return limits[0] <= min(corners) and max(corners) <= limits[1]


def _wrapped_product(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    low, high = limits_of(a.dtype)
    wider = pl.Int128 if a.dtype == pl.Int64 else pl.Int64
    exact = a.cast(wider) * b.cast(wider)
    bounds = (pl.Series([low], dtype=wider), pl.Series([high], dtype=wider))
    return a * b, (exact < bounds[0]) | (exact > bounds[1])


def _integer_columns(operator: str, dtype: pl.DataType, mode: EvalMode) -> Callable[..., pl.Series]:
    """A column function for + - * on one integer dtype, with Spark's overflow."""
    limits = limits_of(dtype)
    sign = -1 if operator == "-" else 1

    def fits(a: pl.Series, b: pl.Series) -> bool:
        first, second = bounds_of(a), bounds_of(b)
        if first is None or second is None:
            return True
        return _product_fits(first, second, limits) if operator == "*" else _sum_fits(first, second, sign, limits)

    def run(rows: Rows, a: pl.Series, b: pl.Series) -> pl.Series:
        if fits(a, b):
            return a * b if operator == "*" else a + b if sign > 0 else a - b
        result, bad = _wrapped_product(a, b) if operator == "*" else _wrapped_sum(a, b, sign)
        if mode is EvalMode.ANSI:
            rows.refuse(bad, partial(_binary_overflow, operator, dtype), a, b)
            return result
        return null_where(result, bad)

    return run


_TOLERANT = {"+": "try_add", "-": "try_subtract", "*": "try_multiply"}


def _binary_overflow(operator: str, dtype: pl.DataType, a: int, b: int) -> SparkError:
    if dtype in (pl.Int8, pl.Int16):
        return spark_error(
            "BINARY_ARITHMETIC_OVERFLOW",
            ErrorKind.ARITHMETIC,
            value1=f"{a}S",
            symbol=operator,
            value2=f"{b}S",
            functionName=f"`{_TOLERANT[operator]}`",
        )
    return overflow_error(JAVA_NAMES[type(dtype)], _TOLERANT[operator])


# ---- + - * over all types ---------------------------------------------------------------------------
_PLAIN: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def _native_decimals(
    operator: str, a: DecimalType, b: DecimalType, target: DecimalType, left: pl.Expr, right: pl.Expr
) -> pl.Expr | None:
    """The operation on unscaled numbers as a plain Polars expression, where the result's type holds every result."""
    if operator == "*":
        if a.precision + b.precision + 1 > target.precision or a.scale + b.scale != target.scale:
            return None
        exact = left.to_physical() * right.to_physical()
    else:
        scale = max(a.scale, b.scale)
        digits = max(a.precision - a.scale, b.precision - b.scale) + scale + 1
        if digits > target.precision or target.scale != scale:
            return None
        first, second = (
            value.to_physical() * pl.lit(10 ** (scale - t.scale), dtype=pl.Int128) if t.scale != scale
            else value.to_physical()
            for value, t in ((left, a), (right, b))
        )  # fmt: skip
        exact = first + second if operator == "+" else first - second
    return exact.reinterpret(dtype=pl.Decimal(target.precision, target.scale))


def _binary(operator: str, evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    types, mode = argument_types(evaluation), mode_of(evaluation)
    target = evaluation.call.dtype
    match types:
        case (DecimalType() as a, DecimalType() as b):
            assert isinstance(target, DecimalType)
            native = _native_decimals(operator, a, b, target, left, right)
            if native is not None:
                return native
            if operator == "*":
                return evaluation.columnwise(multiply_columns(a, b, target, mode), left, right)
            return evaluation.columnwise(add_columns(1 if operator == "+" else -1, a, b, target, mode), left, right)
        case (FloatType() | DoubleType(), _):
            return _PLAIN[operator](left, right)
        case (IntegralType(), _):
            return _integers(operator, evaluation, left, right, mode)
        case (YearMonthIntervalType(), _):
            return evaluation.columnwise(_interval_columns(operator, pl.Int32(), mode), left, right)
        case (DayTimeIntervalType(), _):
            counts = left.to_physical(), right.to_physical()
            run = _interval_columns(operator, pl.Int64(), mode)
            return evaluation.columnwise(run, *counts, dtype=pl.Int64()).cast(pl.Duration("us"))
        case (CalendarIntervalType(), _):
            return _calendar_sum(operator, evaluation, left, right, mode)
    raise spark_error(
        "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
        sqlExpr=operator,
        inputType='("NUMERIC" or "INTERVAL")',
        actualDataType=", ".join(t.simpleString().upper() for t in types),
    )


def _integers(operator: str, evaluation: Evaluation, left: pl.Expr, right: pl.Expr, mode: EvalMode) -> pl.Expr:
    dtype = carrier(evaluation.call.dtype)
    if mode is EvalMode.LEGACY or _cannot_overflow(operator, evaluation.call.args, limits_of(dtype)):
        return _PLAIN[operator](left, right)
    return evaluation.columnwise(_integer_columns(operator, dtype, mode), left, right)


def _cannot_overflow(operator: str, args: tuple[Expression, ...], limits: tuple[int, int]) -> bool:
    first, second = _known_bounds(args[0]), _known_bounds(args[1])
    if first is None or second is None:
        return False
    if operator == "*":
        return _product_fits(first, second, limits)
    return _sum_fits(first, second, -1 if operator == "-" else 1, limits)


def _known_bounds(expression: Expression) -> tuple[int, int] | None:
    """What the plan alone says of an integer's range: constants, and casts from narrower types."""
    if isinstance(expression, Literal):
        return None if expression.value is None else (expression.value, expression.value)
    source = dtype_of(expression.child) if isinstance(expression, Cast) else dtype_of(expression)
    if not isinstance(source, IntegralType):
        return None
    return limits_of(carrier(source))


def _interval_columns(operator: str, dtype: pl.DataType, mode: EvalMode) -> Callable[..., pl.Series]:
    plain = _integer_columns(operator, dtype, EvalMode.TRY)
    hint = "" if mode is EvalMode.TRY else _TOLERANT[operator]

    def error() -> SparkError:
        return spark_error(
            "INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", ErrorKind.ARITHMETIC, functionName=f"`{hint}`"
        )

    def run(rows: Rows, a: pl.Series, b: pl.Series) -> pl.Series:
        result = plain(rows, a, b)
        if mode is not EvalMode.TRY and result.null_count():
            rows.refuse(result.is_null() & a.is_not_null() & b.is_not_null(), error)
        return result

    return run


def _calendar_sum(operator: str, evaluation: Evaluation, left: pl.Expr, right: pl.Expr, mode: EvalMode) -> pl.Expr:
    fields = (("months", pl.Int32()), ("days", pl.Int32()), ("microseconds", pl.Int64()))
    parts = [
        evaluation.columnwise(
            _interval_columns(operator, dtype, mode),
            left.struct.field(name),
            right.struct.field(name),
            dtype=dtype,
        ).alias(name)
        for name, dtype in fields
    ]
    return pl.when(left.is_not_null() & right.is_not_null()).then(pl.struct(parts))


# ---- / div % pmod -----------------------------------------------------------------------------------
def remainder_by_zero() -> SparkError:
    """REMAINDER_BY_ZERO, as % and pmod raise it."""
    return spark_error("REMAINDER_BY_ZERO", ErrorKind.ARITHMETIC, config='"spark.sql.ansi.enabled"')


def _without_zero(evaluation: Evaluation, left: pl.Expr, right: pl.Expr, error: Callable[[], SparkError]) -> pl.Expr:
    """The divisor with zeros refused (ANSI) or made NULL; a NULL dividend never raises."""
    divisor = evaluation.call.args[1]
    if isinstance(divisor, Literal) and divisor.value is not None and divisor.value != 0:
        return right
    zero = right == 0
    if mode_of(evaluation) is EvalMode.ANSI:
        return evaluation.checked(right, zero & left.is_not_null(), error)
    return pl.when(zero).then(None).otherwise(right)


def _divide(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    types = argument_types(evaluation)
    safe = _without_zero(evaluation, left, right, divide_by_zero)
    match types:
        case (DecimalType() as a, DecimalType() as b):
            target = evaluation.call.dtype
            assert isinstance(target, DecimalType)
            return evaluation.columnwise(divide_columns(a, b, target, mode_of(evaluation)), left, safe)
    number, divisor = left.cast(pl.Float64), safe.cast(pl.Float64)
    return exact_quotient(number, divisor) if not references(evaluation.call.args[1]) else number / divisor


def exact_quotient(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """a / b of doubles to the last digit: Polars multiplies by the reciprocal where the divisor is a constant.

    It takes a choice whose condition always holds for a constant too; a product with a column it does not.
    """
    ones = a.is_null().cast(pl.Float64) * 0.0 + 1.0
    return a / (b * ones)


def _integral_divide(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    types = argument_types(evaluation)
    safe = _without_zero(evaluation, left, right, divide_by_zero)
    match types:
        case (DecimalType() as a, DecimalType() as b):
            run = integral_divide_columns(a, b)
            wide = evaluation.columnwise(run, left, safe, dtype=pl.Int128())
            return _long_from_wide(evaluation, wide)
        case (DayTimeIntervalType() | YearMonthIntervalType(), _):
            left, safe = left.to_physical().cast(pl.Int64), safe.to_physical().cast(pl.Int64)
    left, safe = left.cast(pl.Int64), safe.cast(pl.Int64)
    quotient = integer_quotient(left, safe)
    if mode_of(evaluation) is EvalMode.LEGACY or _is_positive(evaluation.call.args[1]):
        return quotient
    bad = (safe == -1) & (left == INTEGER_LIMITS[pl.Int64][0])
    if mode_of(evaluation) is EvalMode.TRY:
        return pl.when(bad).then(None).otherwise(quotient)
    return evaluation.checked(quotient, bad, lambda: overflow_error("Overflow in integral divide", "try_divide"))


def _is_positive(expression: Expression) -> bool:
    return isinstance(expression, Literal) and isinstance(expression.value, int) and expression.value > 0


def _long_from_wide(evaluation: Evaluation, wide: pl.Expr) -> pl.Expr:
    low, high = INTEGER_LIMITS[pl.Int64]
    result = wide.cast(pl.Int64, strict=False)
    bad = (wide < pl.lit(low, pl.Int128)) | (wide > pl.lit(high, pl.Int128))
    if mode_of(evaluation) is EvalMode.ANSI:
        return evaluation.checked(result, bad, lambda: overflow_error("Overflow in integral divide", "try_divide"))
    return result


def _fmod(rows: Rows, a: pl.Series, b: pl.Series) -> pl.Series:
    with np.errstate(all="ignore"):
        result = pl.Series(np.fmod(a.fill_null(1).to_numpy(), b.fill_null(1).to_numpy()))
    return null_where(result, a.is_null() | b.is_null())


def _remainder(positive: bool, evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    safe = _without_zero(evaluation, left, right, remainder_by_zero)
    match argument_types(evaluation):
        case (DecimalType() as a, DecimalType() as b):
            target = evaluation.call.dtype
            assert isinstance(target, DecimalType)
            run = remainder_columns(a, b, target, mode_of(evaluation), positive)
            return evaluation.columnwise(run, left, safe)
        case (FloatType() | DoubleType(), _):

            def remainder(a: pl.Expr, b: pl.Expr) -> pl.Expr:
                return evaluation.columnwise(_fmod, a, b)
        case _:
            remainder = integer_remainder
    value = remainder(left, safe)
    if not positive:
        return value
    return pl.when(value < 0).then(remainder(value + safe, safe)).otherwise(value)


# ---- signs ------------------------------------------------------------------------------------------
def _opposite_overflow() -> SparkError:
    return spark_error("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", ErrorKind.ARITHMETIC)


def _negative(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    (dtype,) = argument_types(evaluation)
    if isinstance(dtype, CalendarIntervalType):
        parts = [(-value.struct.field(n)).alias(n) for n in ("months", "days", "microseconds")]
        return pl.when(value.is_not_null()).then(pl.struct(parts))
    if isinstance(dtype, DayTimeIntervalType):
        counts = value.to_physical()
        return _signed(evaluation, -counts, counts, pl.Int64(), _opposite_overflow).cast(pl.Duration("us"))
    if isinstance(dtype, YearMonthIntervalType):
        return _signed(evaluation, value.neg(), value, pl.Int32(), _opposite_overflow)
    if isinstance(dtype, (FloatType, DoubleType)):
        return value.neg()
    return _signed(evaluation, value.neg(), value, carrier(dtype))


def _absolute(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    (dtype,) = argument_types(evaluation)
    if isinstance(dtype, DayTimeIntervalType):
        counts = value.to_physical()
        return _signed(evaluation, _abs(counts), counts, pl.Int64()).cast(pl.Duration("us"))
    if isinstance(dtype, DecimalType):
        return value.to_physical().abs().reinterpret(dtype=pl.Decimal(dtype.precision, dtype.scale))
    if isinstance(dtype, (FloatType, DoubleType)):
        return value.abs()
    return _signed(evaluation, _abs(value), value, carrier(dtype))


def _abs(value: pl.Expr) -> pl.Expr:
    return pl.when(value < 0).then(-value).otherwise(value)


def _signed(
    evaluation: Evaluation, result: pl.Expr, value: pl.Expr, dtype: pl.DataType,
    error: Callable[[], SparkError] | None = None,
) -> pl.Expr:  # fmt: skip
    """The result, refused where the value is the least of its type (whose opposite does not exist)."""
    if type(dtype) not in INTEGER_LIMITS or mode_of(evaluation) is EvalMode.LEGACY:
        return result
    bad = value == pl.lit(limits_of(dtype)[0], dtype)
    return evaluation.checked(result, bad, error or (lambda: overflow_error(JAVA_NAMES[type(dtype)])))


def _positive(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value


# ---- types ------------------------------------------------------------------------------------------
def _result_of(operator: str) -> Callable[[tuple[Expression, ...]], DataType]:
    def result(args: tuple[Expression, ...]) -> DataType:
        left, right = dtype_of(args[0]), dtype_of(args[1])
        if isinstance(left, DecimalType) and isinstance(right, DecimalType):
            return decimal_result(operator, left, right)
        return DOUBLE if operator == "/" else left

    return result


def _same_as_first(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


def _decimals_overflow(args: tuple[Expression, ...]) -> bool:
    """Nullable with the arguments; decimal results too (Spark: overflow may give NULL)."""
    return any_argument_nullable(args)


_OPERAND = Accept((NumericType, *_INTERVALS), (DOUBLE,), '("NUMERIC" or "INTERVAL")', common="T")
_NUMBER = Accept((NumericType,), (DOUBLE,), '"NUMERIC"', common="T")
_FRACTION = Accept((DoubleType, DecimalType), (DOUBLE,), '("DOUBLE" or "DECIMAL")', common="T")
_INTEGRAL = Accept((IntegralType, DecimalType, *_INTERVALS), (LONG,), '("BIGINT" or "DECIMAL")', common="T")
_ANY_SIGN = Accept((NumericType, *_INTERVALS), (DOUBLE,), '("NUMERIC" or "INTERVAL")')


def _two(accepts: Accept) -> Signature:
    return Signature((Parameter("left", accepts), Parameter("right", accepts)))


def infix(symbol: str) -> Callable[[tuple[str, ...]], str]:
    """Output names of binary operators: ``(a + b)``."""
    return lambda names: f"({names[0]} {symbol} {names[1]})"


def _operator(symbol: str, accepts: Accept, body: Any, result: Any = None, name: str | None = None) -> Function:
    return Function(
        names=(name or symbol,),
        signature=_two(accepts),
        result=result or _result_of(symbol),
        body=body,
        nullable=always_nullable if symbol in ("/", "%", "div") else any_argument_nullable,
        display=infix(symbol) if name is None else None,
    )


_ONE = Signature((Parameter("expr", _ANY_SIGN),))

FUNCTIONS: tuple[Function, ...] = (
    _operator("+", _OPERAND, partial(_binary, "+")),
    _operator("-", _OPERAND, partial(_binary, "-")),
    _operator("*", _NUMBER, partial(_binary, "*")),
    _operator("/", _FRACTION, _divide),
    _operator("%", _NUMBER, partial(_remainder, False)),
    _operator("div", _INTEGRAL, _integral_divide, LONG),
    Function(("mod",), _two(_NUMBER), _result_of("%"), partial(_remainder, False), nullable=always_nullable),
    Function(("pmod",), _two(_NUMBER), _result_of("pmod"), partial(_remainder, True), nullable=always_nullable),
    Function(("try_add",), _two(_OPERAND), _result_of("+"), partial(_binary, "+"), nullable=always_nullable),
    Function(("try_subtract",), _two(_OPERAND), _result_of("-"), partial(_binary, "-"), nullable=always_nullable),
    Function(("try_multiply",), _two(_NUMBER), _result_of("*"), partial(_binary, "*"), nullable=always_nullable),
    Function(("try_divide",), _two(_FRACTION), _result_of("/"), _divide, nullable=always_nullable),
    Function(("try_mod",), _two(_NUMBER), _result_of("%"), partial(_remainder, False), nullable=always_nullable),
    Function(("negative",), _ONE, _same_as_first, _negative),
    Function(("positive",), _ONE, _same_as_first, _positive, display=lambda names: f"(+ {names[0]})"),
    Function(("abs",), _ONE, _same_as_first, _absolute),
)
