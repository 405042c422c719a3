"""Users' Python functions over partitions, groups and pairs of groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import by_hash, gather
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, new_id, to_attribute
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_map_in_python(planner: Planner, node: logical.MapInPython) -> Fragment:
    """Each task's rows by themselves."""
    child = planner.plan(node.child)
    return child.map(lambda task: operators.MapInPython(task, node.call, node.inputs, node.attributes), node.output)


def plan_map_groups_in_python(planner: Planner, node: logical.MapGroupsInPython) -> Fragment:
    """Rows of a group in one task."""
    child = planner.plan(node.child)
    spread = by_hash(planner, child, node.keys) if node.keys else gather(planner, child)
    return spread.map(
        lambda task: operators.MapGroupsInPython(task, node.call, node.keys, node.inputs, node.attributes),
        node.output,
    )


def plan_map_cogroups_in_python(planner: Planner, node: logical.MapCogroupsInPython) -> Fragment:
    """Both inputs in one task: pairs of groups are met there."""
    left, right = gather(planner, planner.plan(node.left)), gather(planner, planner.plan(node.right))
    built = operators.MapCogroupsInPython(
        left.tasks[0], right.tasks[0], node.call, node.left_keys, node.right_keys, node.left_inputs,
        node.right_inputs, node.attributes,
    )  # fmt: skip
    return Fragment((built,), node.output, left.bytes + right.bytes)


def is_python_aggregate(node: logical.Aggregate) -> bool:
    """Whether an aggregation's functions are users' Python functions."""
    return any(isinstance(a.child, AggregateCall) and a.child.option("python") is not None for a in node.aggregates)


def plan_aggregate_in_python(planner: Planner, node: logical.Aggregate) -> Fragment:
    """Rows of a group in one task."""
    _refuse_mixture(node)
    node = _with_computed_arguments(node)
    child = planner.plan(node.child)
    spread = by_hash(planner, child, node.groups) if node.groups else gather(planner, child)
    return spread.map(lambda task: operators.AggregateInPython(task, node.groups, node.aggregates), node.output)


def _calls(node: logical.Aggregate) -> list[AggregateCall]:
    return [a.child for a in node.aggregates if isinstance(a.child, AggregateCall)]


def _refuse_mixture(node: logical.Aggregate) -> None:
    functions = [call.option("python") for call in _calls(node)]
    if None in functions or len({f.eval_type for f in functions}) > 1:
        named = ", ".join(f"`{f.name}`" for f in functions if f is not None)
        raise spark_error("INVALID_PANDAS_UDF_PLACEMENT", functionList=named)


def _with_computed_arguments(node: logical.Aggregate) -> logical.Aggregate:
    computed: list[Alias] = []
    aggregates: list[Alias] = []
    for alias, call in zip(node.aggregates, _calls(node), strict=True):
        args: list[Attribute] = []
        for argument in call.args:
            if isinstance(argument, Attribute):
                args.append(argument)
            else:
                computed.append(Alias(argument, "argument", new_id()))
                args.append(to_attribute(computed[-1]))
        aggregates.append(replace(alias, child=replace(call, args=tuple(args))))
    if not computed:
        return node
    below = logical.Project(node.child, (*node.child.output, *computed))
    return replace(node, child=below, aggregates=tuple(aggregates))
