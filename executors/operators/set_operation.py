"""INTERSECT and EXCEPT, with and without multiplicities."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.columns import select_columns
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Attribute
from voltray.proto.operators import SetOperation
from voltray.proto.types import carrier

_LEFT, _RIGHT, _TIMES = "#left", "#right", "#times"


def compile_set_operation(
    operator: SetOperation, children: tuple[pl.LazyFrame, ...], task: TaskContext
) -> pl.LazyFrame:
    """Whole rows compared, NULL equal to NULL; the left side's ids."""
    keys = [f"#key{i}" for i in range(len(operator.left_output))]
    if not keys:
        return children[0].head(1)
    left = _by_position(children[0], operator.left_output, operator.left_output, keys)
    right = _by_position(children[1], operator.right_output, operator.left_output, keys)
    combined = _with_multiplicity if operator.is_all else _distinct
    result = combined(left, right, keys, operator.kind)
    columns = {a.column: pl.col(k).alias(a.column) for k, a in zip(keys, operator.left_output, strict=True)}
    return select_columns(result, list(columns.values()), has_input=True)


def _by_position(
    frame: pl.LazyFrame, output: tuple[Attribute, ...], wanted: tuple[Attribute, ...], keys: list[str]
) -> pl.LazyFrame:
    columns = [pl.col(a.column).cast(carrier(w.dtype)).alias(k) for a, w, k in zip(output, wanted, keys, strict=True)]
    return frame.select(columns)


def _distinct(left: pl.LazyFrame, right: pl.LazyFrame, keys: list[str], kind: str) -> pl.LazyFrame:
    first = left.unique(keep="first", maintain_order=True)
    return first.join(
        right, on=keys, how="semi" if kind == "intersect" else "anti", nulls_equal=True, maintain_order="left"
    )


def _with_multiplicity(left: pl.LazyFrame, right: pl.LazyFrame, keys: list[str], kind: str) -> pl.LazyFrame:
    ours = left.group_by(keys, maintain_order=True).agg(pl.len().cast(pl.Int64).alias(_LEFT))
    theirs = right.group_by(keys).agg(pl.len().cast(pl.Int64).alias(_RIGHT))
    both = ours.join(theirs, on=keys, how="left", nulls_equal=True, maintain_order="left")
    other = pl.col(_RIGHT).fill_null(0)
    times = pl.min_horizontal(_LEFT, other) if kind == "intersect" else pl.col(_LEFT) - other
    counted = both.with_columns(times.alias(_TIMES)).filter(pl.col(_TIMES) > 0)
    repeated = counted.with_columns(pl.int_ranges(0, pl.col(_TIMES)).alias(_TIMES)).explode(_TIMES)
    return repeated.select(keys)
