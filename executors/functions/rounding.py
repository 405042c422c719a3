"""round, bround, ceil, floor on every numeric type, exact on the digits that Spark sees."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions.columns import bounds_of, limits_of, null_where, overflow_error
from voltray.executors.functions.decimal import fitted, unscaled_of
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.registry import (
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
)  # fmt: skip
from voltray.proto.coercion import bounded_decimal
from voltray.proto.coercion import decimal_of as decimal_holding
from voltray.proto.expressions import Call, Cast, EvalMode, Expression, Literal, dtype_of
from voltray.proto.types import (
    DOUBLE,
    INTEGER,
    LONG,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    LongType,
    NumericType,
    carrier,
)  # fmt: skip


# ---- integer quotients by a rounding rule -------------------------------------------------------------
def _quotient(a: pl.Expr, b: pl.Expr, rounding: str) -> pl.Expr:
    """a / b (b > 0) as an integer: half up (away from zero), half even, floor or ceiling."""
    floored = a // b
    if rounding == ROUND_FLOOR:
        return floored
    rest = a - floored * b
    if rounding == ROUND_CEILING:
        return floored + (rest != 0).cast(pl.Int128)
    twice = rest * 2
    up_on_tie = a > 0 if rounding == ROUND_HALF_UP else floored % 2 != 0
    return floored + ((twice > b) | ((twice == b) & up_on_tie)).cast(pl.Int128)


def rounded_unscaled(column: pl.Series, places: int, rounding: str) -> pl.Series:
    """Unscaled numbers with so many last digits dropped by a rule."""
    if places <= 0:
        return column
    if places > 38:
        return column * pl.Series([0], dtype=pl.Int128)
    divisor = pl.lit(10**places, pl.Int128)
    return column.to_frame("x").select(_quotient(pl.col("x"), divisor, rounding)).to_series()


# ---- by type ------------------------------------------------------------------------------------------
def _scale_argument(args: tuple[Expression, ...]) -> int:
    """The constant number of places."""
    if len(args) < 2:
        return 0
    value = args[1]
    while isinstance(value, Cast):
        value = value.child
    if isinstance(value, Call) and value.name == "negative":
        return -_scale_argument((value, value.args[0]))
    if not isinstance(value, Literal) or value.value is None or isinstance(value.value, str):
        return 0
    return int(value.value)


def _round(rounding: str) -> Any:
    def body(evaluation: Evaluation, value: pl.Expr, *scale: pl.Expr) -> pl.Expr:
        source, places = dtype_of(evaluation.call.args[0]), _scale_argument(evaluation.call.args)
        target = evaluation.call.dtype
        if len(scale) and isinstance(evaluation.call.args[1], Literal) and evaluation.call.args[1].value is None:
            return pl.when(False).then(value)
        if isinstance(source, DecimalType) and isinstance(target, DecimalType):
            return evaluation.columnwise(_decimal_rounder(evaluation, source, target, places, rounding), value)
        if isinstance(source, (FloatType, DoubleType)):
            return evaluation.columnwise(_floating_rounder(places, rounding), value)
        if places >= 0:
            return value
        return evaluation.columnwise(_integral_rounder(evaluation, carrier(target), -places, rounding), value)

    return body


def _decimal_rounder(
    evaluation: Evaluation, source: DecimalType, target: DecimalType, places: int, rounding: str
) -> Any:
    raises = evaluation.call.mode is EvalMode.ANSI and evaluation.guard is not NEVER
    mode = EvalMode.ANSI if raises else EvalMode.TRY

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        kept = max(min(source.scale, places), -38)
        numbers = rounded_unscaled(unscaled_of(column), source.scale - kept, rounding)
        if kept < 0:
            numbers = numbers * pl.Series([10**-kept], dtype=pl.Int128)
        return fitted(rows, numbers, max(kept, 0), target, mode)

    return run


def _integral_rounder(evaluation: Evaluation, dtype: pl.DataType, places: int, rounding: str) -> Any:
    low, high = limits_of(dtype)
    checked = evaluation.call.mode is EvalMode.ANSI and evaluation.guard is not NEVER

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        power = pl.Series([10 ** min(places, 19)], dtype=pl.Int128)
        numbers = rounded_unscaled(column.cast(pl.Int128), min(places, 19), rounding) * power
        extent = bounds_of(numbers)
        if extent is not None and (extent[0] < low or extent[1] > high):
            bad = (numbers < pl.Series([low], dtype=pl.Int128)) | (numbers > pl.Series([high], dtype=pl.Int128))
            if checked:
                rows.refuse(bad, lambda: overflow_error("Overflow", exact=True))
            return numbers.cast(pl.Int64, wrap_numerical=True).cast(dtype, wrap_numerical=True)
        return numbers.cast(dtype)

    return run


def _floating_rounder(places: int, rounding: str) -> Any:
    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return round_doubles(column.cast(pl.Float64), places, rounding).cast(column.dtype)

    return run


_MOST_PLACES = 308
"""Doubles have no digits to round behind these."""


def round_doubles(column: pl.Series, places: int, rounding: str) -> pl.Series:
    """Doubles rounded on the digits that Java prints; only values near a tie take the slow exact way."""
    missing = column.is_null()
    numbers = column.fill_null(0.0).to_numpy()
    if places > _MOST_PLACES:
        return column
    power = 10.0 ** min(abs(places), 308)
    with np.errstate(all="ignore"):
        scaled = numbers * power if places >= 0 else numbers / power
        nearest = np.rint(scaled)
        distance = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5)
        sure = (np.abs(scaled) < 2**40) & (distance > 1e-3) & (abs(places) <= 22)
        result = nearest / power if places >= 0 else nearest * power
        whole = np.isfinite(numbers) & ~sure
    result = np.where(np.isfinite(numbers), result, numbers) + 0.0  # no negative zero comes out
    positions = np.flatnonzero(whole)
    if len(positions):
        result[positions] = [_exact(float(v), places, rounding) for v in numbers[positions]]
    return null_where(pl.Series(result), missing)


def _exact(value: float, places: int, rounding: str) -> float:
    exact = Decimal(repr(value))
    if -int(exact.as_tuple().exponent) <= places:
        return value
    return float(exact.quantize(Decimal((0, (1,), -places)), rounding=rounding, context=_WIDE)) + 0.0


def _wide_context() -> Any:
    from decimal import Context

    return Context(prec=400)


_WIDE = _wide_context()


# ---- ceil and floor -----------------------------------------------------------------------------------
def _whole(rounding: str) -> Any:
    round_body = _round(rounding)

    def body(evaluation: Evaluation, value: pl.Expr, *scale: pl.Expr) -> pl.Expr:
        source = dtype_of(evaluation.call.args[0])
        if isinstance(source, LongType):
            return value
        if isinstance(source, DecimalType):
            return round_body(evaluation, value, *scale)  # type: ignore[no-any-return]
        from voltray.executors.functions.cast_numeric import saturated

        whole = value.ceil() if rounding == ROUND_CEILING else value.floor()
        return evaluation.columnwise(lambda rows, column: saturated(column, pl.Int64()), whole)

    return body


# ---- types --------------------------------------------------------------------------------------------
def _round_type(args: tuple[Expression, ...]) -> DataType:
    source = dtype_of(args[0])
    return _rounded_decimal(source, _scale_argument(args)) if isinstance(source, DecimalType) else source


def _rounded_decimal(source: DecimalType, places: int) -> DecimalType:
    digits = source.precision - source.scale + 1
    if places < 0:
        return bounded_decimal(max(digits, -places + 1), 0)
    scale = min(source.scale, places)
    return DecimalType(min(digits + scale, 38), scale)


def _whole_type(args: tuple[Expression, ...]) -> DataType:
    source = dtype_of(args[0])
    if not isinstance(source, DecimalType):
        return LONG
    return _rounded_decimal(source, _scale_argument(args))


def _resolve_whole(resolution: Any) -> Expression:
    """ceil(x) takes longs, doubles and decimals; ceil(x, places) makes a decimal of any number."""
    value = resolution.args[0]
    dtype = dtype_of(value)
    if len(resolution.args) == 1:
        if isinstance(dtype, (LongType, DecimalType, DoubleType)):
            return resolution.call()  # type: ignore[no-any-return]
        target: DataType = LONG if isinstance(dtype, IntegralType) else DOUBLE
        if not isinstance(dtype, NumericType):
            return resolution.call((resolution.coerce(0, DOUBLE, '("DECIMAL" or "DOUBLE" or "BIGINT")'),))  # type: ignore[no-any-return]
        return resolution.call((resolution.cast(value, target),))  # type: ignore[no-any-return]
    scale = resolution.args[1]
    if isinstance(scale, Literal) and not isinstance(scale.dtype, IntegralType):
        raise resolution.error(
            "NON_FOLDABLE_ARGUMENT", funcName=f"`{resolution.called_as}`", paramName="`scale`", paramType='"INT"'
        )
    decimal = dtype if isinstance(dtype, DecimalType) else decimal_holding(dtype) or DecimalType(38, 18)
    value = resolution.cast(value, decimal) if decimal is not dtype else value
    return resolution.call((value, resolution.coerce(1, INTEGER)))  # type: ignore[no-any-return]


_NUMBER = Accept((NumericType,), (DOUBLE,), '"NUMERIC"')
_PLACES = Parameter("scale", Accept((type(INTEGER),), (INTEGER,), '"INT"', foldable=True), default=Literal(0, INTEGER))
_ROUND = Signature((Parameter("expr", _NUMBER), _PLACES))
_WHOLE = Signature(
    (Parameter("expr", _NUMBER), Parameter("scale", Accept((type(INTEGER),), (INTEGER,)), optional=True))
)


def _round_name(name: str) -> Any:
    return lambda names: f"{name}({names[0]}, {names[1] if len(names) > 1 else 0})"


def _whole_name(name: str) -> Any:
    return lambda names: f"{name.upper() if len(names) == 1 else name}({', '.join(names)})"


FUNCTIONS: tuple[Function, ...] = (
    *[
        Function((name,), _ROUND, _round_type, _round(rule), nullable=always_nullable, display=_round_name(name))
        for name, rule in (("round", ROUND_HALF_UP), ("bround", ROUND_HALF_EVEN))
    ],
    *[
        Function(
            (name,), _WHOLE, _whole_type, _whole(rule), resolve=_resolve_whole, nullable=always_nullable, display=shown
        )
        for name, rule, shown in (
            ("ceil", ROUND_CEILING, _whole_name("ceil")),
            ("ceiling", ROUND_CEILING, None),
            ("floor", ROUND_FLOOR, _whole_name("floor")),
        )
    ],
)  # fmt: skip
