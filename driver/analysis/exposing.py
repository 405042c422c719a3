"""Columns that a plan has inside but does not put out, brought up to its output."""

from __future__ import annotations

from dataclasses import replace

from voltray.driver.plan.logical import (
    Aggregate,
    AsOfJoin,
    CollectMetrics,
    FileScan,
    Filter,
    Generate,
    Join,
    Limit,
    LogicalPlan,
    Project,
    Repartition,
    Sample,
    Sort,
    Window,
    children_of,
    with_children,
)  # fmt: skip
from voltray.driver.plan.streaming import StreamScan
from voltray.proto.expressions import Alias, Attribute, references

_PASSING = (Filter, Sort, Limit, Sample, Repartition, CollectMetrics, Window, Generate)


def exposed(plan: LogicalPlan, wanted: frozenset[int]) -> LogicalPlan:
    """The plan with the columns of these ids in its output too, as far as they can be had."""
    raised, _ = _exposed(plan, wanted)
    return raised


def _exposed(plan: LogicalPlan, wanted: frozenset[int]) -> tuple[LogicalPlan, dict[int, Attribute]]:
    """The plan and, of the columns wanted, those that it now puts out."""
    have = {a.expr_id: a for a in plan.output if a.expr_id in wanted}
    missing = wanted - have.keys()
    if not missing:
        return plan, have
    if isinstance(plan, FileScan | StreamScan):
        return _exposed_metadata(plan, missing, have)
    if isinstance(plan, Project):
        child, found = _exposed(plan.child, missing)
        if not found:
            return plan, have
        return Project(child, plan.items + tuple(found.values())), {**have, **found}
    if isinstance(plan, _PASSING):
        child, found = _exposed(children_of(plan)[0], missing)
        return with_children(plan, (child,)), {**have, **found}
    if isinstance(plan, (Join, AsOfJoin)):
        return _exposed_sides(plan, missing, have)
    if isinstance(plan, Aggregate):
        return plan, have
    return plan, have


def _exposed_sides(
    plan: Join | AsOfJoin, missing: frozenset[int], have: dict[int, Attribute]
) -> tuple[LogicalPlan, dict[int, Attribute]]:
    left, _ = _exposed(plan.left, missing)
    if plan.kind in ("left_semi", "left_anti", "existence"):
        raised: LogicalPlan = replace(plan, left=left)
    else:
        right, _ = _exposed(plan.right, missing)
        raised = replace(plan, left=left, right=right)
    found = {a.expr_id: a for a in raised.output if a.expr_id in missing}
    return raised, {**have, **found}


def _exposed_metadata(
    plan: FileScan | StreamScan, missing: frozenset[int], have: dict[int, Attribute]
) -> tuple[LogicalPlan, dict[int, Attribute]]:
    from voltray.driver.analysis.file_metadata import metadata_attribute

    attribute = metadata_attribute(plan)
    if attribute.expr_id not in missing:
        return plan, have
    return replace(plan, attributes=(*plan.attributes, attribute)), {**have, attribute.expr_id: attribute}


def with_aggregates(plan: LogicalPlan, added: tuple[Alias, ...]) -> LogicalPlan:
    """The plan with further aggregates computed by the aggregation at its bottom (and not yet put out)."""
    if isinstance(plan, Aggregate):
        used = frozenset([i for alias in added for i in references(alias)])
        return replace(plan, child=exposed(plan.child, used), aggregates=plan.aggregates + added)
    (child,) = children_of(plan)
    return with_children(plan, (with_aggregates(child, added),))
