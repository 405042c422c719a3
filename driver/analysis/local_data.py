"""Rows given in a plan, as Arrow tables in the carriers' types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.plan.logical import LocalData
from voltray.driver.plan.relations import LocalRelation
from voltray.proto.expressions import Attribute, column_name, new_id
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    BINARY,
    BOOLEAN,
    BYTE,
    CALENDAR_INTERVAL,
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
    CalendarIntervalType,
    CharType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    MapType,
    NullType,
    StructField,
    StructType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment


# ---- from the client ---------------------------------------------------------------------------------
def local_data(relation: LocalRelation, environment: Environment) -> LocalData:
    """The rows of a local relation, under its schema where it has one."""
    declared = _declared(relation.schema, environment)
    tables = [table for table in (_table(chunk) for chunk in relation.chunks) if table is not None]
    if not tables:
        if declared is None:
            raise analysis_error(
                "INVALID_CONNECT_PLAN", relation.origin, sqlstate_hint="schema for LocalRelation is required"
            )
        return empty_data(declared)
    schema = declared if declared is not None else StructType([_field(f) for f in tables[0].schema])
    if declared is not None and len(declared.fields) != tables[0].num_columns:
        raise analysis_error("NUM_COLUMNS_MISMATCH", relation.origin, operator="LocalRelation",
                             firstNumColumns=len(declared.fields),
                             invalidOrdinalNum="second", invalidNumColumns=tables[0].num_columns)  # fmt: skip
    carried = [_carried_table(table, schema, environment) for table in tables]
    data = carried[0] if len(carried) == 1 else pa.concat_tables(carried)
    attributes = _attributes(schema)
    return LocalData(attributes, _named(data, attributes), data.num_rows)


def _declared(schema: str | None, environment: Environment) -> StructType | None:
    if not schema:
        return None
    dtype = environment.parse_schema(schema)
    if isinstance(dtype, StructType):
        return dtype
    return StructType([StructField("value", dtype, True)])


def _table(chunk: bytes) -> pa.Table | None:
    if not chunk:
        return None
    try:
        with pa.ipc.open_stream(chunk) as reader:
            return reader.read_all()
    except (pa.ArrowInvalid, OSError, EOFError) as problem:
        raise spark_error(
            "INVALID_ARROW_DATA",
            ErrorKind.ILLEGAL_ARGUMENT,
            sqlstate="22000",
            message=f"The local relation's data is no Arrow stream: {problem}",
        ) from problem


def _attributes(schema: StructType) -> tuple[Attribute, ...]:
    return tuple(
        [
            Attribute(new_id(), f.name, without_char(f.dataType), f.nullable, (), tuple((f.metadata or {}).items()))
            for f in schema.fields
        ]
    )


def without_char(dtype: DataType) -> DataType:
    """CHAR and VARCHAR columns hold plain strings here."""
    return STRING if isinstance(dtype, (CharType, VarcharType)) else dtype


def _named(table: pa.Table, attributes: tuple[Attribute, ...]) -> pa.Table:
    return table.rename_columns([column_name(a.expr_id) for a in attributes])


_FROM_ARROW: dict[str, DataType] = {
    "null": NULL, "bool": BOOLEAN, "int8": BYTE, "int16": SHORT, "int32": INTEGER, "int64": LONG, "float": FLOAT,
    "double": DOUBLE, "string": STRING, "large_string": STRING, "string_view": STRING, "binary": BINARY,
    "large_binary": BINARY, "binary_view": BINARY, "date32[day]": DATE, "halffloat": FLOAT, "uint8": SHORT,
    "uint16": INTEGER, "uint32": LONG, "month_day_nano_interval": CALENDAR_INTERVAL,
}  # fmt: skip


def type_of_arrow(dtype: pa.DataType) -> DataType:
    """The Spark type of an Arrow type as clients send it."""
    plain = _FROM_ARROW.get(str(dtype))
    if plain is not None:
        return plain
    if pa.types.is_timestamp(dtype):
        return TIMESTAMP if dtype.tz else TIMESTAMP_NTZ
    if pa.types.is_decimal(dtype):
        return DecimalType(dtype.precision, dtype.scale)
    if pa.types.is_duration(dtype):
        return DayTimeIntervalType()
    if pa.types.is_time(dtype):
        return TimeType()
    if pa.types.is_dictionary(dtype):
        return type_of_arrow(dtype.value_type)
    if pa.types.is_map(dtype):
        return MapType(type_of_arrow(dtype.key_type), type_of_arrow(dtype.item_type), dtype.item_field.nullable)
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return ArrayType(type_of_arrow(dtype.value_type), dtype.value_field.nullable)
    if pa.types.is_struct(dtype):
        return StructType([_field(dtype.field(i)) for i in range(dtype.num_fields)])
    raise analysis_error("UNSUPPORTED_ARROWTYPE", None, typeName=str(dtype))


def _field(field: pa.Field) -> StructField:
    return StructField(field.name, type_of_arrow(field.type), field.nullable)


def _carried_table(table: pa.Table, schema: StructType, environment: Environment) -> pa.Table:
    columns = [
        _carried(column, field.dataType, environment.time_zone)
        for column, field in zip(table.columns, schema.fields, strict=True)
    ]
    names = [str(i) for i in range(len(columns))]
    if not columns:
        return table
    return pa.Table.from_arrays(columns, names=names)


def arrow_carrier(dtype: DataType) -> pa.DataType:
    """The Arrow type in which Polars takes a carrier without converting it."""
    match dtype:
        case UserDefinedType():
            return arrow_carrier(dtype.sqlType())
        case ArrayType():
            return pa.large_list(pa.field("item", arrow_carrier(dtype.elementType)))
        case MapType():
            return pa.map_(arrow_carrier(dtype.keyType), arrow_carrier(dtype.valueType))
        case StructType():
            names = struct_carrier_names(dtype)
            return pa.struct([(n, arrow_carrier(f.dataType)) for n, f in zip(names, dtype.fields, strict=True)])
        case CalendarIntervalType():
            return pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
        case VariantType():
            return pa.struct([("value", pa.large_binary()), ("metadata", pa.large_binary())])
        case TimestampType():
            return pa.timestamp("us", "UTC")
        case DecimalType():
            return pa.decimal128(dtype.precision, dtype.scale)
        case DayTimeIntervalType():
            return pa.duration("us")
        case YearMonthIntervalType():
            return pa.int32()
        case TimeType():
            return pa.time64("ns")
        case NullType():
            return pa.null()
    from voltray.proto.types import arrow_type

    plain = arrow_type(dtype)
    return {pa.utf8(): pa.large_utf8(), pa.binary(): pa.large_binary()}.get(plain, plain)


def _carried(column: pa.ChunkedArray, dtype: DataType, time_zone: str) -> pa.ChunkedArray:
    target = arrow_carrier(dtype)
    if column.type == target:
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return _converted(column, dtype, target, time_zone)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as problem:
        raise analysis_error(
            "INVALID_COLUMN_OR_FIELD_DATA_TYPE", None, name="`value`", type=str(column.type),
            expectedType=dtype.simpleString().upper(),
        ) from problem  # fmt: skip


def _converted(column: pa.ChunkedArray, dtype: DataType, target: pa.DataType, time_zone: str) -> pa.ChunkedArray:
    if isinstance(dtype, UserDefinedType):
        return _converted(column, dtype.sqlType(), target, time_zone)
    if isinstance(dtype, TimestampType) and pa.types.is_timestamp(column.type) and column.type.tz is None:
        return pc.assume_timezone(column.cast(pa.timestamp("us"), safe=False), time_zone).cast(target)
    if isinstance(dtype, StructType) and pa.types.is_struct(column.type):
        return _converted_struct(column, dtype, time_zone)
    if isinstance(dtype, ArrayType) and not isinstance(dtype.elementType, NullType):
        return _converted_lists(column, dtype, time_zone)
    if isinstance(dtype, MapType) and pa.types.is_map(column.type):
        return _converted_maps(column, dtype, time_zone)
    if isinstance(dtype, VariantType):
        return _converted_struct(
            column, StructType([StructField("value", BINARY), StructField("metadata", BINARY)]), time_zone
        )
    if pa.types.is_timestamp(column.type) and pa.types.is_timestamp(target):
        if column.type.tz and target.tz is None:
            column = pc.local_timestamp(column)
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(target, safe=False)
    if isinstance(dtype, CalendarIntervalType):
        return _converted_intervals(column)
    return column.cast(target)


def _per_chunk(column: pa.ChunkedArray, convert: Any, target: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([convert(chunk) for chunk in column.chunks], type=target)


def _whole(array: pa.Array, dtype: DataType, time_zone: str) -> pa.Array:
    converted = _carried(pa.chunked_array([array]), dtype, time_zone)
    combined = converted.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _converted_struct(column: pa.ChunkedArray, dtype: StructType, time_zone: str) -> pa.ChunkedArray:
    target = arrow_carrier(dtype)

    def convert(chunk: pa.StructArray) -> pa.Array:
        parts = [_whole(part, f.dataType, time_zone) for part, f in zip(chunk.flatten(), dtype.fields, strict=True)]
        fields = [target.field(i) for i in range(target.num_fields)]
        if not parts:
            return chunk
        return pa.StructArray.from_arrays(parts, fields=fields, mask=pc.is_null(chunk))

    return _per_chunk(column, convert, target)


def _converted_lists(column: pa.ChunkedArray, dtype: ArrayType, time_zone: str) -> pa.ChunkedArray:
    target = arrow_carrier(dtype)

    def convert(chunk: pa.Array) -> pa.Array:
        chunk = chunk.cast(pa.large_list(chunk.type.value_type)) if not pa.types.is_large_list(chunk.type) else chunk
        values = _whole(chunk.flatten(), dtype.elementType, time_zone)
        lengths = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False)
        import numpy as np

        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
        return pa.LargeListArray.from_arrays(offsets, values, type=target, mask=pc.is_null(chunk))

    return _per_chunk(column, convert, target)


def _converted_maps(column: pa.ChunkedArray, dtype: MapType, time_zone: str) -> pa.ChunkedArray:
    target = arrow_carrier(dtype)

    def convert(chunk: pa.MapArray) -> pa.Array:
        chunk = pa.concat_arrays([chunk])  # drops a slice's offset
        keys = _whole(chunk.keys, dtype.keyType, time_zone)
        items = _whole(chunk.items, dtype.valueType, time_zone)
        return pa.MapArray.from_arrays(
            chunk.offsets, keys, items, type=target, mask=pc.is_null(chunk) if chunk.null_count else None
        )

    return _per_chunk(column, convert, target)


def _converted_intervals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    target = arrow_carrier(CALENDAR_INTERVAL)
    rows = [None if v is None else {"months": v.months, "days": v.days, "microseconds": v.nanoseconds // 1000}
            for v in column.to_pylist()]  # fmt: skip
    return pa.chunked_array([pa.array(rows, target)])


# ---- from internal values ------------------------------------------------------------------------------
def local_plan(schema: StructType, rows: Sequence[Sequence[Any]]) -> LocalData:
    """A few rows of internal values."""
    attributes = _attributes(schema)
    columns = [
        pl.Series(column_name(a.expr_id), [_cell(row[i], a.dtype) for row in rows], dtype=carrier(a.dtype)).to_arrow()
        for i, a in enumerate(attributes)
    ]
    if not columns:
        return LocalData(attributes, pa.table({}), len(rows))
    table = pa.Table.from_arrays(columns, names=[column_name(a.expr_id) for a in attributes])
    return LocalData(attributes, table, len(rows))


def empty_data(schema: StructType) -> LocalData:
    """No rows of a schema."""
    return local_plan(schema, ())


def _cell(value: Any, dtype: DataType) -> Any:
    if value is None:
        return None
    match dtype:
        case DecimalType():
            return Decimal(value)
        case ArrayType():
            return [_cell(v, dtype.elementType) for v in value]
        case StructType():
            names = struct_carrier_names(dtype)
            return {n: _cell(v, f.dataType) for n, v, f in zip(names, value, dtype.fields, strict=True)}
        case MapType():
            return {_cell(k, dtype.keyType): _cell(v, dtype.valueType) for k, v in value}
        case CalendarIntervalType():
            return dict(zip(("months", "days", "microseconds"), value, strict=True))
    return value


__all__ = ["arrow_carrier", "empty_data", "local_data", "local_plan", "replace", "type_of_arrow"]
