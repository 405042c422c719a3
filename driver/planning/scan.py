"""Leaves: rows in the plan, cached rows, ranges and files, split into tasks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.plan import logical
from voltray.driver.plan.predicates import FALSE
from voltray.driver.plan.statistics import file_bytes, range_rows, table_bytes
from voltray.driver.planning.file_splits import split_files
from voltray.driver.planning.fragment import Fragment
from voltray.driver.planning.memory import scan_bytes
from voltray.driver.planning.runtime_filters import is_planned
from voltray.executors.sources.pruning import prune_files
from voltray.proto import operators
from voltray.proto.expressions import Alias, Attribute

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

_TASK_BYTES = 64 << 20
_TASK_ROWS = 4_000_000


def plan_one_row(planner: Planner, node: logical.OneRow) -> Fragment:
    """One task."""
    return Fragment((operators.OneRow(),), node.output)


def plan_local_data(planner: Planner, node: logical.LocalData) -> Fragment:
    """One task, or slices of the table."""
    size = table_bytes(node.data)
    rows = getattr(node.data, "num_rows", None)
    count = _task_count(planner, size // _task_bytes(planner) + 1, rows) if rows is not None else 1
    if count == 1 or rows is None:
        return Fragment((operators.LocalScan(node.attributes, node.data),), node.output, size)
    tasks = [
        operators.LocalScan(node.attributes, node.data.slice(start, end - start)) for start, end in _spans(rows, count)
    ]
    return Fragment(tuple(tasks), node.output, size)


def plan_range(planner: Planner, node: logical.Range) -> Fragment:
    """One task, or parts of the range."""
    (attribute,) = node.attributes
    rows = range_rows(node)
    count = _task_count(planner, rows // min(_TASK_ROWS, _task_bytes(planner)) + 1, rows)
    if planner.keep_partitions and node.num_partitions:
        count = max(1, min(node.num_partitions, rows))
    tasks = [_range_part(attribute, node, start, end) for start, end in _spans(rows, count)]
    return Fragment(tuple(tasks), node.output, 8 * rows)


def plan_cached_data(planner: Planner, node: logical.CachedData) -> Fragment:
    """One task for each stored partition, or one for all; columns get the ids that the plan knows them by."""
    result = planner.runner.cached(node.cache_id)
    ids = node.column_ids or tuple([a.expr_id for a in node.attributes])
    stored = tuple([replace(a, expr_id=i) for a, i in zip(node.attributes, ids, strict=True)])
    count = len(result.map_rows)
    if planner.is_single_stage and not planner.keep_partitions:
        spans = [(0, count - 1)]
    else:
        spans = [(i, i) for i in range(count)]
    tasks = [_renamed(result.read_maps(stored, a, b), stored, node.attributes) for a, b in spans]
    return Fragment(tuple(tasks), node.output, result.total_bytes)


def plan_file_scan(planner: Planner, node: logical.FileScan) -> Fragment:
    """One task, or one for each group of files and parts of files."""
    node = _pruned(planner, node)
    size = file_bytes(node)
    groups: tuple[tuple[Any, ...], ...] = (node.files,)
    if not planner.is_single_stage:
        groups = split_files(planner, node) or groups
    if planner.spills:
        size = scan_bytes(node)
    tasks = [
        operators.FileScan(
            node.attributes,
            node.format,
            files,
            node.schema,
            node.partition_schema,
            node.options,
            node.predicate,
            node.limit,
            node.runtime_filters,
        )
        for files in groups
    ]
    return Fragment(tuple(tasks), node.output, size)


def _pruned(planner: Planner, node: logical.FileScan) -> logical.FileScan:
    """The scan without the files that its partition columns or keys that other stages found rule out."""
    if FALSE in node.runtime_filters:
        return replace(node, files=())
    if not node.partition_schema.fields or any(is_planned(c) for c in node.runtime_filters):
        return node
    return replace(node, files=prune_files(node, planner.context))


def _task_bytes(planner: Planner) -> int:
    return min(_TASK_BYTES, planner.memory.scan_bytes) if planner.spills else _TASK_BYTES


def _task_count(planner: Planner, by_size: int, rows: int) -> int:
    if planner.is_single_stage or rows <= 1:
        return 1
    least = planner.parallelism if planner.forces_exchanges or by_size > 1 else 1
    return min(max(by_size, least), rows)


def _spans(rows: int, count: int) -> list[tuple[int, int]]:
    edges = [i * rows // count for i in range(count + 1)]
    return list(itertools.pairwise(edges))


def _range_part(attribute: Attribute, node: logical.Range, start: int, end: int) -> operators.Operator:
    first = node.start + start * node.step
    return operators.RangeScan(attribute, first, node.start + end * node.step, node.step)


def _renamed(
    child: operators.Operator, stored: tuple[Attribute, ...], attributes: tuple[Attribute, ...]
) -> operators.Operator:
    if all(a.expr_id == b.expr_id for a, b in zip(stored, attributes, strict=True)):
        return child
    pairs = zip(stored, attributes, strict=True)
    return operators.Project(child, tuple([Alias(s, a.name, a.expr_id, a.metadata) for s, a in pairs]))
