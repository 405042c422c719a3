"""Each left row with the nearest right row."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.columns import keep, names_of
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Attribute, Call, Expression, Literal, references
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.operators import AsOfJoin
from voltray.proto.types import DayTimeIntervalType, carrier

_ROW, _LEFT, _RIGHT, _DISTANCE = "#row", "#left as of", "#right as of", "#distance"


def compile_as_of_join(operator: AsOfJoin, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Polars' own as-of join where the condition is made of equal columns, else the best of all pairs."""
    left = keep(children[0], operator.left_output).with_row_index(_ROW)
    right = keep(children[1], operator.right_output)
    left = left.with_columns(compile_expression(operator.left_as_of, task.evaluation).alias(_LEFT))
    right = right.with_columns(compile_expression(operator.right_as_of, task.evaluation).alias(_RIGHT))
    right = right.filter(pl.col(_RIGHT).is_not_null())
    equal = _equal_columns(operator)
    tolerance = _tolerance(operator.tolerance)
    if equal is None:
        joined = _best_of_pairs(operator, left, right, tolerance, task)
    else:
        joined = _as_of(operator, left, right, equal, tolerance)
    columns = [*names_of(operator.left_output), *names_of(operator.right_output)]
    if operator.kind == "inner":
        joined = joined.filter(pl.col(_RIGHT).is_not_null())
    return joined.sort(_ROW).select(columns)


def _as_of(
    operator: AsOfJoin, left: pl.LazyFrame, right: pl.LazyFrame, equal: list[tuple[str, str]], tolerance: Any
) -> pl.LazyFrame:
    by_left, by_right = [a for a, _ in equal], [f"#by{i}" for i in range(len(equal))]  # Polars drops the right ones
    right = right.with_columns([pl.col(b).alias(n) for (_, b), n in zip(equal, by_right, strict=True)])
    best = right.unique([*by_right, _RIGHT], keep="last", maintain_order=True)
    return left.sort(_LEFT, nulls_last=False, maintain_order=True).join_asof(
        best.sort(_RIGHT, maintain_order=True),
        left_on=_LEFT,
        right_on=_RIGHT,
        by_left=by_left or None,
        by_right=by_right or None,
        strategy=operator.direction,  # type: ignore[arg-type]
        tolerance=tolerance,
        allow_exact_matches=operator.allow_exact_matches,
        coalesce=False,
        check_sortedness=False,
    )


def _best_of_pairs(
    operator: AsOfJoin, left: pl.LazyFrame, right: pl.LazyFrame, tolerance: Any, task: TaskContext
) -> pl.LazyFrame:
    ours, theirs = pl.col(_LEFT), pl.col(_RIGHT)
    allowed = {"backward": theirs <= ours, "forward": theirs >= ours, "nearest": ours.is_not_null()}
    wanted = allowed[operator.direction]
    if not operator.allow_exact_matches:
        wanted = wanted & (ours != theirs)
    distance = pl.when(ours >= theirs).then(ours - theirs).otherwise(theirs - ours)
    if tolerance is not None:
        wanted = wanted & (distance <= tolerance)
    if operator.condition is not None:
        wanted = wanted & compile_expression(operator.condition, task.evaluation)
    left = left.cache()
    pairs = left.join(right, how="cross", maintain_order="left_right").filter(wanted)
    columns = [*names_of(operator.right_output), _RIGHT]
    nearest = [pl.col(c).sort_by(_DISTANCE, descending=True, maintain_order=True).last() for c in columns]
    best = pairs.with_columns(distance.alias(_DISTANCE)).group_by(_ROW).agg(nearest)
    return left.join(best, on=_ROW, how="left", maintain_order="left")


def _equal_columns(operator: AsOfJoin) -> list[tuple[str, str]] | None:
    """The pairs of columns that a condition wants equal; None if it wants anything else."""
    left = {a.expr_id for a in operator.left_output}
    pairs: list[tuple[str, str]] = []
    pending: list[Expression] = [] if operator.condition is None else [operator.condition]
    while pending:
        match pending.pop():
            case Call(name="and", args=args):
                pending.extend(args)
            case Call(name="==", args=(Attribute() as a, Attribute() as b)) if carrier(a.dtype) == carrier(b.dtype):
                if len(references(a) & left) + len(references(b) & left) != 1:
                    return None
                pairs.append((a.column, b.column) if a.expr_id in left else (b.column, a.column))
            case other:
                assert other is not None
                return None
    return pairs


def _tolerance(expression: Expression | None) -> Any:
    if expression is None:
        return None
    if not isinstance(expression, Literal):
        raise spark_error("AS_OF_JOIN.TOLERANCE_IS_UNFOLDABLE", ErrorKind.ANALYSIS)
    if isinstance(expression.dtype, DayTimeIntervalType):
        return datetime.timedelta(microseconds=expression.value)
    return expression.value
