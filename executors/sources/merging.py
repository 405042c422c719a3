"""Merging the schemas of several files, as Spark's option mergeSchema does."""

from __future__ import annotations

from collections.abc import Sequence

from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    ArrayType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StructField,
    StructType,
    same_type,
    type_name,
)  # fmt: skip

_WIDENING = (ByteType, ShortType, IntegerType, LongType)


class _Conflict(Exception):
    """Two types that do not merge."""


def merge_schemas(schemas: Sequence[StructType]) -> StructType:
    """One schema with every column of all; same names must have types that merge."""
    merged = schemas[0]
    for schema in schemas[1:]:
        try:
            merged = _merge_structs(merged, schema)
        except _Conflict:
            raise spark_error(
                "CANNOT_MERGE_SCHEMAS", ErrorKind.SPARK, left=type_name(merged), right=type_name(schema)
            ) from None
    return merged


def _merge_structs(left: StructType, right: StructType) -> StructType:
    others = {f.name.lower(): f for f in right.fields}
    fields = []
    for field in left.fields:
        other = others.pop(field.name.lower(), None)
        dtype = field.dataType if other is None else _merge(field.dataType, other.dataType)
        fields.append(StructField(field.name, dtype, field.nullable, field.metadata))
    return StructType(fields + [f for f in right.fields if f.name.lower() in others])


def _merge(left: DataType, right: DataType) -> DataType:
    match left, right:
        case (StructType(), StructType()):
            return _merge_structs(left, right)
        case (ArrayType(), ArrayType()):
            return ArrayType(_merge(left.elementType, right.elementType), left.containsNull or right.containsNull)
        case (MapType(), MapType()):
            value = _merge(left.valueType, right.valueType)
            return MapType(_merge(left.keyType, right.keyType), value, True)
        case (DecimalType(), DecimalType()) if left.scale == right.scale:
            return DecimalType(max(left.precision, right.precision), left.scale)
        case (FloatType(), DoubleType()) | (DoubleType(), FloatType()):
            return DoubleType()
    if same_type(left, right):
        return left
    if isinstance(left, _WIDENING) and isinstance(right, _WIDENING):
        return max(left, right, key=lambda t: _WIDENING.index(type(t)))
    raise _Conflict
