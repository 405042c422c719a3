"""Operators that look at one row at a time: each task does them by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.expressions import Alias, Attribute

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_project(planner: Planner, node: logical.Project) -> Fragment:
    """A projection; clustering survives a renaming of its columns."""
    child = planner.plan(node.child)
    clustered = _renamed_clustering(child.clustered, node.items)
    built = child.map(lambda task: operators.Project(task, node.items), node.output)
    return Fragment(built.tasks, built.output, built.bytes, clustered)


def _renamed_clustering(
    clustered: tuple[int, ...] | None, items: tuple[Alias | Attribute, ...]
) -> tuple[int, ...] | None:
    if clustered is None:
        return None
    renamed: dict[int, int] = {}
    for item in items:
        if isinstance(item, Attribute):
            renamed[item.expr_id] = item.expr_id
        elif isinstance(item.child, Attribute):
            renamed.setdefault(item.child.expr_id, item.expr_id)
    kept = [renamed.get(i) for i in clustered]
    return tuple([i for i in kept if i is not None]) if None not in kept else None


def plan_filter(planner: Planner, node: logical.Filter) -> Fragment:
    """A filter."""
    child = planner.plan(node.child)
    return child.map(lambda task: operators.Filter(task, node.condition), node.output)


def plan_bloom_filter(planner: Planner, node: logical.BloomFilter) -> Fragment:
    """A filter by keys that an earlier stage found."""
    child = planner.plan(node.child)
    return child.map(lambda task: operators.BloomFilter(task, node.column, node.dtype, node.data), node.output)


def plan_expand(planner: Planner, node: logical.Expand) -> Fragment:
    """Several projections of each row."""
    child = planner.plan(node.child)
    return child.map(lambda task: operators.Expand(task, node.projections, node.attributes), node.output)


def plan_generate(planner: Planner, node: logical.Generate) -> Fragment:
    """A generator's rows."""
    child = planner.plan(node.child)
    kept = node.child.output
    return child.map(
        lambda task: operators.Generate(task, node.generator, node.attributes, node.outer, kept), node.output
    )


def plan_sample(planner: Planner, node: logical.Sample) -> Fragment:
    """A random part of each task's rows."""
    child = planner.plan(node.child)
    return child.map(
        lambda task: operators.Sample(task, node.lower, node.upper, node.with_replacement, node.seed), node.output
    )


def plan_collect_metrics(planner: Planner, node: logical.CollectMetrics) -> Fragment:
    """Each task reports its part; the scheduler puts them together."""
    child = planner.plan(node.child)
    return child.map(lambda task: operators.CollectMetrics(task, node.name, node.metrics), node.output)
