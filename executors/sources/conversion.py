"""From what a columnar file holds to Spark's types and their carriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa

from voltray.proto.failures import spark_error
from voltray.proto.types import (
    BINARY,
    BOOLEAN,
    BYTE,
    DATE,
    DOUBLE,
    FLOAT,
    INTEGER,
    LONG,
    NULL,
    SHORT,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    ArrayType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    YearMonthIntervalType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

_ARROW: tuple[tuple[Callable[[pa.DataType], bool], DataType], ...] = (
    (pa.types.is_boolean, BOOLEAN), (pa.types.is_int8, BYTE), (pa.types.is_uint8, SHORT),
    (pa.types.is_int16, SHORT), (pa.types.is_uint16, INTEGER), (pa.types.is_int32, INTEGER),
    (pa.types.is_uint32, LONG), (pa.types.is_int64, LONG), (pa.types.is_uint64, DecimalType(20, 0)),
    (pa.types.is_float16, FLOAT), (pa.types.is_float32, FLOAT), (pa.types.is_float64, DOUBLE),
    (pa.types.is_string, STRING), (pa.types.is_large_string, STRING), (pa.types.is_string_view, STRING),
    (pa.types.is_binary, BINARY), (pa.types.is_large_binary, BINARY), (pa.types.is_fixed_size_binary, BINARY),
    (pa.types.is_binary_view, BINARY), (pa.types.is_date, DATE), (pa.types.is_null, NULL),
    (pa.types.is_time, TimeType(6)), (pa.types.is_duration, LONG),
)  # fmt: skip


def arrow_to_spark(field: pa.Field, path: str, legacy: set[str]) -> StructField:
    """A column's Spark type; ``legacy`` are the leaves that hold INT96 instants."""
    return StructField(field.name, _spark_type(field.type, path, legacy), True)


def _spark_type(dtype: pa.DataType, path: str, legacy: set[str]) -> DataType:
    if pa.types.is_dictionary(dtype):
        return _spark_type(dtype.value_type, path, legacy)
    if pa.types.is_decimal(dtype):
        return DecimalType(dtype.precision, dtype.scale)
    if pa.types.is_timestamp(dtype):
        return _timestamp(dtype, path in legacy)
    if pa.types.is_map(dtype):
        below = f"{path}.key_value"
        key = _spark_type(dtype.key_type, f"{below}.key", legacy)
        return MapType(key, _spark_type(dtype.item_type, f"{below}.value", legacy), True)
    if pa.types.is_struct(dtype):
        return StructType([arrow_to_spark(f, f"{path}.{f.name}", legacy) for f in dtype])
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        name = dtype.value_field.name
        return ArrayType(_spark_type(dtype.value_type, f"{path}.list.{name}", legacy), True)
    for test, found in _ARROW:
        if test(dtype):
            return found
    raise spark_error("PARQUET_TYPE_NOT_SUPPORTED", parquetType=str(dtype))


def _timestamp(dtype: pa.TimestampType, legacy: bool) -> DataType:
    if legacy or dtype.tz is not None:
        return TIMESTAMP
    if dtype.unit == "ns":
        raise spark_error("PARQUET_TYPE_ILLEGAL", parquetType="INT64 (TIMESTAMP(NANOS,false))")
    return TIMESTAMP_NTZ


def converted(value: pl.Expr, physical: pl.DataType, wanted: DataType) -> pl.Expr | None:
    """A column as the carrier of the type wanted; None where Spark would not read it so."""
    target = carrier(wanted)
    if physical == target:
        return value
    if isinstance(wanted, NullType):
        return pl.lit(None)
    if isinstance(wanted, UserDefinedType):
        return converted(value, physical, wanted.sqlType())
    if isinstance(wanted, StructType) and isinstance(physical, pl.Struct):
        return _struct(value, physical, wanted)
    if isinstance(wanted, ArrayType) and isinstance(physical, pl.List | pl.Array):
        element = converted(pl.element(), _dtype(physical.inner), wanted.elementType)
        listed = value if isinstance(physical, pl.List) else value.arr.to_list()
        return None if element is None else listed.list.eval(element)
    if isinstance(wanted, MapType) and isinstance(physical, pl.Map):
        return value.cast(target)
    return _plain(value, physical, wanted, target)


def _dtype(held: Any) -> pl.DataType:
    """A dtype that Polars may give as a class."""
    return held if isinstance(held, pl.DataType) else held()


def _struct(value: pl.Expr, physical: pl.Struct, wanted: StructType) -> pl.Expr | None:
    held = {f.name.lower(): f for f in physical.fields}
    parts = []
    for name, field in zip(struct_carrier_names(wanted), wanted.fields, strict=True):
        found = held.get(field.name.lower())
        if found is None:
            parts.append(pl.lit(None, dtype=carrier(field.dataType)).alias(name))
            continue
        part = converted(value.struct.field(found.name), _dtype(found.dtype), field.dataType)
        if part is None:
            return None
        parts.append(part.alias(name))
    return pl.when(value.is_not_null()).then(pl.struct(parts))


def _plain(value: pl.Expr, physical: pl.DataType, wanted: DataType, target: pl.DataType) -> pl.Expr | None:
    if isinstance(physical, pl.Datetime):
        return _instant(value, physical, wanted, target)
    if isinstance(wanted, StringType) and isinstance(physical, pl.Binary | pl.Categorical | pl.Enum):
        return value.cast(pl.String)
    if isinstance(wanted, DayTimeIntervalType) and physical == pl.Int64():
        return value.cast(target)
    if isinstance(wanted, TimestampNTZType) and isinstance(physical, pl.Date):
        return value.cast(target)
    if isinstance(wanted, DecimalType):
        return value.cast(target) if _fits_decimal(physical, wanted) else None
    if target == pl.Binary() and physical == pl.String():
        return value.cast(pl.Binary)
    if isinstance(physical, pl.Null):
        return value.cast(target)
    if isinstance(wanted, DateType | TimestampType | StringType | TimeType | YearMonthIntervalType):
        return None
    return value.cast(target) if _widens(physical, target) else None


def _instant(value: pl.Expr, physical: pl.Datetime, wanted: DataType, target: pl.DataType) -> pl.Expr | None:
    value = value if physical.time_unit == "us" else value.dt.cast_time_unit("us")
    if isinstance(wanted, TimestampType):
        return value.dt.convert_time_zone("UTC") if physical.time_zone else value.dt.replace_time_zone("UTC")
    if isinstance(wanted, TimestampNTZType):
        return value.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if physical.time_zone else value
    return value.cast(target) if wanted.typeName() == "long" else None


def _fits_decimal(physical: pl.DataType, wanted: DecimalType) -> bool:
    if isinstance(physical, pl.Decimal):
        precision, scale = physical.precision or 38, physical.scale
        return wanted.scale >= scale and wanted.precision - wanted.scale >= precision - scale
    return physical.is_integer()


def _widens(physical: pl.DataType, target: pl.DataType) -> bool:
    """Integers become wider ones (Spark holds bytes and shorts as 32 bits, too) or doubles; floats doubles."""
    if physical.is_integer() and target.is_integer():
        return target.is_signed_integer() and not (physical in (pl.Int64(), pl.UInt64()) and target != pl.Int64())
    if physical.is_float():
        return target == pl.Float64() or (target == pl.Float32() and physical != pl.Float64())
    return physical in (pl.Int8(), pl.Int16(), pl.Int32()) and target == pl.Float64()
