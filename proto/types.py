"""Spark's data types, and their forms in Polars and Arrow.

The classes are Spark's own (``pyspark.sql.types``); what is ours is how a type is held inside an
executor (its *carrier*, a Polars dtype) and how it leaves the server (its Arrow type).
Values of a type outside a column (literals, partition values) are *internal values*: int for every
integer, date (days), timestamp and timestamp_ntz (microseconds), time (nanoseconds), year-month (months) and
day-time interval (microseconds); Decimal, str, bytes, bool, float as they are; list for arrays; list of
(key, value) pairs for maps; tuple for structs; (months, days, microseconds) for calendar intervals.
"""

from __future__ import annotations

import base64
from functools import lru_cache

import polars as pl
import pyarrow as pa
from pyspark.sql.types import (
    ArrayType,
    AtomicType,
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
    FractionalType,
    IntegerType,
    IntegralType,
    LongType,
    MapType,
    NullType,
    NumericType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
)

__all__ = [
    "BOOLEAN", "BINARY", "BYTE", "CALENDAR_INTERVAL", "DATE", "DOUBLE", "FLOAT", "INTEGER", "LONG", "NULL",
    "SHORT", "STRING", "TIMESTAMP", "TIMESTAMP_NTZ", "VARIANT", "MAX_DECIMAL_PRECISION",
    "ArrayType", "AtomicType", "BinaryType", "BooleanType", "ByteType", "CalendarIntervalType", "CharType",
    "DataType", "DateType", "DayTimeIntervalType", "DecimalType", "DoubleType", "FloatType", "FractionalType",
    "IntegerType", "IntegralType", "LongType", "MapType", "NullType", "NumericType", "ShortType", "StringType",
    "StructField", "StructType", "TimeType", "TimestampNTZType", "TimestampType", "UserDefinedType",
    "VarcharType", "VariantType", "YearMonthIntervalType",
    "arrow_schema", "arrow_type", "carrier", "client_arrow_schema", "equal_structures", "same_type",
    "struct_carrier_names", "type_name", "with_nullability",
]  # fmt: skip

BOOLEAN, BINARY, STRING, NULL = BooleanType(), BinaryType(), StringType(), NullType()
BYTE, SHORT, INTEGER, LONG = ByteType(), ShortType(), IntegerType(), LongType()
FLOAT, DOUBLE = FloatType(), DoubleType()
DATE, TIMESTAMP, TIMESTAMP_NTZ = DateType(), TimestampType(), TimestampNTZType()
CALENDAR_INTERVAL, VARIANT = CalendarIntervalType(), VariantType()
MAX_DECIMAL_PRECISION = 38

CALENDAR_INTERVAL_CARRIER = pl.Struct({"months": pl.Int32, "days": pl.Int32, "microseconds": pl.Int64})
VARIANT_CARRIER = pl.Struct({"value": pl.Binary, "metadata": pl.Binary})

# Exact class -> carrier, for the types without parameters that matter here.
_PLAIN_CARRIERS: dict[type[DataType], pl.DataType] = {
    NullType: pl.Null(),
    BooleanType: pl.Boolean(),
    ByteType: pl.Int8(),
    ShortType: pl.Int16(),
    IntegerType: pl.Int32(),
    LongType: pl.Int64(),
    FloatType: pl.Float32(),
    DoubleType: pl.Float64(),
    StringType: pl.String(),
    CharType: pl.String(),
    VarcharType: pl.String(),
    BinaryType: pl.Binary(),
    DateType: pl.Date(),
    TimestampType: pl.Datetime("us", "UTC"),
    TimestampNTZType: pl.Datetime("us"),
    TimeType: pl.Time(),
    DayTimeIntervalType: pl.Duration("us"),
    YearMonthIntervalType: pl.Int32(),
    CalendarIntervalType: CALENDAR_INTERVAL_CARRIER,
    VariantType: VARIANT_CARRIER,
}

_PLAIN_ARROW: dict[type[DataType], pa.DataType] = {
    NullType: pa.null(),
    BooleanType: pa.bool_(),
    ByteType: pa.int8(),
    ShortType: pa.int16(),
    IntegerType: pa.int32(),
    LongType: pa.int64(),
    FloatType: pa.float32(),
    DoubleType: pa.float64(),
    StringType: pa.utf8(),
    CharType: pa.utf8(),
    VarcharType: pa.utf8(),
    BinaryType: pa.binary(),
    DateType: pa.date32(),
    TimestampNTZType: pa.timestamp("us"),
    TimeType: pa.time64("ns"),
    DayTimeIntervalType: pa.duration("us"),
    YearMonthIntervalType: pa.int32(),
    CalendarIntervalType: pa.month_day_nano_interval(),
}


def struct_carrier_names(dtype: StructType) -> tuple[str, ...]:
    """Field names of a struct inside Polars: Spark allows a name twice, Polars does not."""
    seen: set[str] = set()
    names: list[str] = []
    for position, field in enumerate(dtype.fields):
        name = field.name if field.name not in seen else f"{field.name}\x01{position}"
        seen.add(name)
        names.append(name)
    return tuple(names)


def carrier(dtype: DataType) -> pl.DataType:
    """The Polars dtype that holds values of a Spark type inside an executor."""
    plain = _PLAIN_CARRIERS.get(type(dtype))
    if plain is not None:
        return plain
    match dtype:
        case DecimalType():
            return pl.Decimal(max(dtype.precision, 1), dtype.scale)  # Polars has no DECIMAL(0, 0)
        case ArrayType():
            return pl.List(carrier(dtype.elementType))
        case MapType():
            # Polars takes no map of untyped keys; such a map is empty (or NULL).
            key = pl.Boolean() if isinstance(dtype.keyType, NullType) else carrier(dtype.keyType)
            return pl.Map(key, carrier(dtype.valueType))
        case StructType():
            names = struct_carrier_names(dtype)
            return pl.Struct({n: carrier(f.dataType) for n, f in zip(names, dtype.fields, strict=True)})
        case UserDefinedType():
            return carrier(dtype.sqlType())
    raise TypeError(f"no carrier for the type {dtype.simpleString()}")


def arrow_type(dtype: DataType, time_zone: str = "UTC") -> pa.DataType:
    """The exact Arrow type under which Spark Connect sends a Spark type (utf8, not large or view types)."""
    plain = _PLAIN_ARROW.get(type(dtype))
    if plain is not None:
        return plain
    match dtype:
        case TimestampType():
            return pa.timestamp("us", tz=time_zone)
        case DecimalType():
            return pa.decimal128(dtype.precision, dtype.scale)
        case ArrayType():
            return pa.list_(_arrow_field("element", dtype.elementType, dtype.containsNull, time_zone))
        case MapType():
            # The empty map alone has keys of no type, and Arrow none of nothing.
            keys = pa.bool_() if isinstance(dtype.keyType, NullType) else arrow_type(dtype.keyType, time_zone)
            key = pa.field("key", keys, nullable=False)
            value = _arrow_field("value", dtype.valueType, dtype.valueContainsNull, time_zone)
            return pa.map_(key, value)
        case StructType():
            return pa.struct([_arrow_field(f.name, f.dataType, f.nullable, time_zone) for f in dtype.fields])
        case VariantType():
            marked = pa.field("metadata", pa.binary(), nullable=False, metadata={"variant": "true"})
            return pa.struct([pa.field("value", pa.binary(), nullable=False), marked])
        case UserDefinedType():
            return arrow_type(dtype.sqlType(), time_zone)
    raise TypeError(f"no Arrow type for the type {dtype.simpleString()}")


def _arrow_field(name: str, dtype: DataType, nullable: bool, time_zone: str) -> pa.Field:
    # Arrow has no field of nothing that cannot be NULL, such as the elements of array().
    return pa.field(name, arrow_type(dtype, time_zone), nullable or isinstance(dtype, NullType))


def arrow_schema(schema: StructType, time_zone: str = "UTC") -> pa.Schema:
    """The Arrow schema of a result as the client receives it."""
    return pa.schema([_arrow_field(f.name, f.dataType, f.nullable, time_zone) for f in schema.fields])


# PyArrow makes no type of months (Arrow's YEAR_MONTH interval): it is read from the schema of one such column.
_MONTHS_SCHEMA = (
    "/////3AAAAAQAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgABgAHAAwAAAAQABAAAAAAAAEL"
    "EAAAABgAAAAEAAAAAAAAAAEAAABtAAAABAAEAAQAAAAAAAAA"
)


@lru_cache(maxsize=1)
def _months_type() -> pa.DataType:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(_MONTHS_SCHEMA))).field(0).type


def client_arrow_schema(schema: StructType, time_zone: str = "UTC") -> pa.Schema | None:
    """The Arrow schema that a client gets where it is not the one of the arrays: months as intervals."""
    if not any(_holds_months(f.dataType) for f in schema.fields):
        return None
    fields = zip(schema.fields, arrow_schema(schema, time_zone), strict=True)
    return pa.schema([pa.field(f.name, _client_type(f.dataType, e.type), f.nullable) for f, e in fields])


def _holds_months(dtype: DataType) -> bool:
    match dtype:
        case ArrayType():
            return _holds_months(dtype.elementType)
        case MapType():
            return _holds_months(dtype.keyType) or _holds_months(dtype.valueType)
        case StructType():
            return any(_holds_months(f.dataType) for f in dtype.fields)
        case UserDefinedType():
            return _holds_months(dtype.sqlType())
    return isinstance(dtype, YearMonthIntervalType)


def _client_type(dtype: DataType, exact: pa.DataType) -> pa.DataType:
    match dtype:
        case YearMonthIntervalType():
            return _months_type()
        case ArrayType():
            return pa.list_(exact.value_field.with_type(_client_type(dtype.elementType, exact.value_type)))
        case MapType():
            key = exact.key_field.with_type(_client_type(dtype.keyType, exact.key_type))
            return pa.map_(key, exact.item_field.with_type(_client_type(dtype.valueType, exact.item_type)))
        case StructType():
            parts = zip(dtype.fields, exact, strict=True)
            return pa.struct([e.with_type(_client_type(f.dataType, e.type)) for f, e in parts])
    return exact


@lru_cache(maxsize=4096)
def _simple(text: str) -> str:
    return text.upper()


def type_name(dtype: DataType) -> str:
    """A type as Spark's error messages print it: upper case, in double quotes."""
    return f'"{sql_type(dtype)}"'


def sql_type(dtype: DataType) -> str:
    """A type in SQL, as Spark's ``DataType.sql`` gives it, field names kept in their own case."""
    match dtype:
        case NullType():
            return "VOID"
        case ArrayType():
            return f"ARRAY<{sql_type(dtype.elementType)}>"
        case MapType():
            return f"MAP<{sql_type(dtype.keyType)}, {sql_type(dtype.valueType)}>"
        case StructType():
            return "STRUCT<" + ", ".join(_struct_field_sql(f) for f in dtype.fields) + ">"
    return _simple(dtype.simpleString())


def _struct_field_sql(field: StructField) -> str:
    plain = field.name.replace("_", "a").isalnum() and not field.name[0].isdigit()
    name = field.name if plain else "`" + field.name.replace("`", "``") + "`"
    return f"{name}: {sql_type(field.dataType)}" + ("" if field.nullable else " NOT NULL")


def with_nullability(dtype: DataType, nullable: bool) -> DataType:
    """The same type with every nested nullability set alike."""
    match dtype:
        case ArrayType():
            return ArrayType(with_nullability(dtype.elementType, nullable), nullable)
        case MapType():
            key = with_nullability(dtype.keyType, nullable)
            return MapType(key, with_nullability(dtype.valueType, nullable), nullable)
        case StructType():
            nested = [(f.name, with_nullability(f.dataType, nullable), f.metadata) for f in dtype.fields]
            return StructType([StructField(name, kind, nullable, metadata) for name, kind, metadata in nested])
    return dtype


def equal_structures(left: DataType, right: DataType) -> bool:
    """Whether two types are equal but for the names and nullability of their parts."""
    match left, right:
        case (ArrayType(), ArrayType()):
            return equal_structures(left.elementType, right.elementType)
        case (MapType(), MapType()):
            sides = ((left.keyType, right.keyType), (left.valueType, right.valueType))
            return all(equal_structures(a, b) for a, b in sides)
        case (StructType(), StructType()):
            return len(left.fields) == len(right.fields) and all(
                equal_structures(a.dataType, b.dataType) for a, b in zip(left.fields, right.fields, strict=True)
            )
    return same_type(left, right)


def same_type(left: DataType, right: DataType) -> bool:
    """Whether two types are equal but for the nullability of their parts (Spark's ``sameType``)."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    match left, right:
        case (ArrayType(), ArrayType()):
            return same_type(left.elementType, right.elementType)
        case (MapType(), MapType()):
            return same_type(left.keyType, right.keyType) and same_type(left.valueType, right.valueType)
        case (StructType(), StructType()):
            return len(left.fields) == len(right.fields) and all(
                a.name == b.name and same_type(a.dataType, b.dataType)
                for a, b in zip(left.fields, right.fields, strict=True)
            )
    return bool(left == right)
