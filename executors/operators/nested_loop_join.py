"""Joins without key pairs."""

from __future__ import annotations

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.columns import keep, names_of, select_columns
from voltray.executors.operators.join_rows import JoinSides, join_by_pairs
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Literal
from voltray.proto.operators import NestedLoopJoin

_RIGHT_ONE = "#right"


def compile_nested_loop_join(
    operator: NestedLoopJoin, children: tuple[pl.LazyFrame, ...], task: TaskContext
) -> pl.LazyFrame:
    """A cross join under a filter: Polars makes of it a join in chunks, or one on inequalities."""
    left, right = keep(children[0], operator.left_output), keep(children[1], operator.right_output)
    # A side without columns has the placeholder's; on the right it must not clash with the left's.
    if not operator.right_output:
        right = right.select(pl.lit(None).alias(_RIGHT_ONE), pl.all()).select(_RIGHT_ONE)
    trivial = operator.condition is None or operator.condition == Literal(True, operator.condition.dtype)  # type: ignore[attr-defined]
    condition = None if trivial else compile_expression(operator.condition, task.evaluation)  # type: ignore[arg-type]

    def pairs(ours: pl.LazyFrame, theirs: pl.LazyFrame) -> pl.LazyFrame:
        crossed = ours.join(theirs, how="cross", maintain_order="left_right" if task.ordered else "none")
        # Its rows may be the square of those that the scans let through: it has to stop by itself.
        crossed = crossed if task.gate is None else task.gate(crossed)
        return crossed if condition is None else crossed.filter(condition)

    left_columns, right_columns = names_of(operator.left_output), names_of(operator.right_output)
    if operator.kind in ("inner", "cross"):
        columns = [pl.col(c) for c in (*left_columns, *right_columns)]
        return select_columns(pairs(left, right), columns, has_input=bool(columns))
    sides = JoinSides(
        left,
        right,
        left_columns,
        right_columns,
        pairs,
        None if operator.exists is None else operator.exists.column,
    )
    return join_by_pairs(operator.kind, sides)
