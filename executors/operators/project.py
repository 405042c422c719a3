"""New columns from each row."""

from __future__ import annotations

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.columns import select_columns
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Attribute, column_name
from voltray.proto.operators import Project


def compile_project(operator: Project, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """One column an item; an item that occurs twice is the same column."""
    columns: dict[str, pl.Expr] = {}
    for item in operator.items:
        name = column_name(item.expr_id)
        if name not in columns:
            columns[name] = compile_expression(item, task.evaluation).alias(name)
    has_input = any(isinstance(i, Attribute) for i in operator.items)
    return select_columns(children[0], list(columns.values()), has_input=has_input)
