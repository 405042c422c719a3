"""Joins of any kind from the pairs of rows that match: what a condition beside the keys needs.

Left rows get a number; the pairs know it, so that rows without a partner are found by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from voltray.executors.operators.columns import select_columns
from voltray.proto.failures import ErrorKind, SparkError, spark_error

LEFT_ROW, RIGHT_ROW, COUNT = "#left row", "#right row", "#count"
Pairs = Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class JoinSides:
    """Both inputs, their columns, and how matching pairs are made of them (all columns of both sides)."""

    left: pl.LazyFrame
    right: pl.LazyFrame
    left_columns: list[str]
    right_columns: list[str]
    pairs: Pairs
    exists: str | None = None

    @property
    def columns(self) -> list[str]:
        """Left columns, then right columns."""
        return [*self.left_columns, *self.right_columns]


def join_by_pairs(kind: str, sides: JoinSides) -> pl.LazyFrame:
    """The join of a kind, by way of matching pairs."""
    return _KINDS[kind](sides)


def _pick(frame: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    return select_columns(frame, [pl.col(n) for n in names], has_input=bool(names))


def _inner(sides: JoinSides) -> pl.LazyFrame:
    return _pick(sides.pairs(sides.left, sides.right), sides.columns)


def _numbered(frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
    return frame.with_row_index(name).cache()  # read twice: the numbers must agree


def _left(sides: JoinSides) -> pl.LazyFrame:
    left = _numbered(sides.left, LEFT_ROW)
    matched = sides.pairs(left, sides.right).select([LEFT_ROW, *sides.right_columns])
    joined = left.join(matched, on=LEFT_ROW, how="left", maintain_order="left_right")
    return _pick(joined, sides.columns)


def _right(sides: JoinSides) -> pl.LazyFrame:
    right = _numbered(sides.right, RIGHT_ROW)
    matched = sides.pairs(sides.left, right).select([RIGHT_ROW, *sides.left_columns])
    joined = right.join(matched, on=RIGHT_ROW, how="left", maintain_order="left_right")
    return _pick(joined, sides.columns)


def _full(sides: JoinSides) -> pl.LazyFrame:
    left, right = _numbered(sides.left, LEFT_ROW), _numbered(sides.right, RIGHT_ROW)
    matched = sides.pairs(left, right).cache()
    ours = left.join(
        matched.select([LEFT_ROW, *sides.right_columns]),
        on=LEFT_ROW, how="left", maintain_order="left_right",
    )  # fmt: skip
    theirs = right.join(matched.select(RIGHT_ROW), on=RIGHT_ROW, how="anti", maintain_order="left")
    both = [_pick(ours, sides.columns), _pick(theirs, sides.right_columns)]
    return _pick(pl.concat(both, how="diagonal"), sides.columns)


def _semi(sides: JoinSides) -> pl.LazyFrame:
    return _filtering(sides, "semi")


def _anti(sides: JoinSides) -> pl.LazyFrame:
    return _filtering(sides, "anti")


def _filtering(sides: JoinSides, how: str) -> pl.LazyFrame:
    left = _numbered(sides.left, LEFT_ROW)
    matched = sides.pairs(left, sides.right).select(LEFT_ROW)
    joined = left.join(matched, on=LEFT_ROW, how=how, maintain_order="left")  # type: ignore[arg-type]
    return _pick(joined, sides.left_columns)


def _existence(sides: JoinSides) -> pl.LazyFrame:
    assert sides.exists is not None
    left = _numbered(sides.left, LEFT_ROW)
    matched = sides.pairs(left, sides.right).select(LEFT_ROW).unique().with_columns(pl.lit(True).alias(sides.exists))
    joined = left.join(matched, on=LEFT_ROW, how="left", maintain_order="left")
    return joined.with_columns(pl.col(sides.exists).fill_null(False)).select([*sides.left_columns, sides.exists])


def _left_single(sides: JoinSides) -> pl.LazyFrame:
    left = _numbered(sides.left, LEFT_ROW)
    matched = sides.pairs(left, sides.right).select([LEFT_ROW, *sides.right_columns])
    counted = matched.group_by(LEFT_ROW).agg(pl.len().alias(COUNT), *[pl.col(c).first() for c in sides.right_columns])
    joined = left.join(counted, on=LEFT_ROW, how="left", maintain_order="left")
    checked = pl.col(COUNT).map_batches(_at_most_one, return_dtype=pl.Boolean, is_elementwise=True)
    return _pick(joined.filter(checked), sides.columns)


def _at_most_one(counts: pl.Series) -> pl.Series:
    if (counts > 1).any():
        raise too_many_rows()
    return pl.repeat(True, len(counts), dtype=pl.Boolean, eager=True)


def too_many_rows() -> SparkError:
    """A scalar subquery gave more than one row."""
    return spark_error("SCALAR_SUBQUERY_TOO_MANY_ROWS", ErrorKind.SPARK)


_KINDS: dict[str, Callable[[JoinSides], pl.LazyFrame]] = {
    "inner": _inner,
    "cross": _inner,
    "left": _left,
    "right": _right,
    "full": _full,
    "left_semi": _semi,
    "left_anti": _anti,
    "existence": _existence,
    "left_single": _left_single,
}
