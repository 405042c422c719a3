"""Murmur3 and xxHash64 of whole columns, bit for bit as Spark computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from voltray.executors.functions.decimal import unscaled_of
from voltray.proto.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    CalendarIntervalType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VarcharType,
    YearMonthIntervalType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

Words = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Bytes:
    """Byte strings of a column: their concatenation, where each starts and how long it is."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def words(self, rows: Words, offset: Words | int, width: int) -> Words:
        """Little-endian words of ``width`` bytes at an offset within the strings of some rows."""
        at = (self.starts[rows] + offset)[:, None] + np.arange(width)
        dtype = "<u4" if width == 4 else "<u8"
        return np.ascontiguousarray(self.data[at]).view(dtype).ravel()

    def byte(self, rows: Words, offset: Words | int) -> Words:
        """Single bytes at an offset."""
        return np.asarray(self.data[self.starts[rows] + offset])


def bytes_of(column: pl.Series) -> Bytes:
    """The bytes of a string or binary column (NULLs as empty)."""
    binary = column.fill_null(b"" if column.dtype == pl.Binary else "").cast(pl.Binary)
    lengths = binary.bin.size().to_numpy().astype(np.int64)
    array = binary.to_arrow(compat_level=pl.CompatLevel.oldest())
    if hasattr(array, "combine_chunks"):
        array = array.combine_chunks()
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + len(array)]
    buffer = array.buffers()[2]
    data = np.frombuffer(buffer, dtype=np.uint8) if buffer is not None else np.zeros(0, np.uint8)
    return Bytes(data, offsets, lengths)


# ---- Murmur3, 32 bits -----------------------------------------------------------------------------------
_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)


def _rotate32(x: Words, by: int) -> Words:
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


def _mix_k1(k: Words) -> Words:
    return _rotate32(k * _C1, 15) * _C2


def _mix_h1(h: Words, k: Words) -> Words:
    return _rotate32(h ^ k, 13) * np.uint32(5) + np.uint32(0xE6546B64)


def _finish32(h: Words, length: Words | np.uint32) -> Words:
    h = h ^ length
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return np.asarray(h ^ (h >> np.uint32(16)))


def _murmur3_ints(values: Words, seeds: Words) -> Words:
    return _finish32(_mix_h1(seeds, _mix_k1(values.astype(np.int32).view(np.uint32))), np.uint32(4))


def _murmur3_longs(values: Words, seeds: Words) -> Words:
    bits = values.astype(np.int64).view(np.uint64)
    low, high = bits.astype(np.uint32), (bits >> np.uint64(32)).astype(np.uint32)
    return _finish32(_mix_h1(_mix_h1(seeds, _mix_k1(low)), _mix_k1(high)), np.uint32(8))


def _murmur3_bytes(values: Bytes, seeds: Words) -> Words:
    h = seeds.copy()
    rows = np.arange(len(values.lengths))
    for offset in range(0, int(values.lengths.max(initial=0)) // 4 * 4, 4):
        rows = rows[values.lengths[rows] >= offset + 4]
        h[rows] = _mix_h1(h[rows], _mix_k1(values.words(rows, offset, 4)))
    aligned = values.lengths // 4 * 4
    for tail in range(3):
        rows = np.flatnonzero(values.lengths - aligned > tail)
        if len(rows):
            signed = values.byte(rows, aligned[rows] + tail).view(np.int8).astype(np.int32).view(np.uint32)
            h[rows] = _mix_h1(h[rows], _mix_k1(signed))
    return _finish32(h, values.lengths.astype(np.uint32))


# ---- xxHash, 64 bits ------------------------------------------------------------------------------------
_P1, _P2, _P3, _P4, _P5 = (
    np.uint64(p)
    for p in (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)


def _rotate64(x: Words, by: int) -> Words:
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


def _finish64(h: Words) -> Words:
    h = (h ^ (h >> np.uint64(33))) * _P2
    h = (h ^ (h >> np.uint64(29))) * _P3
    return np.asarray(h ^ (h >> np.uint64(32)))


def _xx_ints(values: Words, seeds: Words) -> Words:
    h = seeds + _P5 + np.uint64(4)
    h = h ^ (values.astype(np.int32).view(np.uint32).astype(np.uint64) * _P1)
    return _finish64(_rotate64(h, 23) * _P2 + _P3)


def _xx_longs(values: Words, seeds: Words) -> Words:
    h = seeds + _P5 + np.uint64(8)
    h = h ^ (_rotate64(values.astype(np.int64).view(np.uint64) * _P2, 31) * _P1)
    return _finish64(_rotate64(h, 27) * _P1 + _P4)


def _xx_bytes(values: Bytes, seeds: Words) -> Words:
    lengths = values.lengths
    h = seeds + _P5
    long = np.flatnonzero(lengths >= 32)
    if len(long):
        h[long] = _xx_stripes(values, long, seeds[long])
    h = h + lengths.astype(np.uint64)
    position = np.where(lengths >= 32, lengths // 32 * 32, 0)
    for _step in range(3):
        rows = np.flatnonzero(lengths - position >= 8)
        if len(rows):
            word = _rotate64(values.words(rows, position[rows], 8) * _P2, 31) * _P1
            h[rows] = _rotate64(h[rows] ^ word, 27) * _P1 + _P4
            position[rows] += 8
    rows = np.flatnonzero(lengths - position >= 4)
    if len(rows):
        word = values.words(rows, position[rows], 4).astype(np.uint64) * _P1
        h[rows] = _rotate64(h[rows] ^ word, 23) * _P2 + _P3
        position[rows] += 4
    for _step in range(3):
        rows = np.flatnonzero(lengths - position > 0)
        if len(rows):
            word = values.byte(rows, position[rows]).astype(np.uint64) * _P5
            h[rows] = _rotate64(h[rows] ^ word, 11) * _P1
            position[rows] += 1
    return _finish64(h)


def _xx_stripes(values: Bytes, rows: Words, seeds: Words) -> Words:
    lanes = [seeds + _P1 + _P2, seeds + _P2, seeds.copy(), seeds - _P1]
    active = np.arange(len(rows))
    for offset in range(0, int(values.lengths[rows].max()) // 32 * 32, 32):
        active = active[values.lengths[rows[active]] >= offset + 32]
        for lane, state in enumerate(lanes):
            word = values.words(rows[active], offset + 8 * lane, 8)
            state[active] = _rotate64(state[active] + word * _P2, 31) * _P1
    h = _rotate64(lanes[0], 1) + _rotate64(lanes[1], 7) + _rotate64(lanes[2], 12) + _rotate64(lanes[3], 18)
    for state in lanes:
        h = (h ^ (_rotate64(state * _P2, 31) * _P1)) * _P1 + _P4
    return h


# ---- over types -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Algorithm:
    """One hash function: of 4-byte and 8-byte integers and of byte strings, each from a seed a row."""

    seed_dtype: Any
    ints: Callable[[Words, Words], Words]
    longs: Callable[[Words, Words], Words]
    strings: Callable[[Bytes, Words], Words]


MURMUR3 = Algorithm(np.uint32, _murmur3_ints, _murmur3_longs, _murmur3_bytes)
XXHASH64 = Algorithm(np.uint64, _xx_ints, _xx_longs, _xx_bytes)

_AS_INT = (BooleanType, ByteType, ShortType, IntegerType, DateType, YearMonthIntervalType)
_AS_LONG = (LongType, TimestampType, TimestampNTZType, TimeType, DayTimeIntervalType)
_AS_TEXT = (StringType, CharType, VarcharType, BinaryType)


def hash_columns(algorithm: Algorithm, columns: list[pl.Series], types: list[DataType], seed: int) -> Words:
    """The hash of each row: every column's value hashed with the hash so far as its seed."""
    h = np.full(len(columns[0]) if columns else 1, seed, dtype=algorithm.seed_dtype)
    with np.errstate(over="ignore"):
        for column, dtype in zip(columns, types, strict=True):
            h = fold(algorithm, column, dtype, h)
    return h


def fold(algorithm: Algorithm, column: pl.Series, dtype: DataType, h: Words) -> Words:
    """The hashes so far with one more column; NULL leaves a hash as it is."""
    if isinstance(dtype, NullType):
        return h
    if isinstance(dtype, UserDefinedType):
        return fold(algorithm, column, dtype.sqlType(), h)
    if isinstance(dtype, (ArrayType, MapType)):
        return _fold_lists(algorithm, column, dtype, h)
    if isinstance(dtype, StructType):
        return _fold_struct(algorithm, column, dtype, h)
    present = column.is_not_null().to_numpy()
    if present.all():
        return _hash(algorithm, column, dtype, h)
    result = h.copy()
    result[present] = _hash(algorithm, column.filter(pl.Series(present)), dtype, h[present])
    return result


def _hash(algorithm: Algorithm, column: pl.Series, dtype: DataType, h: Words) -> Words:
    if not len(column):
        return h
    if isinstance(dtype, _AS_INT):
        return algorithm.ints(column.to_physical().cast(pl.Int32).to_numpy(), h)
    if isinstance(dtype, _AS_LONG):
        return algorithm.longs(column.to_physical().to_numpy(), h)
    if isinstance(dtype, FloatType):
        return algorithm.ints(_bits(column, np.float32, np.int32), h)
    if isinstance(dtype, DoubleType):
        return algorithm.longs(_bits(column, np.float64, np.int64), h)
    if isinstance(dtype, DecimalType):
        return _hash_decimals(algorithm, column, dtype, h)
    if isinstance(dtype, _AS_TEXT):
        return algorithm.strings(bytes_of(column), h)
    if isinstance(dtype, CalendarIntervalType):
        parts = [column.struct.field(n).to_numpy() for n in ("microseconds", "days", "months")]
        return algorithm.ints(parts[2], algorithm.ints(parts[1], algorithm.longs(parts[0], h)))
    raise TypeError(f"no hash of {dtype.simpleString()}")


def _bits(column: pl.Series, floating: Any, integer: Any) -> Words:
    values = column.to_numpy().astype(floating) + floating(0.0)  # -0.0 becomes 0.0
    return np.asarray(np.where(np.isnan(values), floating(np.nan), values).astype(floating).view(integer))


def _hash_decimals(algorithm: Algorithm, column: pl.Series, dtype: DecimalType, h: Words) -> Words:
    numbers = unscaled_of(column)
    if dtype.precision <= 18:
        return algorithm.longs(numbers.cast(pl.Int64).to_numpy(), h)
    encoded = [v.to_bytes((v + (v < 0)).bit_length() // 8 + 1, "big", signed=True) for v in numbers.to_list()]
    return algorithm.strings(bytes_of(pl.Series(encoded, dtype=pl.Binary)), h)


def _fold_struct(algorithm: Algorithm, column: pl.Series, dtype: StructType, h: Words) -> Words:
    present = column.is_not_null().to_numpy()
    result = h
    for name, field in zip(struct_carrier_names(dtype), dtype.fields, strict=True):
        result = fold(algorithm, column.struct.field(name), field.dataType, result)
    return np.where(present, result, h)


def _fold_lists(algorithm: Algorithm, column: pl.Series, dtype: ArrayType | MapType, h: Words) -> Words:
    """Element after element: the first of every list, then the second of those that have one, ..."""
    if isinstance(dtype, MapType):
        entry = pl.Struct({"key": carrier(dtype.keyType), "value": carrier(dtype.valueType)})
        column = column.cast(pl.List(entry))
    lengths = column.list.len().fill_null(0).to_numpy()
    result = h.copy()
    for position in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > position)
        element = column.gather(rows).list.get(position)
        if isinstance(dtype, MapType):
            hashed = fold(algorithm, element.struct.field("key"), dtype.keyType, result[rows])
            result[rows] = fold(algorithm, element.struct.field("value"), dtype.valueType, hashed)
        else:
            result[rows] = fold(algorithm, element, dtype.elementType, result[rows])
    return result
