"""Rows, groups and aggregates made by users' Python functions, in workers."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.task import ONE_ROW_COLUMN, TaskContext
from voltray.executors.python.maps import aggregate_groups, map_cogroups, map_groups, map_partition, scan_partitions
from voltray.executors.python.planning import reply_to
from voltray.executors.python.tables import table_rows
from voltray.proto.expressions import AggregateCall, Attribute
from voltray.proto.operators import (
    AggregateInPython,
    MapCogroupsInPython,
    MapGroupsInPython,
    MapInPython,
    PythonPlanning,
    PythonScan,
    TableFunctionInPython,
)
from voltray.proto.types import carrier

Children = tuple[pl.LazyFrame, ...]


def _schema(attributes: tuple[Attribute, ...]) -> dict[str, pl.DataType]:
    return {a.column: carrier(a.dtype) for a in attributes}


def compile_map_in_python(operator: MapInPython, children: Children, task: TaskContext) -> pl.LazyFrame:
    """Each task's rows through one function."""

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        return map_partition(operator.call, operator.inputs, operator.attributes, frame, task.evaluation)

    return children[0].map_batches(run, schema=_schema(operator.attributes))


def compile_table_function_in_python(
    operator: TableFunctionInPython, children: Children, task: TaskContext
) -> pl.LazyFrame:
    """Each row beside those made of it."""

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        return table_rows(operator, frame, task.evaluation)

    outputs = (*operator.child_output, *operator.attributes)
    schema = _schema(outputs) if outputs else {ONE_ROW_COLUMN: pl.Null()}
    return children[0].map_batches(run, schema=schema)


def compile_python_planning(operator: PythonPlanning, children: Children, task: TaskContext) -> pl.LazyFrame:
    """One cell: the reply."""
    (column,) = operator.attributes

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame({column.column: [reply_to(operator.request, operator.python_version, task.evaluation)]})

    return pl.LazyFrame({ONE_ROW_COLUMN: [None]}).map_batches(run, schema=_schema(operator.attributes))


def compile_python_scan(operator: PythonScan, children: Children, task: TaskContext) -> pl.LazyFrame:
    """The rows of each partition in turn."""

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        return scan_partitions(operator, task.evaluation)

    return pl.LazyFrame({ONE_ROW_COLUMN: [None]}).map_batches(run, schema=_schema(operator.attributes))


def compile_map_groups_in_python(operator: MapGroupsInPython, children: Children, task: TaskContext) -> pl.LazyFrame:
    """Each group through one function."""

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        return map_groups(operator.call, operator.keys, operator.inputs, operator.attributes, frame, task.evaluation)

    return children[0].map_batches(run, schema=_schema(operator.attributes))


def compile_map_cogroups_in_python(
    operator: MapCogroupsInPython, children: Children, task: TaskContext
) -> pl.LazyFrame:
    """Each pair of groups through one function."""

    def run(frames: list[pl.DataFrame]) -> pl.DataFrame:
        sides = (
            (frames[0], operator.left_keys, operator.left_inputs),
            (frames[1], operator.right_keys, operator.right_inputs),
        )
        return map_cogroups(operator.call, sides, operator.attributes, task.evaluation)

    def both(left: pl.DataFrame) -> pl.DataFrame:
        return run([left, children[1].collect()])

    return children[0].map_batches(both, schema=_schema(operator.attributes))


def compile_aggregate_in_python(operator: AggregateInPython, children: Children, task: TaskContext) -> pl.LazyFrame:
    """One value of each function for each group."""
    arguments = {
        a.expr_id: a
        for alias in operator.aggregates
        if isinstance(alias.child, AggregateCall)
        for a in alias.child.args
        if isinstance(a, Attribute)
    }

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        return aggregate_groups(operator.aggregates, operator.groups, tuple(arguments.values()), frame, task.evaluation)

    made = {f"#{a.expr_id}": carrier(a.dtype) for a in operator.aggregates}
    return children[0].map_batches(run, schema={**_schema(operator.groups), **made})
