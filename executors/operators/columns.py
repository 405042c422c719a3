"""Small things that several operators do with columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.operators.task import ONE_ROW_COLUMN
from voltray.proto.expressions import Attribute, SortOrder


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
