"""Internal values (see ``proto.types``) as Polars series and literals of the exact carrier, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from voltray.proto.types import (
    ArrayType,
    CalendarIntervalType,
    DataType,
    DateType,
    DayTimeIntervalType,
    MapType,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VariantType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

# Carriers whose values are numbers to us but objects of the datetime module to Polars' constructors.
_PHYSICAL: dict[type[DataType], pl.DataType] = {
    DateType: pl.Int32(),
    TimestampType: pl.Int64(),
    TimestampNTZType: pl.Int64(),
    TimeType: pl.Int64(),
    DayTimeIntervalType: pl.Int64(),
}
_NESTED = (ArrayType, MapType, StructType, CalendarIntervalType, VariantType, UserDefinedType)
_INTERVAL_FIELDS = ("months", "days", "microseconds")


def literal_column(value: Any, dtype: DataType) -> pl.Expr:
    """A constant column of an internal value."""
    if value is None or not isinstance(dtype, _NESTED):
        return pl.lit(value, dtype=carrier(dtype))
    return pl.lit(series_of((value,), dtype)).first()


def series_of(values: Sequence[Any], dtype: DataType, name: str = "") -> pl.Series:
    """Internal values of one type as a series of its carrier."""
    plain = [_plain(v, dtype) for v in values] if isinstance(dtype, _NESTED) else values
    series = pl.Series(name, plain, dtype=_physical(dtype), strict=False)
    target = carrier(dtype)
    return series if series.dtype == target else series.cast(target)


def _physical(dtype: DataType) -> pl.DataType:
    """The carrier with dates, times and the like as bare numbers, and maps as lists of entries."""
    match dtype:
        case ArrayType():
            return pl.List(_physical(dtype.elementType))
        case MapType():
            entry = {"key": _physical(dtype.keyType), "value": _physical(dtype.valueType)}
            return pl.List(pl.Struct(entry))
        case StructType():
            names = struct_carrier_names(dtype)
            return pl.Struct({n: _physical(f.dataType) for n, f in zip(names, dtype.fields, strict=True)})
        case UserDefinedType():
            return _physical(dtype.sqlType())
    return _PHYSICAL.get(type(dtype)) or carrier(dtype)


def _plain(value: Any, dtype: DataType) -> Any:
    if value is None:
        return None
    match dtype:
        case ArrayType():
            return [_plain(v, dtype.elementType) for v in value]
        case MapType():
            pairs = value.items() if isinstance(value, dict) else value
            return [{"key": _plain(k, dtype.keyType), "value": _plain(v, dtype.valueType)} for k, v in pairs]
        case StructType():
            names = struct_carrier_names(dtype)
            parts = zip(names, dtype.fields, value, strict=True)
            return {n: _plain(v, f.dataType) for n, f, v in parts}
        case CalendarIntervalType():
            return dict(zip(_INTERVAL_FIELDS, value, strict=True))
        case VariantType():
            return value if isinstance(value, dict) else dict(zip(("value", "metadata"), value, strict=True))
        case UserDefinedType():
            return _plain(value, dtype.sqlType())
    return value


def internal_values(series: pl.Series, dtype: DataType) -> list[Any]:
    """A series of a carrier as internal values."""
    physical = _physical(dtype)
    values = (series if series.dtype == physical else series.cast(physical)).to_list()
    if not isinstance(dtype, _NESTED):
        return values
    read = _reader(dtype)
    return [None if v is None else read(v) for v in values]


def _same(value: Any) -> Any:
    return value


def _reader(dtype: DataType) -> Callable[[Any], Any]:
    match dtype:
        case ArrayType():
            element = _reader(dtype.elementType)
            return lambda v: [None if x is None else element(x) for x in v]
        case MapType():
            key, item = _reader(dtype.keyType), _reader(dtype.valueType)
            return lambda v: [(key(e["key"]), None if e["value"] is None else item(e["value"])) for e in v]
        case StructType():
            names = struct_carrier_names(dtype)
            parts = [(n, _reader(f.dataType)) for n, f in zip(names, dtype.fields, strict=True)]
            return lambda v: tuple([None if v[n] is None else read(v[n]) for n, read in parts])
        case CalendarIntervalType():
            return lambda v: tuple([v[n] for n in _INTERVAL_FIELDS])
        case VariantType():
            return lambda v: (v["value"], v["metadata"])
        case UserDefinedType():
            return _reader(dtype.sqlType())
    return _same
