"""Every physical operator and what compiles it; the one way into this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import polars as pl

from voltray.executors.operators.aggregate import compile_aggregate, order_matters
from voltray.executors.operators.as_of_join import compile_as_of_join
from voltray.executors.operators.bloom_filter import compile_bloom_filter
from voltray.executors.operators.collect_metrics import compile_collect_metrics
from voltray.executors.operators.deduplicate import compile_deduplicate
from voltray.executors.operators.expand import compile_expand
from voltray.executors.operators.file_scan import compile_file_scan
from voltray.executors.operators.filter import compile_filter
from voltray.executors.operators.generate import compile_generate
from voltray.executors.operators.hash_join import compile_hash_join
from voltray.executors.operators.limit import compile_limit
from voltray.executors.operators.local_scan import compile_local_scan
from voltray.executors.operators.nested_loop_join import compile_nested_loop_join
from voltray.executors.operators.one_row import compile_one_row
from voltray.executors.operators.partition_read import compile_partition_read
from voltray.executors.operators.project import compile_project
from voltray.executors.operators.python import (
    compile_aggregate_in_python,
    compile_map_cogroups_in_python,
    compile_map_groups_in_python,
    compile_map_in_python,
    compile_python_planning,
    compile_python_scan,
    compile_table_function_in_python,
)
from voltray.executors.operators.range_scan import compile_range_scan
from voltray.executors.operators.recursion import compile_recursion, compile_recursion_read
from voltray.executors.operators.sample import compile_sample
from voltray.executors.operators.set_operation import compile_set_operation
from voltray.executors.operators.show_string import compile_show_string
from voltray.executors.operators.sort import compile_sort
from voltray.executors.operators.task import TaskContext
from voltray.executors.operators.top_k import compile_top_k
from voltray.executors.operators.union import compile_union
from voltray.executors.operators.window import compile_window
from voltray.proto import operators
from voltray.proto.failures import ErrorKind, spark_error

__all__ = ["TaskContext", "compile_operator"]

_RULES: dict[type[operators.Operator], Callable[..., pl.LazyFrame]] = {
    operators.OneRow: compile_one_row,
    operators.LocalScan: compile_local_scan,
    operators.PartitionRead: compile_partition_read,
    operators.RangeScan: compile_range_scan,
    operators.RecursionRead: compile_recursion_read,
    operators.FileScan: compile_file_scan,
    operators.Project: compile_project,
    operators.Filter: compile_filter,
    operators.BloomFilter: compile_bloom_filter,
    operators.HashJoin: compile_hash_join,
    operators.NestedLoopJoin: compile_nested_loop_join,
    operators.Aggregate: compile_aggregate,
    operators.Expand: compile_expand,
    operators.AsOfJoin: compile_as_of_join,
    operators.Sample: compile_sample,
    operators.CollectMetrics: compile_collect_metrics,
    operators.Window: compile_window,
    operators.Generate: compile_generate,
    operators.Sort: compile_sort,
    operators.TopK: compile_top_k,
    operators.Limit: compile_limit,
    operators.Union: compile_union,
    operators.SetOperation: compile_set_operation,
    operators.Deduplicate: compile_deduplicate,
    operators.ShowString: compile_show_string,
    operators.MapInPython: compile_map_in_python,
    operators.TableFunctionInPython: compile_table_function_in_python,
    operators.PythonPlanning: compile_python_planning,
    operators.PythonScan: compile_python_scan,
    operators.MapGroupsInPython: compile_map_groups_in_python,
    operators.MapCogroupsInPython: compile_map_cogroups_in_python,
    operators.AggregateInPython: compile_aggregate_in_python,
}


def compile_operator(
    operator: operators.Operator, inputs: Mapping[str, pl.LazyFrame], task: TaskContext
) -> pl.LazyFrame:
    """The whole tree of a task as one LazyFrame; ``inputs`` are the frames of its PartitionReads."""
    return _compiled(operator, replace(task, inputs=inputs) if inputs else task)


def _compiled(operator: operators.Operator, task: TaskContext) -> pl.LazyFrame:
    if isinstance(operator, operators.Recursion):
        return compile_recursion(operator, task, _compiled)
    rule = _RULES.get(type(operator))
    if rule is None:
        name = type(operator).__name__
        raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=f"No operator runs {name}.")
    below = task
    if isinstance(operator, operators.Aggregate) and not order_matters(operator):
        below = replace(task, ordered=False)
    children = tuple([_compiled(child, below) for child in operators.children_of(operator)])
    frame = rule(operator, children, task)
    return task.gate(frame) if task.gate is not None and not children else frame
