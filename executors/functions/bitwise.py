"""Operators and functions on bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl

from voltray.executors.functions.columns import limits_of, null_where
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    BINARY_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BYTE,
    INTEGER,
    LONG,
    BooleanType,
    DataType,
    IntegerType,
    IntegralType,
    LongType,
    carrier,
)  # fmt: skip

_LOGIC: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}


def _binary(operator: str) -> Callable[..., pl.Expr]:
    return lambda evaluation, left, right: _LOGIC[operator](left, right)


def _not(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return -1 - value


# ---- shifts ---------------------------------------------------------------------------------------------
def _shift_columns(kind: str) -> Callable[..., pl.Series]:
    """Java's shifts: the distance counts modulo the width of the number."""

    def run(rows: Rows, value: pl.Series, distance: pl.Series) -> pl.Series:
        width = 64 if value.dtype == pl.Int64 else 32
        missing = value.is_null() | distance.is_null()
        numbers = value.fill_null(0).to_numpy()
        by = (distance.fill_null(0).to_numpy() % width).astype(numbers.dtype)
        if kind == "left":
            shifted = np.left_shift(numbers, by)
        elif kind == "right":
            shifted = np.right_shift(numbers, by)
        else:
            unsigned = numbers.view(np.uint64 if width == 64 else np.uint32)
            shifted = np.right_shift(unsigned, by.astype(unsigned.dtype)).view(numbers.dtype)
        return null_where(pl.Series(shifted), missing)

    return run


def _shift(kind: str) -> Callable[..., pl.Expr]:
    run = _shift_columns(kind)
    return lambda evaluation, value, distance: evaluation.columnwise(run, value, distance)


# ---- single bits ----------------------------------------------------------------------------------------
def _bit_count(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    if isinstance(dtype_of(evaluation.call.args[0]), BooleanType):
        return value.cast(pl.Int32)
    return value.cast(pl.Int64).bitwise_count_ones().cast(pl.Int32)


def _bit_get(evaluation: Evaluation, value: pl.Expr, position: pl.Expr) -> pl.Expr:
    width = {8: 8, 16: 16, 32: 32, 64: 64}[_width(dtype_of(evaluation.call.args[0]))]
    bad = (position < 0) | (position >= width)
    name = evaluation.call.name

    def run(rows: Rows, numbers: pl.Series, positions: pl.Series) -> pl.Series:
        missing = numbers.is_null() | positions.is_null()
        by = positions.fill_null(0).clip(0, width - 1).to_numpy().astype(np.int64)
        bits = (numbers.fill_null(0).cast(pl.Int64).to_numpy() >> by) & 1
        return null_where(pl.Series(bits.astype(np.int8)), missing)

    checked = evaluation.checked(position, bad & value.is_not_null(), partial(_bad_position, name, width), position)
    return evaluation.columnwise(run, value, checked)


def _width(dtype: DataType) -> int:
    return limits_of(carrier(dtype))[1].bit_length() + 1


def _bad_position(name: str, width: int, position: int) -> SparkError:
    return spark_error(
        "INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE",
        ErrorKind.ILLEGAL_ARGUMENT,
        functionName=f"`{name}`",
        parameter="`pos`",
        lower=0,
        upper=width,
        invalidValue=position,
    )


# ---- bitmaps --------------------------------------------------------------------------------------------
BITMAP_BITS = 8 * 4096


def _bit_position(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return pl.when(value > 0).then((value - 1) % BITMAP_BITS).otherwise(-value % BITMAP_BITS)


def _bucket_number(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    up = (value - 1) // BITMAP_BITS + 1
    down = -((-value) // BITMAP_BITS)
    return pl.when(value > 0).then(up).otherwise(down)


def _bitmap_count(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series) -> pl.Series:
        counts = [None if v is None else int.from_bytes(v, "big").bit_count() for v in column.to_list()]
        return pl.Series(counts, dtype=pl.Int64)

    return evaluation.columnwise(run, value)


def _first_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


_INTEGRAL = Accept((IntegralType,), (LONG,), '"INTEGRAL"', common="T")
_ONE_INTEGRAL = Accept((IntegralType,), (), '"INTEGRAL"')
_COUNTED = Accept((IntegralType, BooleanType), (), '("INTEGRAL" or "BOOLEAN")')
_SHIFTED = Accept((IntegerType, LongType), (INTEGER, LONG), '("INT" or "BIGINT")')
_PAIR = Signature((Parameter("left", _INTEGRAL), Parameter("right", _INTEGRAL)))
_SHIFT = parameters(("base", _SHIFTED), ("exp", accepts_type(INTEGER)))
_LONG = parameters(("child", accepts_type(LONG)))


def _between(symbol: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"({names[0]} {symbol} {names[1]})"


FUNCTIONS: tuple[Function, ...] = (
    *[Function((s,), _PAIR, _first_type, _binary(s), display=_between(s)) for s in _LOGIC],
    Function(("~",), parameters(("expr", _ONE_INTEGRAL)), _first_type, _not, display=lambda n: f"~{n[0]}"),
    Function(("shiftleft",), _SHIFT, _first_type, _shift("left")),
    Function(("shiftright",), _SHIFT, _first_type, _shift("right")),
    Function(("shiftrightunsigned",), _SHIFT, _first_type, _shift("unsigned")),
    Function(("<<",), _SHIFT, _first_type, _shift("left"), display=_between("<<")),
    Function((">>",), _SHIFT, _first_type, _shift("right"), display=_between(">>")),
    Function((">>>",), _SHIFT, _first_type, _shift("unsigned"), display=_between(">>>")),
    Function(("bit_count",), parameters(("expr", _COUNTED)), INTEGER, _bit_count),
    Function(("bit_get",), parameters(("expr", _ONE_INTEGRAL), ("pos", accepts_type(INTEGER))), BYTE, _bit_get),
    Function(("getbit",), parameters(("expr", _ONE_INTEGRAL), ("pos", accepts_type(INTEGER))), BYTE, _bit_get),
    Function(("bitmap_bit_position",), _LONG, LONG, _bit_position),
    Function(("bitmap_bucket_number",), _LONG, LONG, _bucket_number),
    Function(("bitmap_count",), parameters(("child", BINARY_INPUT)), LONG, _bitmap_count, notes="A loop a row."),
)
