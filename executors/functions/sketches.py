"""Aggregates that summarise values in bytes or bins: bitmaps, count-min sketches, numeric histograms.

Their algorithms go value by value, so each group's values are gathered and worked through in Python; such
columns hold one value a group, not one a row.
"""

from __future__ import annotations

import bisect
import math
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate
from voltray.executors.functions.argument_checks import checked, constant_value, in_range
from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.hash_columns import MURMUR3, fold
from voltray.executors.functions.registry import (
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.literals import internal_values, series_of
from voltray.proto.expressions import Expression, dtype_of
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    BINARY,
    DOUBLE,
    INTEGER,
    LONG,
    ArrayType,
    BinaryType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegerType,
    IntegralType,
    LongType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

_BITMAP_BYTES = 4096
_BITMAP_BITS = _BITMAP_BYTES * 8


def each_group(value: pl.Expr, dtype: DataType, compute: Callable[[list[Any]], Any], result: DataType) -> pl.Expr:
    """``compute`` of each group's values that are not NULL, as internal values both ways."""

    def run(lists: pl.Series) -> pl.Series:
        values = [internal_values(group, dtype) for group in lists]
        return series_of([compute(v) for v in values], result)

    return value.drop_nulls().implode().map_batches(run, return_dtype=carrier(result), is_elementwise=True)


# ---- bitmaps ----------------------------------------------------------------------------------------
def _bitmap_of(positions: list[int]) -> bytes:
    bits = np.array(positions, dtype=np.int64)
    outside = bits[(bits < 0) | (bits >= _BITMAP_BITS)]
    if len(outside):
        raise spark_error(
            "INVALID_BITMAP_POSITION", ErrorKind.ARRAY_INDEX, bitPosition=int(outside[0]),
            bitmapNumBytes=_BITMAP_BYTES, bitmapNumBits=_BITMAP_BITS,
        )  # fmt: skip
    found = np.zeros(_BITMAP_BITS, dtype=bool)
    found[bits] = True
    return np.packbits(found, bitorder="little").tobytes()


def _padded(bitmap: bytes) -> np.ndarray[Any, Any]:
    return np.frombuffer(bitmap[:_BITMAP_BYTES].ljust(_BITMAP_BYTES, b"\0"), dtype=np.uint8)


def _union(bitmaps: list[bytes]) -> bytes:
    merged = np.zeros(_BITMAP_BYTES, dtype=np.uint8)
    for bitmap in bitmaps:
        merged |= _padded(bitmap)
    return merged.tobytes()


def _intersection(bitmaps: list[bytes]) -> bytes:
    merged = np.full(_BITMAP_BYTES, 255, dtype=np.uint8)
    for bitmap in bitmaps:
        merged &= _padded(bitmap)
    return merged.tobytes()


def _bitmap(compute: Callable[[list[Any]], bytes], dtype: DataType) -> Callable[..., pl.Expr]:
    return lambda evaluation, value: each_group(value, dtype, compute, BINARY)


# ---- count-min sketches -----------------------------------------------------------------------------
_PRIME_MODULUS = (1 << 31) - 1
_JAVA_MULTIPLIER, _JAVA_MASK = 0x5DEECE66D, (1 << 48) - 1


def _java_integers(seed: int, count: int, bound: int) -> list[int]:
    """``java.util.Random(seed).nextInt(bound)``, so many times."""
    state = (seed ^ _JAVA_MULTIPLIER) & _JAVA_MASK
    found: list[int] = []
    while len(found) < count:
        state = (state * _JAVA_MULTIPLIER + 0xB) & _JAVA_MASK
        bits = state >> 17
        value = bits % bound
        if bits - value + bound - 1 < 1 << 31:
            found.append(value)
    return found


def _count_min_sketch(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    call = evaluation.call
    error, confidence, seed = (constant_value(a) for a in call.args[1:4])
    width, depth = math.ceil(2 / error), math.ceil(-math.log1p(-confidence) / math.log(2))
    dtype = dtype_of(call.args[0])
    factors = _java_integers(int(seed), depth, _PRIME_MODULUS)

    def build(values: list[Any]) -> bytes:
        table = np.zeros((depth, width), dtype=np.int64)
        columns = _text_buckets(values, depth, width) if not isinstance(dtype, IntegralType) else None
        for row in range(depth):
            places = columns[row] if columns is not None else _number_buckets(values, factors[row], width)
            np.add.at(table[row], places, 1)
        head = struct.pack(">iqii", 1, len(values), depth, width)
        return head + struct.pack(f">{depth}q", *factors) + table.astype(">i8").tobytes()

    return each_group(value, dtype, build, BINARY)


def _number_buckets(values: list[int], factor: int, width: int) -> np.ndarray[Any, Any]:
    hashed = np.array(values, dtype=np.int64) * np.int64(factor)
    hashed = (hashed + (hashed >> np.int64(32))) & np.int64(_PRIME_MODULUS)
    return hashed % width


def _text_buckets(values: list[Any], depth: int, width: int) -> np.ndarray[Any, Any]:
    data = pl.Series([v.encode() if isinstance(v, str) else v for v in values], dtype=pl.Binary)
    with np.errstate(over="ignore"):
        first = fold(MURMUR3, data, BINARY, np.zeros(len(data), dtype=np.uint32))
        second = fold(MURMUR3, data, BINARY, first)
    rows = np.arange(depth, dtype=np.int32)[:, None]
    mixed = first.view(np.int32)[None, :] + rows * second.view(np.int32)[None, :]
    return np.abs(np.fmod(mixed, np.int32(width)))


# ---- histograms -------------------------------------------------------------------------------------
def _histogram_type(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(StructType([StructField("x", dtype_of(args[0])), StructField("y", DOUBLE)]))


def _histogram(evaluation: Evaluation, value: pl.Expr, *rest: pl.Expr) -> pl.Expr:
    call = evaluation.call
    dtype = dtype_of(call.args[0])
    bins = int(constant_value(call.args[1]))
    restore = _restored(dtype)

    def build(values: list[Any]) -> list[tuple[Any, float]] | None:
        if not values:
            return None
        return [(restore(x), y) for x, y in _binned((float(v) for v in values), bins)]

    return each_group(value, dtype, build, call.dtype)


def _restored(dtype: DataType) -> Callable[[float], Any]:
    if isinstance(dtype, DecimalType):
        from decimal import Decimal

        quantum = Decimal(1).scaleb(-dtype.scale)
        return lambda x: Decimal(repr(x)).quantize(quantum)
    return float if isinstance(dtype, FractionalType) else int


def _java_doubles(seed: int) -> Iterator[float]:
    """``java.util.Random(seed).nextDouble()``, again and again."""
    state = (seed ^ _JAVA_MULTIPLIER) & _JAVA_MASK
    while True:
        state = (state * _JAVA_MULTIPLIER + 0xB) & _JAVA_MASK
        high = state >> 22
        state = (state * _JAVA_MULTIPLIER + 0xB) & _JAVA_MASK
        yield ((high << 27) + (state >> 21)) * 2.0**-53


def _nearest(centres: list[float], chances: Iterator[float]) -> int:
    """Where the least gap begins, by chance among equal ones."""
    place, least, seen = 0, centres[1] - centres[0], 1
    for position in range(1, len(centres) - 1):
        gap = centres[position + 1] - centres[position]
        if gap < least:
            place, least, seen = position, gap, 1
        elif gap == least:
            seen += 1
            if next(chances) <= 1.0 / seen:
                place = position
    return place


def _binned(values: Iterable[float], limit: int) -> list[tuple[float, float]]:
    """Bins as values are added one by one, the two nearest bins merged whenever there are too many."""
    centres: list[float] = []
    counts: list[float] = []
    chances = _java_doubles(31183)
    for value in values:
        place = bisect.bisect_left(centres, value)
        if place < len(centres) and centres[place] == value:
            counts[place] += 1.0
            continue
        centres.insert(place, value)
        counts.insert(place, 1.0)
        if len(centres) > limit:
            nearest = _nearest(centres, chances)
            total = counts[nearest] + counts[nearest + 1]
            merged = centres[nearest] * (counts[nearest] / total)
            centres[nearest] = merged + centres[nearest + 1] / total * counts[nearest + 1]
            counts[nearest] = total
            del centres[nearest + 1], counts[nearest + 1]
    return list(zip(centres, counts, strict=True))


# ---- entries ----------------------------------------------------------------------------------------
_BYTES = Accept((BinaryType,), (BINARY,), '"BINARY"')
_POSITION = Accept((LongType,), (LONG,), '"BIGINT"')
_BINNED = Accept(
    (NumericType, DateType, TimestampType, TimestampNTZType, YearMonthIntervalType, DayTimeIntervalType), (DOUBLE,),
    '("NUMERIC" or "DATE" or "TIMESTAMP" or "TIMESTAMP_NTZ" or "INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH")',
)  # fmt: skip
_COUNTED = Accept((IntegralType, StringType, BinaryType), (), '("INTEGRAL" or "STRING" or "BINARY")')
_ERROR = Accept((DoubleType, FloatType), (DOUBLE,), '"DOUBLE"', foldable=True)
_SEED = Accept((IntegerType, LongType), (LONG,), '"INT"', foldable=True)
_LEAST = math.ulp(0.0)
_EPSILON = in_range("eps", 1, _LEAST, sys.float_info.max, "(0.0, 1.7976931348623157E308]")
_CONFIDENCE = in_range("confidence", 2, _LEAST, 1.0 - 2.0**-53, "(0.0, 1.0]")
_SKETCH = Signature(
    (
        Parameter("column", _COUNTED),
        Parameter("epsilon", _ERROR),
        Parameter("confidence", _ERROR),
        Parameter("seed", _SEED),
    )
)

FUNCTIONS: tuple[Function, ...] = (
    aggregate(
        "bitmap_construct_agg", parameters(("child", _POSITION)), BINARY, body=_bitmap(_bitmap_of, LONG),
        nullable=never_nullable,
    ),
    aggregate(
        "bitmap_or_agg", parameters(("child", _BYTES)), BINARY, body=_bitmap(_union, BINARY), nullable=never_nullable
    ),
    aggregate(
        "bitmap_and_agg", parameters(("child", _BYTES)), BINARY, body=_bitmap(_intersection, BINARY),
        nullable=never_nullable,
    ),
    aggregate(
        "count_min_sketch", _SKETCH, BINARY, body=_count_min_sketch, nullable=never_nullable,
        resolve=checked(_EPSILON, _CONFIDENCE),
    ),
    aggregate(
        "histogram_numeric",
        Signature(
            (Parameter("col", _BINNED), Parameter("nb", Accept((IntegerType,), (INTEGER,), '"INT"', foldable=True)))
        ),
        _histogram_type, body=_histogram, nullable=always_nullable,
    ),
)  # fmt: skip
