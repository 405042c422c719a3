"""Values of every type as text: CAST(... AS STRING), and the cells that show() prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from voltray.executors.functions.columns import by_unique
from voltray.executors.functions.decimal import plain
from voltray.executors.functions.java_numbers import java_strings
from voltray.executors.functions.zones import local_series
from voltray.proto.types import (
    ArrayType,
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
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
    carrier,
    struct_carrier_names,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How values are written."""

    time_zone: str
    null: str = "null"
    """NULL inside arrays, maps and structs."""
    pretty: bool = False
    """As show() prints: binary in hexadecimal."""
    java_decimals: bool = False
    """Small decimals with an exponent, as BigDecimal.toString writes them (legacy mode)."""


Writer = Callable[[TextStyle, DataType, pl.Expr], pl.Expr]


def text_of(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    """The text of values of a type; NULL stays NULL."""
    return _WRITERS[type(dtype)](style, dtype, value)


def _mapped(function: Callable[[pl.Series], pl.Series], value: pl.Expr) -> pl.Expr:
    return value.map_batches(function, return_dtype=pl.String, is_elementwise=True)


def _plain(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return value.cast(pl.String)


def _same(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return value


def _floating(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return _mapped(java_strings, value)


def _decimal(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, DecimalType)
    if style.java_decimals and dtype.scale > 6:
        scale = dtype.scale
        return _mapped(lambda c: by_unique(c.to_physical(), lambda v: big_decimal_text(v, scale), pl.String()), value)
    return value.cast(pl.String)


def big_decimal_text(number: int, scale: int) -> str:
    """An unscaled number as BigDecimal.toString writes it: an exponent where it is very small."""
    digits = str(abs(number))
    adjusted = len(digits) - 1 - scale
    if adjusted >= -6:
        return plain(number, scale)
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if number < 0 else ''}{digits[0]}{rest}E{adjusted}"


def _binary(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    if not style.pretty:
        return _mapped(decode_utf8, value)
    pairs = value.bin.encode("hex").str.to_uppercase().str.replace_all(r"([0-9A-F]{2})", "$1 ")
    return pl.lit("[") + pairs.str.strip_chars_end(" ") + pl.lit("]")


def decode_utf8(column: pl.Series) -> pl.Series:
    """Bytes as text; what is not UTF-8 becomes the replacement character."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        return by_unique(column, lambda b: b.decode("utf-8", "replace"), pl.String())


# Polars formats years up to 262142; Spark's dates go further.
_FORMATTED_DAYS = 95_000_000
_DAY_MICROS = 86_400_000_000


def _date(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return _mapped(date_strings, value)


def date_strings(column: pl.Series) -> pl.Series:
    """Dates as text: four digits of the year at least, a sign before more."""
    days = column.to_physical()
    if (days.abs() > _FORMATTED_DAYS).any():
        return by_unique(days, day_text, pl.String())
    return column.dt.to_string("%Y-%m-%d")


def day_text(days: int) -> str:
    """One day since 1970 as text, of any year: the calendar repeats every 400 years."""
    cycles, within = divmod(days + 719_162 - 146_097, 146_097)
    found = date.fromordinal(within + 1 + 146_097)
    year = found.year + 400 * cycles
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04d}-{found.month:02d}-{found.day:02d}"


def _timestamp(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    zone = style.time_zone

    def run(column: pl.Series) -> pl.Series:
        micros = column.to_physical()
        if (micros.abs() > _FORMATTED_DAYS * _DAY_MICROS).any():
            return by_unique(micros, _moment_text, pl.String())
        return local_strings(local_series(column, zone))

    return _mapped(run, value)


def _timestamp_ntz(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return _mapped(local_strings, value)


def local_strings(column: pl.Series) -> pl.Series:
    """Wall-clock times as text, the fraction without trailing zeros."""
    micros = column.to_physical()
    if (micros.abs() > _FORMATTED_DAYS * _DAY_MICROS).any():
        return by_unique(micros, _moment_text, pl.String())
    if not (micros % 1_000_000 != 0).any():
        return column.dt.strftime("%Y-%m-%d %H:%M:%S")
    return column.dt.strftime("%Y-%m-%d %H:%M:%S%.6f").str.strip_chars_end("0").str.strip_chars_end(".")


def _moment_text(micros: int) -> str:
    days, rest = divmod(micros, _DAY_MICROS)
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{day_text(days)} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def _time(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return value.dt.strftime("%H:%M:%S%.6f").str.strip_chars_end("0").str.strip_chars_end(".")


# ---- intervals ----------------------------------------------------------------------------------------
_DAY_TIME_FIELDS = ("DAY", "HOUR", "MINUTE", "SECOND")
_UNIT_MICROS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)


def _day_time(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, DayTimeIntervalType)
    start, end = dtype.startField or 0, dtype.endField or 0
    micros = value.to_physical().cast(pl.Int128)
    rest = micros.abs()
    text = pl.when(micros < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    for position, field in enumerate(range(start, end + 1)):
        unit = pl.lit(_UNIT_MICROS[field], pl.Int128)
        number = (rest // unit).cast(pl.String)
        rest = rest % unit
        separator = "" if position == 0 else " " if field == 1 else ":"
        text = text + pl.lit(separator) + (number if field == 0 else number.str.zfill(2))
    if end == 3:
        fraction = rest.cast(pl.String).str.zfill(6).str.strip_chars_end("0")
        text = text + pl.when(rest == 0).then(pl.lit("")).otherwise(pl.lit(".") + fraction)
    return pl.lit("INTERVAL '") + text + pl.lit(f"' {_unit_range(_DAY_TIME_FIELDS, start, end)}")


def _unit_range(names: tuple[str, ...], start: int, end: int) -> str:
    return names[start] if start == end else f"{names[start]} TO {names[end]}"


def _year_month(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, YearMonthIntervalType)
    start, end = dtype.startField or 0, dtype.endField or 0
    months = value.cast(pl.Int64)
    size = months.abs()
    sign = pl.when(months < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    if start == end:
        text = sign + ((size // 12) if start == 0 else size).cast(pl.String)
    else:
        text = sign + (size // 12).cast(pl.String) + pl.lit("-") + (size % 12).cast(pl.String)
    return pl.lit("INTERVAL '") + text + pl.lit(f"' {_unit_range(('YEAR', 'MONTH'), start, end)}")


def _calendar(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return _mapped(lambda c: by_unique(c, calendar_text, pl.String()), value)


def calendar_text(interval: dict[str, int]) -> str:
    """One calendar interval: ``1 years 2 months 3 days 4.5 seconds``."""
    months, days, micros = interval["months"], interval["days"], interval["microseconds"]
    parts = [
        (_truncated(months, 12), "years"),
        (months - 12 * _truncated(months, 12), "months"),
        (days, "days"),
    ]
    hours = _truncated(micros, 3_600_000_000)
    rest = micros - hours * 3_600_000_000
    minutes = _truncated(rest, 60_000_000)
    rest -= minutes * 60_000_000
    texts = [f"{number} {unit}" for number, unit in [*parts, (hours, "hours"), (minutes, "minutes")] if number]
    if rest:
        texts.append(f"{plain(rest, 6).rstrip('0').rstrip('.')} seconds")
    return " ".join(texts) or "0 seconds"


def _truncated(number: int, unit: int) -> int:
    return -(-number // unit) if number < 0 else number // unit


# ---- nested ---------------------------------------------------------------------------------------------
def _part(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    return text_of(style, dtype, value).fill_null(style.null)


def _array(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, ArrayType)
    parts = value.list.eval(_part(style, dtype.elementType, pl.element())).list.join(", ")
    return pl.lit("[") + parts + pl.lit("]")


def _map(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, MapType)
    entry = pl.element()
    key = _part(style, dtype.keyType, entry.struct.field("key"))
    item = text_of(style, dtype.valueType, entry.struct.field("value"))
    arrow = pl.lit(" -> ") + item.fill_null(style.null)
    parts = entries_of(dtype, value).list.eval(key + arrow).list.join(", ")
    return pl.lit("{") + parts + pl.lit("}")


def entries_of(dtype: MapType, value: pl.Expr) -> pl.Expr:
    """A map as a list of (key, value) structs."""
    entry = pl.Struct({"key": carrier(dtype.keyType), "value": carrier(dtype.valueType)})
    return value.cast(pl.List(entry))


def _struct(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, StructType)
    names = struct_carrier_names(dtype)
    parts = [_part(style, f.dataType, value.struct.field(n)) for n, f in zip(names, dtype.fields, strict=True)]
    joined = pl.concat_str(parts, separator=", ") if parts else pl.lit("")
    return pl.when(value.is_not_null()).then(pl.lit("{") + joined + pl.lit("}"))


def _user_defined(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    assert isinstance(dtype, UserDefinedType)
    return text_of(style, dtype.sqlType(), value)


def _variant(style: TextStyle, dtype: DataType, value: pl.Expr) -> pl.Expr:
    from voltray.executors.functions import variant_text

    return _mapped(variant_text.to_json, value)


_WRITERS: dict[type[DataType], Writer] = {
    NullType: _plain,
    BooleanType: _plain,
    ByteType: _plain,
    ShortType: _plain,
    IntegerType: _plain,
    LongType: _plain,
    FloatType: _floating,
    DoubleType: _floating,
    DecimalType: _decimal,
    StringType: _same,
    CharType: _same,
    VarcharType: _same,
    BinaryType: _binary,
    DateType: _date,
    TimestampType: _timestamp,
    TimestampNTZType: _timestamp_ntz,
    TimeType: _time,
    DayTimeIntervalType: _day_time,
    YearMonthIntervalType: _year_month,
    CalendarIntervalType: _calendar,
    ArrayType: _array,
    MapType: _map,
    StructType: _struct,
    UserDefinedType: _user_defined,
    VariantType: _variant,
}
