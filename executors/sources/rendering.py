"""Values as text for text formats, as Spark writes them."""

from __future__ import annotations

import json as json_text
from typing import Any

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions import java_format, variant_text
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options
from voltray.proto.expressions import Attribute, Cast
from voltray.proto.types import (
    STRING,
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    MapType,
    NullType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    UserDefinedType,
    VariantType,
    struct_carrier_names,
)  # fmt: skip

_TIMESTAMP = "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]"
_TIMESTAMP_NTZ = "yyyy-MM-dd'T'HH:mm:ss[.SSS]"
_COLUMN = Attribute(-1, "value", STRING)


def cast_text(value: pl.Expr, dtype: DataType, context: EvaluationContext) -> pl.Expr:
    """Spark's cast to string of any expression."""

    def cast(column: pl.Series) -> pl.Series:
        attribute = Attribute(-1, "value", dtype)
        text = compile_expression(Cast(attribute, STRING), context)
        return column.to_frame(attribute.column).select(text.alias("text"))["text"]

    return value.map_batches(cast, return_dtype=pl.String, is_elementwise=True)


def rendered_text(value: pl.Expr, dtype: DataType, options: Options, context: EvaluationContext, kind: str) -> pl.Expr:
    """A plain value as the text formats write it: instants in ISO form, dates by the options' patterns."""
    match dtype:
        case StringType():
            return value
        case BooleanType() | IntegralType():
            return value.cast(pl.String)
        case TimestampType():
            zone = options.get("timeZone", context.time_zone)
            pattern = options.get("timestampFormat", _TIMESTAMP)
            return _formatted(value, lambda s: java_format.format_instants(s, pattern, zone))
        case TimestampNTZType():
            pattern = options.get("timestampNTZFormat", _TIMESTAMP_NTZ)
            return _formatted(value, lambda s: java_format.format_local(s, pattern))
        case DateType() if "dateFormat" in options:
            pattern = options["dateFormat"]
            return _formatted(value, lambda s: java_format.format_local(s.cast(pl.Datetime("us")), pattern))
        case UserDefinedType():
            return rendered_text(value, dtype.sqlType(), options, context, kind)
        case BinaryType() if kind == "json":
            return value.bin.encode("base64")
    return cast_text(value, dtype, context)


def _formatted(value: pl.Expr, function: Any) -> pl.Expr:
    return value.map_batches(function, return_dtype=pl.String, is_elementwise=True)


def json_object(fields: list[tuple[str, pl.Expr, DataType]], options: Options, context: EvaluationContext) -> pl.Expr:
    """A row as JSON text; fields that are NULL are left out unless the options keep them."""
    keep_nulls = not options.flag("ignoreNullFields", True)
    parts = []
    for name, value, dtype in fields:
        shown = json_value(value, dtype, options, context)
        key = json_text.dumps(name, ensure_ascii=False) + ":"
        part = pl.concat_str([pl.lit(key), shown.fill_null("null") if keep_nulls else shown])
        parts.append(part)
    joined = pl.concat_str(parts, separator=",", ignore_nulls=True) if parts else pl.lit("")
    return pl.concat_str([pl.lit("{"), joined, pl.lit("}")])


def json_value(value: pl.Expr, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Expr:
    """A value as JSON text, NULL for NULL."""
    match dtype:
        case NullType():
            return pl.lit(None, dtype=pl.String)
        case BooleanType() | IntegralType():
            return value.cast(pl.String)
        case DoubleType() | FloatType():
            special = value.is_nan() | value.is_infinite()
            text = cast_text(value, dtype, context)
            return pl.when(special).then(pl.concat_str([pl.lit('"'), text, pl.lit('"')])).otherwise(text)
        case DecimalType():
            return value.cast(pl.String)
        case StructType():
            names = struct_carrier_names(dtype)
            fields = [(f.name, value.struct.field(n), f.dataType) for n, f in zip(names, dtype.fields, strict=True)]
            return pl.when(value.is_not_null()).then(json_object(fields, options, context))
        case ArrayType():
            element = json_value(pl.element(), dtype.elementType, options, context).fill_null("null")
            joined = value.list.eval(element).list.join(",")
            return pl.concat_str([pl.lit("["), joined, pl.lit("]")])
        case MapType():
            return _json_map(value, dtype, options, context)
        case VariantType():
            return value.map_batches(
                lambda s: variant_text.to_json(s, context.time_zone), return_dtype=pl.String, is_elementwise=True
            )
    return _quoted(rendered_text(value, dtype, options, context, "json"))


def _json_key(key: pl.Expr, dtype: DataType, options: Options, context: EvaluationContext) -> pl.Expr:
    """A key as Spark holds it: days and microseconds for moments, its parts between brackets for a nested one."""
    match dtype:
        case DateType() | TimestampType() | TimestampNTZType():
            return key.to_physical().cast(pl.String)
        case StructType():
            names = struct_carrier_names(dtype)
            parts = [
                _json_key(key.struct.field(n), f.dataType, options, context).fill_null("null")
                for n, f in zip(names, dtype.fields, strict=True)
            ]
            return pl.concat_str([pl.lit("["), pl.concat_str(parts, separator=","), pl.lit("]")])
        case ArrayType():
            element = _json_key(pl.element(), dtype.elementType, options, context).fill_null("null")
            return pl.concat_str([pl.lit("["), key.list.eval(element).list.join(","), pl.lit("]")])
    return rendered_text(key, dtype, options, context, "json")


def _json_map(value: pl.Expr, dtype: MapType, options: Options, context: EvaluationContext) -> pl.Expr:
    keys = pl.element().struct.field("key")
    key = _quoted(_json_key(keys, dtype.keyType, options, context))
    shown = json_value(pl.element().struct.field("value"), dtype.valueType, options, context).fill_null("null")
    entry = pl.concat_str([key, pl.lit(":"), shown])
    entries = value.map.entries() if hasattr(value, "map") else value
    return pl.concat_str([pl.lit("{"), entries.list.eval(entry).list.join(","), pl.lit("}")])


def _quoted(text: pl.Expr) -> pl.Expr:
    """A text as a JSON string, with the escapes that Jackson writes."""

    def quote(column: pl.Series) -> pl.Series:
        escaped = column
        if column.str.contains(r'[\x00-\x1f"\\]').any():
            escaped = column.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
            for character, code in _CONTROLS:
                escaped = escaped.str.replace_all(character, code, literal=True)
        return '"' + escaped + '"'

    return text.map_batches(quote, return_dtype=pl.String, is_elementwise=True)


_SHORT = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROLS = tuple((chr(c), _SHORT.get(chr(c), f"\\u{c:04X}")) for c in range(32))
