"""JSON texts as Python values, and those as columns of a Spark type.

Python's own parser reads the texts (in C); what it refuses is read again with Jackson's leniencies. From there on
everything goes by columns: one field of all records at a time.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.functions.java_numbers import java_double
from voltray.executors.literals import series_of
from voltray.proto.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
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
    TimestampType,
    UserDefinedType,
    VariantType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

MISSING = object()
"""What stands for a text that is no JSON."""

_BITS = {ByteType: 8, ShortType: 16, IntegerType: 32, LongType: 64}
_SPECIAL = {
    "NaN": float("nan"), "Infinity": float("inf"), "+Infinity": float("inf"), "INF": float("inf"),
    "+INF": float("inf"), "-Infinity": float("-inf"), "-INF": float("-inf"),
}  # fmt: skip
_WIDE = Context(prec=76, rounding=ROUND_HALF_UP)
_ESCAPED = {**{chr(c): f"\\u{c:04X}" for c in range(32)}, "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
            "\t": "\\t", '"': '\\"', "\\": "\\\\"}  # fmt: skip
_ESCAPES = str.maketrans(_ESCAPED)


class RawFloat(str):
    """A number with a fraction or an exponent, as it was written."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object: names and values in order, a name perhaps twice."""

    __slots__ = ()


_DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_float=RawFloat)


def parse_json(text: str, options: Mapping[str, str]) -> Any:
    """The first value of a text, or MISSING."""
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        return _DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return _leniently(text, options)


def _leniently(text: str, options: Mapping[str, str]) -> Any:
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.json_scanner import JsonScanner, leniency_of

    try:
        return _value_of(JsonScanner(text, leniency_of(Options(options.items()))).root())
    except (ValueError, RecursionError):
        return MISSING


def _value_of(node: Any) -> Any:
    match node.kind:
        case "object":
            return Members([(name, _value_of(item)) for name, item in node.value])
        case "array":
            return [_value_of(item) for item in node.value]
        case "integer":
            return int(node.value)
        case "float":
            return RawFloat(node.value)
    return node.value


def quoted(text: str) -> str:
    """A string in JSON, escaped as Jackson does."""
    return f'"{text.translate(_ESCAPES)}"'


def compact(value: Any) -> str:
    """A value as JSON text without spaces, numbers as Java prints them."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case RawFloat():
            return java_double(float(value))
        case str():
            return quoted(value)
        case int():
            return str(value)
        case float():
            return quoted(java_double(value))
        case Members():
            return "{" + ",".join([f"{quoted(k)}:{compact(v)}" for k, v in value]) + "}"
    return "[" + ",".join([compact(v) for v in value]) + "]"


@dataclass(frozen=True, slots=True)
class Converted:
    """A column of a type; ``bad`` marks rows of which some part did not fit, ``lost`` those with no value for it."""

    column: pl.Series
    bad: np.ndarray
    lost: np.ndarray


@dataclass(frozen=True, slots=True)
class JsonColumns:
    """Turns JSON values into columns, by the options of reading."""

    options: Mapping[str, str]
    context: EvaluationContext

    def column(self, values: Sequence[Any], dtype: DataType) -> Converted:
        """The values as a column; None is NULL and fits any type."""
        match dtype:
            case StructType():
                return self._struct(values, dtype)
            case ArrayType():
                return self._array(values, dtype)
            case MapType():
                return self._map(values, dtype)
            case UserDefinedType():
                return self.column(values, dtype.sqlType())
        return self._leaf(values, dtype)

    def _struct(self, values: Sequence[Any], dtype: StructType) -> Converted:
        known = np.array([isinstance(v, Members) for v in values], dtype=bool)
        lost = ~known & np.array([v is not None for v in values], dtype=bool)
        held = [dict(v) if isinstance(v, Members) else {} for v in values]
        bad = lost.copy()
        columns = []
        for name, field in zip(struct_carrier_names(dtype), dtype.fields, strict=True):
            converted = self.column([h.get(field.name) for h in held], field.dataType)
            bad |= converted.bad
            columns.append(converted.column.alias(name))
        if not columns:
            column = pl.Series([{}] * len(values), dtype=carrier(dtype))
        else:
            column = pl.DataFrame(columns).to_struct("struct")
        return Converted(_where(column, known), bad, lost)

    def _array(self, values: Sequence[Any], dtype: ArrayType) -> Converted:
        known = np.array([type(v) is list for v in values], dtype=bool)
        items = [x for v, k in zip(values, known, strict=True) if k for x in v]
        lengths = np.array([len(v) if k else 0 for v, k in zip(values, known, strict=True)], dtype=np.int64)
        inner = self.column(items, dtype.elementType)
        return self._gathered(values, inner.column, inner, lengths, known)

    def _map(self, values: Sequence[Any], dtype: MapType) -> Converted:
        known = np.array([isinstance(v, Members) for v in values], dtype=bool)
        held = [dict(v) if k else {} for v, k in zip(values, known, strict=True)]
        lengths = np.array([len(h) for h in held], dtype=np.int64)
        keys = self.column([k for h in held for k in h], dtype.keyType).column
        inner = self.column([x for h in held for x in h.values()], dtype.valueType)
        pairs = pl.DataFrame([keys.alias("key"), inner.column.alias("value")]).to_struct("entry")
        gathered = self._gathered(values, pairs, inner, lengths, known)
        return Converted(gathered.column.list.to_map(), gathered.bad, gathered.lost)

    def _gathered(
        self, values: Sequence[Any], items: pl.Series, inner: Converted, lengths: np.ndarray, known: np.ndarray
    ) -> Converted:
        """Items back in their lists; a list with an item that has no value has none itself."""
        row = np.repeat(np.arange(len(lengths)), lengths)
        lost = ~known & np.array([v is not None for v in values], dtype=bool)
        lost[row[inner.lost]] = True
        bad = lost.copy()
        bad[row[inner.bad]] = True
        keep = ~lost[row]
        column = lists.build(items.filter(pl.Series(keep)), np.where(lost, 0, lengths), known & ~lost)
        return Converted(column, bad, lost)

    def _leaf(self, values: Sequence[Any], dtype: DataType) -> Converted:
        converter = _CONVERTERS.get(type(dtype))
        if converter is not None:
            converted = [None if v is None else converter(v, dtype) for v in values]
            column = series_of(converted, dtype)
        else:
            column = self._from_text(values, dtype)
        given = np.array([v is not None for v in values], dtype=bool)
        bad = given & column.is_null().to_numpy()
        return Converted(column, bad, bad)

    def _from_text(self, values: Sequence[Any], dtype: DataType) -> pl.Series:
        """Dates, instants and intervals from their texts, instants from seconds too."""
        from voltray.executors.sources.base import Options
        from voltray.executors.sources.text_values import parse_text

        texts = pl.Series([v if type(v) is str else None for v in values], dtype=pl.String)
        column = parse_text(texts, dtype, Options(self.options.items()), self.context)
        if isinstance(dtype, TimestampType) and any(type(v) is int for v in values):
            seconds = [v * 1_000_000 if type(v) is int else None for v in values]
            column = column.fill_null(series_of(seconds, dtype))
        return column


def _where(column: pl.Series, known: np.ndarray) -> pl.Series:
    return column if known.all() else column.zip_with(pl.Series(known), pl.Series([None], dtype=column.dtype))


def _string(value: Any, dtype: DataType) -> str:
    return value if type(value) is str else compact(value)


def _integer(value: Any, dtype: DataType) -> int | None:
    limit = 1 << (_BITS[type(dtype)] - 1)  # type: ignore[index]
    return value if type(value) is int and -limit <= value < limit else None


def _floating(value: Any, dtype: DataType) -> float | None:
    if type(value) is str:
        return _SPECIAL.get(value)
    return float(value) if type(value) in (int, RawFloat, float) else None


def _decimal(value: Any, dtype: DataType) -> Decimal | None:
    assert isinstance(dtype, DecimalType)
    if type(value) not in (int, RawFloat, str):
        return None
    try:
        exact = Decimal(value).quantize(Decimal(1).scaleb(-dtype.scale), context=_WIDE)
    except InvalidOperation:
        return None
    return exact if abs(exact) < Decimal(10) ** (dtype.precision - dtype.scale) else None


def _boolean(value: Any, dtype: DataType) -> bool | None:
    return value if type(value) is bool else None


def _binary(value: Any, dtype: DataType) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True) if type(value) is str else None
    except (binascii.Error, ValueError):
        return None


def _variant(value: Any, dtype: DataType) -> Any:
    from voltray.executors.functions.variant_encoding import encode_json

    return encode_json(value)


_CONVERTERS: dict[type[DataType], Callable[[Any, DataType], Any]] = {
    StringType: _string, BooleanType: _boolean, BinaryType: _binary, DecimalType: _decimal, DoubleType: _floating,
    FloatType: _floating, VariantType: _variant, NullType: lambda value, dtype: None,
    **dict.fromkeys(_BITS, _integer),
}  # fmt: skip

__all__ = ["MISSING", "Converted", "DateType", "JsonColumns", "Members", "RawFloat", "compact", "parse_json", "quoted"]
