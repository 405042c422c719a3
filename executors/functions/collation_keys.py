"""Collation keys: what a collated text is compared, grouped, joined and sorted by."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.columns import by_unique
from voltray.executors.functions.icu import sort_keys
from voltray.proto.collations import INDETERMINATE, Collation, collation_named, is_collated
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BINARY,
    STRING,
    ArrayType,
    DataType,
    MapType,
    StringType,
    StructField,
    StructType,
    struct_carrier_names,
)  # fmt: skip


def indeterminate() -> SparkError:
    """INDETERMINATE_COLLATION."""
    return spark_error("INDETERMINATE_COLLATION", ErrorKind.ANALYSIS)


def key_type(dtype: DataType) -> DataType:
    """The type of a value's key: bytes for ICU's, else text."""
    match dtype:
        case StringType():
            uses_icu = dtype.collation != INDETERMINATE and collation_named(dtype.collation).locale is not None
            return BINARY if uses_icu else STRING
        case ArrayType():
            return ArrayType(key_type(dtype.elementType), dtype.containsNull)
        case MapType():
            return MapType(key_type(dtype.keyType), key_type(dtype.valueType), dtype.valueContainsNull)
        case StructType():
            return StructType([StructField(f.name, key_type(f.dataType), f.nullable) for f in dtype.fields])
    return dtype


def key_of(value: pl.Expr, dtype: DataType) -> pl.Expr:
    """The key of a column of some type; the column itself where nothing in it is collated."""
    if not is_collated(dtype):
        return value
    match dtype:
        case StringType():
            if dtype.collation == INDETERMINATE:
                raise indeterminate()
            return text_key(value, collation_named(dtype.collation))
        case ArrayType():
            return value.list.eval(key_of(pl.element(), dtype.elementType))
        case StructType():
            names = struct_carrier_names(dtype)
            parts = zip(names, dtype.fields, strict=True)
            fields = [key_of(value.struct.field(n), f.dataType).alias(n) for n, f in parts]
            return pl.when(value.is_not_null()).then(pl.struct(fields))
    raise spark_error("UNSUPPORTED_FEATURE.COLLATIONS_IN_MAP_KEYS", ErrorKind.UNSUPPORTED)


def text_key(value: pl.Expr, collation: Collation) -> pl.Expr:
    """The key of a column of texts."""
    trimmed = value.str.strip_chars_end(" ") if collation.trims else value
    if collation.locale is None:
        return folded(trimmed) if collation.ignores_case else trimmed

    def keys(column: pl.Series) -> pl.Series:
        found = sort_keys(collation)
        return by_unique(column, found.of, pl.Binary())

    return trimmed.map_batches(keys, return_dtype=pl.Binary(), is_elementwise=True)


def folded(value: pl.Expr) -> pl.Expr:
    """Code points in lower case, one by one: no final sigma."""
    return value.str.replace_all("[Σς]", "σ").str.to_lowercase()


def folded_text(text: str) -> str:
    """:func:`folded` of one text."""
    return text.replace("Σ", "σ").replace("ς", "σ").lower()


def plain_key(collation: Collation, text: str) -> str | bytes:
    """:func:`text_key` of one text."""
    trimmed = text.rstrip(" ") if collation.trims else text
    if collation.locale is None:
        return folded_text(trimmed) if collation.ignores_case else trimmed
    return sort_keys(collation).of(trimmed)
