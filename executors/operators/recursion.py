"""A recursive common table expression in one task: whole levels computed one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import polars as pl

from voltray.executors.operators.columns import select_columns
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Attribute
from voltray.proto.failures import spark_error
from voltray.proto.operators import Operator, Recursion, RecursionRead
from voltray.proto.types import carrier

# As in a task's own plan: the driver's optimizer has put joins in order.
_OPTIMIZATIONS = pl.QueryOptFlags(join_order=False)


def compile_recursion(
    operator: Recursion, task: TaskContext, compiled: Callable[[Operator, TaskContext], pl.LazyFrame]
) -> pl.LazyFrame:
    """Levels until one is empty, or as many rows as are wanted."""
    level = _level(compiled(operator.left, task), operator.left_output, operator.attributes)
    levels = [level]
    rows, number = level.height, 1
    while level.height and (operator.limit is None or rows < operator.limit):
        if operator.level_limit is not None and number > operator.level_limit:
            raise spark_error("RECURSION_LEVEL_LIMIT_EXCEEDED", levelLimit=operator.level_limit)
        step = compiled(operator.right, _at_level(task, number, {**task.inputs, operator.loop_id: level.lazy()}))
        level = _level(step, operator.right_output, operator.attributes)
        levels.append(level)
        rows, number = rows + level.height, number + 1
        if operator.limit is None and operator.row_limit is not None and rows > operator.row_limit:
            raise spark_error("RECURSION_ROW_LIMIT_EXCEEDED", rowLimit=operator.row_limit)
    return pl.concat(levels).lazy()


def _at_level(task: TaskContext, number: int, inputs: Mapping[str, pl.LazyFrame]) -> TaskContext:
    """Random numbers go on from level to level: their seeds move as they do from partition to partition."""
    evaluation = replace(task.evaluation, partition_id=task.evaluation.partition_id + number - 1)
    return replace(task, evaluation=evaluation, inputs=inputs)


def _level(frame: pl.LazyFrame, output: tuple[Attribute, ...], attributes: tuple[Attribute, ...]) -> pl.DataFrame:
    columns = [
        pl.col(source.column).cast(carrier(attribute.dtype)).alias(attribute.column)
        for source, attribute in zip(output, attributes, strict=True)
    ]
    return select_columns(frame, columns, has_input=True).collect(optimizations=_OPTIMIZATIONS)


def compile_recursion_read(
    operator: RecursionRead, children: tuple[pl.LazyFrame, ...], task: TaskContext
) -> pl.LazyFrame:
    """The last level under the reference's own ids."""
    frame = task.inputs[operator.loop_id]
    names = frame.collect_schema().names()
    columns = [pl.col(n).alias(a.column) for n, a in zip(names, operator.attributes, strict=True)]
    return select_columns(frame, columns, has_input=True)
