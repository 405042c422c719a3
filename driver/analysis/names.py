"""Names that Spark generates for expressions without an alias: ``(id + 1)``, ``count(1)``, ``CAST(a AS STRING)``.

A name is a rope: built in constant time for each expression, turned into text only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from voltray.driver.analysis.temporal_text import date_text, day_time_text, time_text, timestamp_text, year_month_text
from voltray.executors.functions import java_numbers
from voltray.executors.functions.decimal import unscaled
from voltray.executors.functions.to_string import big_decimal_text
from voltray.proto.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    CalendarIntervalType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    MapType,
    NumericType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Rope:
    """Parts one after another."""

    parts: tuple[Name, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Displayed:
    """A function's own way to show its arguments."""

    display: Callable[[tuple[str, ...]], str]
    arguments: tuple[Name, ...]


Name = str | Rope | Displayed


def rope(*parts: Name) -> Rope:
    """Parts one after another."""
    return Rope(parts)


def listed(parts: Sequence[Name], separator: str = ", ") -> Rope:
    """Parts with a separator between them."""
    pieces: list[Name] = []
    for part in parts:
        if pieces:
            pieces.append(separator)
        pieces.append(part)
    return Rope(tuple(pieces))


def called(function: str, arguments: Sequence[Name]) -> Rope:
    """``function(a, b)``."""
    return Rope((function, "(", listed(arguments), ")"))


def text_of(name: Name) -> str:
    """The whole name."""
    if isinstance(name, str):
        return name
    pieces: list[str] = []
    stack: list[Name] = [name]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Rope):
            stack.extend(reversed(part.parts))
        else:
            pieces.append(part.display(tuple([text_of(a) for a in part.arguments])))
    return "".join(pieces)


def java_double(value: float, single: bool = False) -> str:
    """A floating-point number as Java prints it."""
    return java_numbers.java_float(value) if single else java_numbers.java_double(value)


def java_decimal(value: Decimal, dtype: DecimalType) -> str:
    """A decimal with its type's scale, plain."""
    return f"{value:.{dtype.scale}f}"


def literal_name(value: Any, dtype: DataType, time_zone: str) -> str:
    """A constant as it stands inside a generated name: strings bare, typed constants as SQL."""
    if value is None:
        return "NULL"
    if isinstance(dtype, StringType):
        return str(value)
    return literal_sql(value, dtype, time_zone)


def _array_sql(value: Any, dtype: DataType, time_zone: str) -> str:
    assert isinstance(dtype, ArrayType)
    return "ARRAY(" + ", ".join(literal_sql(v, dtype.elementType, time_zone) for v in value) + ")"


def _map_sql(value: Any, dtype: DataType, time_zone: str) -> str:
    assert isinstance(dtype, MapType)
    keys = ", ".join(literal_sql(k, dtype.keyType, time_zone) for k, _ in value)
    values = ", ".join(literal_sql(v, dtype.valueType, time_zone) for _, v in value)
    return f"MAP(ARRAY({keys}), ARRAY({values}))"


def _struct_sql(value: Any, dtype: DataType, time_zone: str) -> str:
    assert isinstance(dtype, StructType)
    fields = zip(value, dtype.fields, strict=True)
    shown = [f"'{f.name}', {literal_sql(v, f.dataType, time_zone)}" for v, f in fields]
    return "NAMED_STRUCT(" + ", ".join(shown) + ")"


_LITERALS: dict[type[DataType], Callable[[Any, Any, str], str]] = {
    StringType: lambda v, t, z: "'" + str(v).replace("\\", "\\\\").replace("'", "\\'") + "'",
    BooleanType: lambda v, t, z: "true" if v else "false",
    BinaryType: lambda v, t, z: f"X'{bytes(v).hex().upper()}'",
    FloatType: lambda v, t, z: java_double(v, single=True),
    DoubleType: lambda v, t, z: java_double(v),
    DecimalType: lambda v, t, z: big_decimal_text(unscaled(v, t.scale), t.scale),
    DateType: lambda v, t, z: f"DATE '{date_text(v)}'",
    TimestampType: lambda v, t, z: f"TIMESTAMP '{timestamp_text(v, z)}'",
    TimestampNTZType: lambda v, t, z: f"TIMESTAMP_NTZ '{timestamp_text(v, None)}'",
    TimeType: lambda v, t, z: f"TIME '{time_text(v)}'",
    DayTimeIntervalType: lambda v, t, z: day_time_text(v, t),
    YearMonthIntervalType: lambda v, t, z: year_month_text(v, t),
    CalendarIntervalType: lambda v, t, z: str(v),
    ArrayType: _array_sql,
    MapType: _map_sql,
    StructType: _struct_sql,
}


def literal_sql(value: Any, dtype: DataType, time_zone: str) -> str:
    """A constant as SQL text."""
    if value is None:
        return "NULL"
    printer = _LITERALS.get(type(dtype))
    if printer is not None:
        return printer(value, dtype, time_zone)
    return str(value) if isinstance(dtype, NumericType) else repr(value)
