"""JSON records, one by one, as values of a schema: what every faster way falls back to."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import series_of
from voltray.executors.sources.base import Options
from voltray.executors.sources.json_scanner import JsonScanner, Leniency, Node, leniency_of
from voltray.executors.sources.text_values import parse_text
from voltray.proto.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
    UserDefinedType,
)  # fmt: skip

_BITS: dict[type[DataType], int] = {ByteType: 8, ShortType: 16, IntegerType: 32, LongType: 64}
_SPECIAL = {
    "NaN": float("nan"), "Infinity": float("inf"), "+Infinity": float("inf"), "INF": float("inf"),
    "+INF": float("inf"), "-Infinity": float("-inf"), "-INF": float("-inf"),
}  # fmt: skip
_WIDE = Context(prec=76, rounding=ROUND_HALF_UP)


class BadField(Exception):
    """A value that is none of its type; ``partial`` is what could be read of it."""

    def __init__(self, partial: Any = None) -> None:
        super().__init__()
        self.partial = partial


@dataclass
class JsonRecords:
    """Reads records for one schema."""

    schema: StructType
    options: Options
    context: EvaluationContext
    leniency: Leniency = field(init=False)
    _texts: dict[tuple[str, str], Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.leniency = leniency_of(self.options)

    def read(self, records: list[str]) -> tuple[list[pl.Series], pl.Series, list[int]]:
        """A series for each field, which rows are malformed, and each row's record number."""
        rows: list[tuple[Any, ...]] = []
        bad: list[bool] = []
        sources: list[int] = []
        for number, text in enumerate(records):
            for row, is_bad in self._rows(text):
                rows.append(row)
                bad.append(is_bad)
                sources.append(number)
        columns = list(zip(*rows, strict=True)) if rows else [() for _ in self.schema.fields]
        series = [series_of(values, f.dataType, f.name) for values, f in zip(columns, self.schema.fields, strict=True)]
        return series, pl.Series(bad, dtype=pl.Boolean), sources

    def _rows(self, text: str) -> list[tuple[tuple[Any, ...], bool]]:
        nothing = (None,) * len(self.schema.fields)
        try:
            root = JsonScanner(text, self.leniency).root()
        except (ValueError, RecursionError):
            return [(nothing, True)]
        if root.kind == "array":
            return [self._row(item, text) for item in root.value]
        return [self._row(root, text)]

    def _row(self, node: Node, text: str) -> tuple[tuple[Any, ...], bool]:
        if node.kind == "null":
            return (None,) * len(self.schema.fields), False
        if node.kind != "object":
            return (None,) * len(self.schema.fields), True
        try:
            return self._struct(node, self.schema, text), False
        except BadField as problem:
            return problem.partial or (None,) * len(self.schema.fields), True

    def _struct(self, node: Node, dtype: StructType, text: str) -> tuple[Any, ...]:
        if node.kind != "object":
            raise BadField
        held = dict(node.value)
        values: list[Any] = []
        is_bad = False
        for item in dtype.fields:
            found = held.get(item.name)
            if found is None or found.kind == "null":
                values.append(None)
                continue
            try:
                values.append(self._convert(found, item.dataType, text))
            except BadField as problem:
                values.append(problem.partial)
                is_bad = True
        if is_bad:
            raise BadField(tuple(values))
        return tuple(values)

    def _convert(self, node: Node, dtype: DataType, text: str) -> Any:
        if node.kind == "null":
            return None
        match dtype:
            case StringType():
                return node.value if node.kind == "string" else text[node.start : node.end]
            case StructType():
                return self._struct(node, dtype, text)
            case ArrayType():
                return self._array(node, dtype, text)
            case MapType():
                return self._map(node, dtype, text)
            case UserDefinedType():
                return self._convert(node, dtype.sqlType(), text)
        converter = _SCALARS.get(type(dtype))
        if converter is not None:
            return converter(node, dtype)
        return self._parsed(node, dtype)

    def _array(self, node: Node, dtype: ArrayType, text: str) -> list[Any]:
        if node.kind != "array":
            raise BadField
        try:
            return [self._convert(item, dtype.elementType, text) for item in node.value]
        except BadField:
            raise BadField from None

    def _map(self, node: Node, dtype: MapType, text: str) -> list[tuple[Any, Any]]:
        if node.kind != "object":
            raise BadField
        try:
            return list({k: (k, self._convert(v, dtype.valueType, text)) for k, v in node.value}.values())
        except BadField:
            raise BadField from None

    def _parsed(self, node: Node, dtype: DataType) -> Any:
        """Dates, instants and intervals, from their texts (instants also from seconds)."""
        if isinstance(dtype, TimestampType) and node.kind == "integer":
            return int(node.value) * 1_000_000
        if node.kind != "string":
            raise BadField
        key = (node.value, dtype.simpleString())
        if key not in self._texts:
            parsed = parse_text(pl.Series([node.value], dtype=pl.String), dtype, self.options, self.context)
            self._texts[key] = parsed.to_physical()[0]
        if self._texts[key] is None:
            raise BadField
        return self._texts[key]


def _integer(node: Node, dtype: DataType) -> int:
    if node.kind != "integer":
        raise BadField
    value, limit = int(node.value), 1 << (_BITS[type(dtype)] - 1)
    if not -limit <= value < limit:
        raise BadField
    return value


def _floating(node: Node, dtype: DataType) -> float:
    if node.kind in ("integer", "float"):
        return float(node.value)
    if node.kind == "non_number":
        return float(node.value)
    if node.kind == "string" and node.value in _SPECIAL:
        return _SPECIAL[node.value]
    raise BadField


def _boolean(node: Node, dtype: DataType) -> bool:
    if node.kind != "boolean":
        raise BadField
    return bool(node.value)


def _decimal(node: Node, dtype: DataType) -> Decimal | None:
    assert isinstance(dtype, DecimalType)
    if node.kind not in ("integer", "float", "string"):
        raise BadField
    try:
        value = Decimal(node.value.replace(",", ""))
        rounded = value.quantize(Decimal(1).scaleb(-dtype.scale), context=_WIDE)
    except InvalidOperation:
        raise BadField from None
    return rounded if rounded.adjusted() < dtype.precision - dtype.scale or not rounded else None


def _binary(node: Node, dtype: DataType) -> bytes:
    if node.kind != "string":
        raise BadField
    try:
        return base64.b64decode(node.value)
    except binascii.Error:
        raise BadField from None


def _null(node: Node, dtype: DataType) -> None:
    raise BadField


_SCALARS: dict[type[DataType], Callable[[Node, DataType], Any]] = {
    ByteType: _integer, ShortType: _integer, IntegerType: _integer, LongType: _integer, FloatType: _floating,
    DoubleType: _floating, BooleanType: _boolean, DecimalType: _decimal, BinaryType: _binary, NullType: _null,
}  # fmt: skip


def struct_of(fields: list[tuple[str, DataType]]) -> StructType:
    """A struct of nullable fields."""
    return StructType([StructField(n, t, True) for n, t in fields])
