"""Whether the columns that ``mapInArrow`` gave can be read as the types that were declared: as Spark reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from voltray.proto.expressions import Attribute
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    YearMonthIntervalType,
)

_ACCESSOR = "org.apache.spark.sql.vectorized.ArrowColumnVector$ArrowVectorAccessor"
_is = pa.types
Check = Callable[[pa.DataType], bool]


def _int(dtype: pa.DataType) -> bool:
    return bool(_is.is_int32(dtype) or _is.is_date32(dtype))


def _long(dtype: pa.DataType) -> bool:
    return bool(_is.is_int64(dtype) or _is.is_timestamp(dtype) or _is.is_duration(dtype))


def _text(dtype: pa.DataType) -> bool:
    return bool(_is.is_string(dtype) or _is.is_large_string(dtype))


def _bytes(dtype: pa.DataType) -> bool:
    return bool(_is.is_binary(dtype) or _is.is_large_binary(dtype))


def _list(dtype: pa.DataType) -> bool:
    return bool(_is.is_list(dtype) or _is.is_large_list(dtype))


# For each type the method by which Spark reads it, and which vectors have that method.
_READ: dict[type[DataType], tuple[str, Check]] = {
    BooleanType: ("getBoolean", _is.is_boolean),
    ByteType: ("getByte", _is.is_int8),
    ShortType: ("getShort", _is.is_int16),
    IntegerType: ("getInt", _int),
    DateType: ("getInt", _int),
    YearMonthIntervalType: ("getInt", _int),
    LongType: ("getLong", _long),
    TimestampType: ("getLong", _long),
    TimestampNTZType: ("getLong", _long),
    DayTimeIntervalType: ("getLong", _long),
    FloatType: ("getFloat", _is.is_float32),
    DoubleType: ("getDouble", _is.is_float64),
    DecimalType: ("getDecimal", _is.is_decimal),
    StringType: ("getUTF8String", _text),
    BinaryType: ("getBinary", _bytes),
    ArrayType: ("getArray", _list),
    MapType: ("getMap", _is.is_map),
    StructType: ("getStruct", _is.is_struct),
}


def declared_columns(columns: Sequence[pa.Array], attributes: Sequence[Attribute]) -> Sequence[pa.Array]:
    """The columns declared, by position; Spark looks at no others."""
    if len(columns) < len(attributes):
        message = f"Index {len(columns)} out of bounds for length {len(columns)}: the function gave too few columns."
        raise spark_error("", ErrorKind.SPARK, message=message)
    for column, attribute in zip(columns, attributes, strict=False):
        method, fits = _READ.get(type(attribute.dtype), ("", None))
        if fits is not None and not fits(column.type) and column.null_count < len(column):
            raise spark_error(
                "UNSUPPORTED_CALL.WITHOUT_SUGGESTION", ErrorKind.UNSUPPORTED, methodName=method, className=_ACCESSOR
            )
    return columns[: len(attributes)]
