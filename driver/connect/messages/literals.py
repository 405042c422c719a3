"""Literal messages to and from internal values."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pyspark.sql.connect.proto import expressions_pb2

from voltray.driver.connect.messages.types import data_type_from_message, data_type_to_message
from voltray.proto import types as t
from voltray.proto.expressions import Literal
from voltray.proto.failures import spark_error

LiteralMessage = expressions_pb2.Expression.Literal

# oneof field -> type, where the field's value is the internal value already.
_PLAIN: dict[str, t.DataType] = {
    "binary": t.BINARY,
    "boolean": t.BOOLEAN,
    "byte": t.BYTE,
    "short": t.SHORT,
    "integer": t.INTEGER,
    "long": t.LONG,
    "float": t.FLOAT,
    "double": t.DOUBLE,
    "string": t.STRING,
    "date": t.DATE,
    "timestamp": t.TIMESTAMP,
    "timestamp_ntz": t.TIMESTAMP_NTZ,
    "year_month_interval": t.YearMonthIntervalType(),
    "day_time_interval": t.DayTimeIntervalType(),
}
_SPECIALIZED: dict[str, t.DataType] = {
    "bools": t.BOOLEAN,
    "ints": t.INTEGER,
    "longs": t.LONG,
    "floats": t.FLOAT,
    "doubles": t.DOUBLE,
    "strings": t.STRING,
}


def literal_from_message(message: LiteralMessage) -> Literal:
    """A literal message as a typed internal value."""
    kind = message.WhichOneof("literal_type")
    if kind is None:
        raise spark_error("INVALID_LITERAL_TYPE", message="[INVALID_LITERAL_TYPE] The literal has no value.")
    plain = _PLAIN.get(kind)
    if plain is not None:
        return Literal(getattr(message, kind), _declared(message) or plain)
    return _COMPLEX[kind](message)


def _declared(message: LiteralMessage) -> t.DataType | None:
    return data_type_from_message(message.data_type) if message.HasField("data_type") else None


def _null(message: LiteralMessage) -> Literal:
    return Literal(None, data_type_from_message(message.null))


def _decimal(message: LiteralMessage) -> Literal:
    value = Decimal(message.decimal.value)
    _, digits, exponent = value.as_tuple()
    scale = max(-int(exponent), 0)
    if message.decimal.HasField("scale"):
        scale = max(scale, message.decimal.scale)
    precision = max(len(digits) + max(int(exponent), 0), scale, 1)
    if message.decimal.HasField("precision"):
        precision = max(precision, message.decimal.precision)
    return Literal(value, t.DecimalType(precision, scale))


def _calendar_interval(message: LiteralMessage) -> Literal:
    interval = message.calendar_interval
    return Literal((interval.months, interval.days, interval.microseconds), t.CALENDAR_INTERVAL)


def _time(message: LiteralMessage) -> Literal:
    precision = message.time.precision if message.time.HasField("precision") else 6
    return Literal(message.time.nano, t.TimeType(precision))


def _array(message: LiteralMessage) -> Literal:
    elements = [literal_from_message(e) for e in message.array.elements]
    declared = _declared(message)
    if isinstance(declared, t.ArrayType):
        return Literal([e.value for e in elements], declared)
    if message.array.HasField("element_type"):
        element = data_type_from_message(message.array.element_type)
    else:
        element = elements[0].dtype if elements else t.NULL
    return Literal([e.value for e in elements], t.ArrayType(element, True))


def _map(message: LiteralMessage) -> Literal:
    keys = [literal_from_message(k) for k in message.map.keys]
    values = [literal_from_message(v) for v in message.map.values]
    pairs = [(k.value, v.value) for k, v in zip(keys, values, strict=True)]
    declared = _declared(message)
    if isinstance(declared, t.MapType):
        return Literal(pairs, declared)
    if message.map.HasField("key_type"):
        key = data_type_from_message(message.map.key_type)
        value = data_type_from_message(message.map.value_type)
    else:
        key = keys[0].dtype if keys else t.NULL
        value = values[0].dtype if values else t.NULL
    return Literal(pairs, t.MapType(key, value, True))


def _struct(message: LiteralMessage) -> Literal:
    elements = [literal_from_message(e) for e in message.struct.elements]
    dtype = _declared(message) or data_type_from_message(message.struct.struct_type)
    return Literal(tuple(e.value for e in elements), dtype)


def _specialized_array(message: LiteralMessage) -> Literal:
    kind = str(message.specialized_array.WhichOneof("value_type"))
    values = list(getattr(message.specialized_array, kind).values)
    return Literal(values, _declared(message) or t.ArrayType(_SPECIALIZED[kind], False))


_COMPLEX: dict[str, Callable[[LiteralMessage], Literal]] = {
    "null": _null,
    "decimal": _decimal,
    "calendar_interval": _calendar_interval,
    "time": _time,
    "array": _array,
    "map": _map,
    "struct": _struct,
    "specialized_array": _specialized_array,
}

_FIELD_OF: dict[type[t.DataType], str] = {type(dtype): field for field, dtype in _PLAIN.items()}


def literal_to_message(value: Any, dtype: t.DataType) -> LiteralMessage:
    """An internal value as a literal message (observed metrics)."""
    message = LiteralMessage()
    if value is None:
        message.null.CopyFrom(data_type_to_message(dtype))
        return message
    field = _FIELD_OF.get(type(dtype))
    if field is not None:
        setattr(message, field, value)
        return message
    match dtype:
        case t.CharType() | t.VarcharType():
            message.string = value
        case t.DecimalType():
            message.decimal.value = format(value, "f")
            message.decimal.precision, message.decimal.scale = dtype.precision, dtype.scale
        case t.CalendarIntervalType():
            interval = message.calendar_interval
            interval.months, interval.days, interval.microseconds = value
        case t.TimeType():
            message.time.nano, message.time.precision = value, dtype.precision
        case t.ArrayType():
            message.array.element_type.CopyFrom(data_type_to_message(dtype.elementType))
            message.array.elements.extend([literal_to_message(v, dtype.elementType) for v in value])
        case t.MapType():
            message.map.key_type.CopyFrom(data_type_to_message(dtype.keyType))
            message.map.value_type.CopyFrom(data_type_to_message(dtype.valueType))
            message.map.keys.extend([literal_to_message(k, dtype.keyType) for k, _ in value])
            message.map.values.extend([literal_to_message(v, dtype.valueType) for _, v in value])
        case t.StructType():
            message.struct.struct_type.CopyFrom(data_type_to_message(dtype))
            pairs = zip(value, dtype.fields, strict=True)
            message.struct.elements.extend([literal_to_message(v, f.dataType) for v, f in pairs])
        case _:
            raise spark_error("UNSUPPORTED_DATATYPE", typeName=t.type_name(dtype))
    return message
