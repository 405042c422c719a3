"""Random values: the numbers that Spark draws for a seed and a partition, row after row."""

from __future__ import annotations

import random as python_random
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import java_random
from voltray.executors.functions.evaluation import Evaluation, option_of
from voltray.executors.functions.registry import (
    Accept,
    Function,
    Parameter,
    Signature,
    any_argument_nullable,
    never_nullable,
)  # fmt: skip
from voltray.proto.coercion import wider_decimal
from voltray.proto.expressions import Call, Cast, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    DataType,
    DecimalType,
    IntegerType,
    IntegralType,
    LongType,
    NullType,
    NumericType,
    carrier,
)  # fmt: skip


def constant_number(expression: Expression) -> Any:
    """The number of a constant with casts or a sign around it, None if it is none."""
    match expression:
        case Literal():
            return expression.value
        case Cast():
            return constant_number(expression.child)
        case Call() if expression.name == "negative":
            value = constant_number(expression.args[0])
            return None if value is None else -value
    return None


def _options(seed_at: int) -> Callable[[tuple[Expression, ...], Any], tuple[tuple[str, Any], ...]]:
    """The seed: the argument at a position (NULL counts as 0), or a fresh one."""

    def options(args: tuple[Expression, ...], settings: Any) -> tuple[tuple[str, Any], ...]:
        if len(args) > seed_at:
            return (("seed", int(constant_number(args[seed_at]) or 0)),)
        return (("seed", python_random.getrandbits(63)),)

    return options


def over_rows(evaluation: Evaluation, draw: Callable[[int, int], Any], dtype: pl.DataType) -> pl.Expr:
    """``draw(seed, count)`` over the partition's rows, in order."""
    seed = int(option_of(evaluation.call, "seed", 0)) + evaluation.context.partition_id
    rows = pl.int_range(pl.len(), dtype=pl.Int64)
    return rows.map_batches(lambda column: pl.Series(draw(seed, len(column))).cast(dtype), return_dtype=dtype)


def _rand(evaluation: Evaluation, *seed: pl.Expr) -> pl.Expr:
    return over_rows(evaluation, java_random.doubles, pl.Float64())


def _randn(evaluation: Evaluation, *seed: pl.Expr) -> pl.Expr:
    return over_rows(evaluation, java_random.gaussians, pl.Float64())


def _uniform(evaluation: Evaluation, low: pl.Expr, high: pl.Expr, *seed: pl.Expr) -> pl.Expr:
    dtype = evaluation.call.dtype
    drawn = over_rows(evaluation, java_random.doubles, pl.Float64())
    if isinstance(dtype, NullType):
        return pl.lit(None)
    start, end = low.cast(pl.Float64), high.cast(pl.Float64)
    number = start + (end - start) * drawn
    if isinstance(dtype, DecimalType):
        from voltray.executors.functions.cast import cast
        from voltray.proto.expressions import EvalMode

        return cast(evaluation, number, DOUBLE, dtype, EvalMode.TRY)
    return number.cast(carrier(dtype), strict=False)


def _resolve_uniform(resolution: Any) -> Expression:
    low, high = resolution.args[0], resolution.args[1]
    for position, (argument, name) in enumerate(zip((low, high), ("min", "max"), strict=True)):
        if not _is_constant(argument):
            raise resolution.mismatch(
                "NON_FOLDABLE_INPUT", inputName=f"`{name}`", inputType='"NUMERIC"',
                inputExpr=f'"{resolution.names[position]}"',
            )  # fmt: skip
        if not isinstance(dtype_of(argument), (NumericType, NullType)):
            raise resolution.unexpected(position, "integer or floating-point")
    dtype = _uniform_type(dtype_of(low), dtype_of(high))
    return resolution.call(dtype=dtype, nullable=isinstance(dtype, NullType))  # type: ignore[no-any-return]


def _is_constant(expression: Expression) -> bool:
    return isinstance(expression, Literal) or constant_number(expression) is not None


_ORDER = ("tinyint", "smallint", "int", "bigint", "float", "double")


def _uniform_type(low: DataType, high: DataType) -> DataType:
    if isinstance(low, NullType) or isinstance(high, NullType):
        return NullType()
    if isinstance(low, DecimalType) or isinstance(high, DecimalType):
        if all(isinstance(t, (DecimalType, IntegralType)) for t in (low, high)):
            ranked = [t for t in (low, high) if isinstance(t, DecimalType)]
            return ranked[0] if len(ranked) == 1 else wider_decimal(ranked[0], ranked[1])
        return DOUBLE
    return max((low, high), key=lambda t: _ORDER.index(t.simpleString()))


_LETTERS = np.array(list("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def _randstr(evaluation: Evaluation, length: pl.Expr, *seed: pl.Expr) -> pl.Expr:
    size = int(constant_number(evaluation.call.args[0]) or 0)
    if size < 0:
        raise spark_error(
            "INVALID_PARAMETER_VALUE.LENGTH", ErrorKind.RUNTIME, parameter="`length`", functionName="`randstr`",
            length=size,
        )  # fmt: skip

    def draw(start: int, count: int) -> list[str]:
        if size == 0:
            return [""] * count
        drawn = java_random.integers(start, count * size)
        letters = _LETTERS[np.abs(np.fmod(drawn, 62))].reshape(count, size)
        return [str(t) for t in letters.astype("U1").view(f"U{size}").ravel()]

    return over_rows(evaluation, draw, pl.String())


def _uuid(evaluation: Evaluation, *seed: pl.Expr) -> pl.Expr:
    def draw(start: int, count: int) -> pl.Series:
        raw = np.random.default_rng(abs(start)).integers(0, 256, (count, 16), dtype=np.uint8)
        raw[:, 6] = raw[:, 6] & 0x0F | 0x40
        raw[:, 8] = raw[:, 8] & 0x3F | 0x80
        text = pl.Series([bytes(row).hex() for row in raw], dtype=pl.String)
        parts = [text.str.slice(a, n) for a, n in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
        return pl.DataFrame({str(i): p for i, p in enumerate(parts)}).select(pl.concat_str(pl.all(), separator="-"))[
            "0"
        ]

    return over_rows(evaluation, draw, pl.String())


def _monotonic(evaluation: Evaluation) -> pl.Expr:
    base = evaluation.context.partition_id << 33
    return pl.int_range(pl.len(), dtype=pl.Int64) + base


def _partition(evaluation: Evaluation) -> pl.Expr:
    return pl.lit(evaluation.context.partition_id, pl.Int32)


_SEED = Accept((IntegerType, LongType), (INTEGER, LONG), '("INT" or "BIGINT")', foldable=True, strict=True)
_ONE_SEED = Signature((Parameter("seed", _SEED, optional=True),))
_LENGTH = Accept((IntegralType,), (INTEGER,), '"INTEGER"', foldable=True)
_NUMBER = Accept((NumericType,), (), '"NUMERIC"')


def _random(names: tuple[str, ...], body: Callable[..., pl.Expr]) -> Function:
    return Function(
        names, _ONE_SEED, DOUBLE, body, nullable=never_nullable,
        deterministic=False, foldable=False, options=_options(0),
        display=lambda shown: f"{names[0]}({', '.join(shown)})",
    )  # fmt: skip


FUNCTIONS: tuple[Function, ...] = (
    _random(("rand", "random"), _rand),
    _random(("randn",), _randn),
    Function(
        ("uniform",),
        Signature((Parameter("min", _NUMBER), Parameter("max", _NUMBER), Parameter("seed", _SEED, optional=True))),
        DOUBLE, _uniform, resolve=_resolve_uniform, deterministic=False, foldable=False, options=_options(2),
        nullable=any_argument_nullable,
    ),
    Function(
        ("randstr",),
        Signature((Parameter("length", _LENGTH), Parameter("seed", _SEED, optional=True))),
        STRING, _randstr, deterministic=False, foldable=False, options=_options(1), nullable=never_nullable,
    ),
    Function(
        ("uuid",), _ONE_SEED, STRING, _uuid, nullable=never_nullable, deterministic=False, foldable=False,
        options=_options(0), notes="Random (version 4); a seed does not give the reference's own sequence.",
    ),
    Function(
        ("monotonically_increasing_id",), Signature(), LONG, _monotonic, nullable=never_nullable, deterministic=False,
        foldable=False,
    ),
    Function(
        ("spark_partition_id",), Signature(), INTEGER, _partition, nullable=never_nullable, deterministic=False,
        foldable=False, display=lambda names: "SPARK_PARTITION_ID()",
    ),
)  # fmt: skip
