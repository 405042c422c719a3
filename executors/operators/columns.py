"""Small things that several operators do with columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.operators.task import ONE_ROW_COLUMN
from voltray.proto.expressions import Attribute, SortOrder
from voltray.proto.types import ArrayType, DataType, MapType, StructType, carrier, struct_carrier_names


def names_of(attributes: Iterable[Attribute]) -> list[str]:
    """Column names of attributes, each once."""
    return list(dict.fromkeys([a.column for a in attributes]))


def select_columns(frame: pl.LazyFrame, columns: Sequence[pl.Expr], *, has_input: bool) -> pl.LazyFrame:
    """Exactly these columns with the height of the frame, also where there are none or constants only.

    ``has_input``: one of them is surely as long as the frame.
    """
    if has_input:
        return frame.select(columns)
    if not columns:
        return frame.with_columns(pl.lit(None).alias(ONE_ROW_COLUMN)).select(ONE_ROW_COLUMN)
    return frame.with_columns(columns).select([c.meta.output_name() for c in columns])


def keep(frame: pl.LazyFrame, attributes: Iterable[Attribute]) -> pl.LazyFrame:
    """The columns of these attributes only."""
    columns = [pl.col(n) for n in names_of(attributes)]
    return select_columns(frame, columns, has_input=bool(columns))


def with_comparable_maps(frame: pl.LazyFrame, keys: Iterable[Attribute]) -> pl.LazyFrame:
    """The frame with the entries of keys' maps in order, so that equal maps are equal values."""
    mapped = [a for a in keys if _holds_map(a.dtype)]
    if not mapped:
        return frame
    return frame.with_columns([_in_order(pl.col(a.column), a.dtype).alias(a.column) for a in mapped])


def _holds_map(dtype: DataType) -> bool:
    match dtype:
        case MapType():
            return True
        case ArrayType():
            return _holds_map(dtype.elementType)
        case StructType():
            return any(_holds_map(f.dataType) for f in dtype.fields)
    return False


def _in_order(value: pl.Expr, dtype: DataType) -> pl.Expr:
    match dtype:
        case MapType():
            entry = {"key": carrier(dtype.keyType), "value": carrier(dtype.valueType)}
            entries = value.cast(pl.List(pl.Struct(entry)))
            if _holds_map(dtype.valueType):
                inner = pl.element().struct.field("value")
                within = pl.struct(pl.element().struct.field("key"), _in_order(inner, dtype.valueType).alias("value"))
                entries = entries.list.eval(within)
            return entries.list.sort().cast(carrier(dtype))
        case ArrayType() if _holds_map(dtype):
            return value.list.eval(_in_order(pl.element(), dtype.elementType))
        case StructType() if _holds_map(dtype):
            names = struct_carrier_names(dtype)
            fields = [
                _in_order(value.struct.field(n), f.dataType).alias(n) for n, f in zip(names, dtype.fields, strict=True)
            ]
            return pl.when(value.is_not_null()).then(pl.struct(fields))
    return value


def sort_keys(orders: Sequence[SortOrder], context: EvaluationContext) -> tuple[list[pl.Expr], list[bool], list[bool]]:
    """Sort keys, and for each whether it descends and whether nulls come last."""
    keys = [compile_expression(o.child, context) for o in orders]
    return keys, [not o.ascending for o in orders], [not o.nulls_first for o in orders]


def sorted_by(frame: pl.LazyFrame, orders: Sequence[SortOrder], context: EvaluationContext) -> pl.LazyFrame:
    """The frame in order, ties as they came."""
    keys, descending, nulls_last = sort_keys(orders, context)
    if not keys:
        return frame
    return frame.sort(keys, descending=descending, nulls_last=nulls_last, maintain_order=True)
