"""Recursive common table expressions, and those that are computed once: by stages, or in a task of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.recursion import ComputedOnce, Recursion, RecursionReference
from voltray.driver.planning.exchange import run_exchange
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.proto import operators
from voltray.proto.expressions import Alias, Attribute
from voltray.proto.failures import spark_error
from voltray.proto.operators import Operator
from voltray.proto.stages import Exchange

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_recursion(planner: Planner, node: Recursion) -> Fragment:
    """All levels in one task where the inputs are small, else a stage for each level."""
    if planner.is_single_stage and not planner.forces_exchanges and not _spreads(node):
        left, right = planner.plan(node.left), planner.plan(node.right)
        if left.is_single and right.is_single:
            task = operators.Recursion(
                left.tasks[0], right.tasks[0], left.output, right.output, node.attributes, node.loop_id,
                node.level_limit, node.row_limit, node.limit,
            )  # fmt: skip
            return Fragment((task,), node.output, left.bytes)
    return _by_stages(planner, node)


def _spreads(node: Recursion) -> bool:
    """Whether planning a part of the recursion may run a stage, which could not read the level before."""
    return any(isinstance(n, logical.Repartition) for n in logical.walk(node))


def _by_stages(planner: Planner, node: Recursion) -> Fragment:
    """Each level is a stage over the result of the one before."""
    levels = [_level(planner, node.left, node.attributes)]
    rows = _rows(levels[0])
    while _rows(levels[-1]) and (node.limit is None or rows < node.limit):
        if node.level_limit is not None and len(levels) > node.level_limit:
            raise spark_error("RECURSION_LEVEL_LIMIT_EXCEEDED", levelLimit=node.level_limit)
        planner.recursions[node.loop_id] = levels[-1], node.attributes
        levels.append(_level(planner, node.right, node.attributes))
        rows += _rows(levels[-1])
        if node.limit is None and node.row_limit is not None and rows > node.row_limit:
            raise spark_error("RECURSION_ROW_LIMIT_EXCEEDED", rowLimit=node.row_limit)
        if levels[-1].is_guess:
            break
    planner.recursions.pop(node.loop_id, None)
    filled = [level for level in levels if _rows(level)] or levels[:1]
    tasks = tuple([task for level in filled for task in _reads(level, node.attributes)])
    return Fragment(tasks, node.output, sum(level.total_bytes for level in levels))


def _rows(level: StageResult) -> int:
    return sum(level.map_rows)


def _level(planner: Planner, plan: LogicalPlan, attributes: tuple[Attribute, ...]) -> StageResult:
    child = planner.plan(plan)
    output = tuple([replace(a, nullable=True) for a in child.output])
    tasks = tuple([operators.Union((task,), (output,), attributes) for task in child.tasks])
    return run_exchange(planner, Fragment(tasks, attributes, child.bytes), Exchange("keep", 1))


def _reads(level: StageResult, attributes: tuple[Attribute, ...]) -> list[Operator]:
    return [level.read_maps(attributes, i, i) for i in range(max(1, len(level.map_rows)))]


def plan_recursion_reference(planner: Planner, node: RecursionReference) -> Fragment:
    """The stage of the level before, or what the recursion's own task hands in."""
    level = planner.recursions.get(node.loop_id)
    if level is None:
        return Fragment((operators.RecursionRead(node.attributes, node.loop_id),), node.output)
    return _renamed(level, node.output)


def _renamed(stored: tuple[StageResult, tuple[Attribute, ...]], output: tuple[Attribute, ...]) -> Fragment:
    """A stage's rows under other ids, by position."""
    result, attributes = stored
    items = tuple([Alias(s, a.name, a.expr_id) for s, a in zip(attributes, output, strict=True)])
    tasks = tuple([operators.Project(read, items) for read in _reads(result, attributes)])
    return Fragment(tasks, output, result.total_bytes)


def plan_computed_once(planner: Planner, node: ComputedOnce) -> Fragment:
    """The first occurrence runs as a stage; all read its rows."""
    known = planner.computed.get(node.shared_id)
    if known is None:
        child = planner.plan(node.child)
        known = run_exchange(planner, child, Exchange("keep", 1)), child.output
        planner.computed[node.shared_id] = known
    return _renamed(known, node.output)
