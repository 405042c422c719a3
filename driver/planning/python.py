"""Users' Python functions over partitions, groups and pairs of groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.planning.exchange import by_hash, gather, together
from voltray.driver.planning.fragment import Fragment
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, SortOrder, dtype_of, new_id, to_attribute
from voltray.proto.failures import spark_error
from voltray.proto.types import same_type

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner


def plan_map_in_python(planner: Planner, node: logical.MapInPython) -> Fragment:
    """Each task's rows by themselves."""
    child = planner.plan(node.child)
    return child.map(lambda task: operators.MapInPython(task, node.call, node.inputs, node.attributes), node.output)


def plan_table_function_in_python(planner: Planner, node: logical.TableFunctionInPython) -> Fragment:
    """Each task's rows by themselves; those of a table argument spread and ordered as the call says."""
    child = planner.plan(node.child)
    if node.keys:
        child = by_hash(planner, child, node.keys)
    elif node.single:
        child = gather(planner, child)
    order = (*[SortOrder(k) for k in node.keys], *node.orders)
    arguments = tuple([Alias(a, f"_{i}", new_id()) for i, a in enumerate(node.call.args)])
    inputs = tuple([to_attribute(a) for a in arguments])
    kept = node.child.output
    call = replace(node.call, args=())

    def task_of(task: operators.Operator) -> operators.Operator:
        ordered = operators.Sort(task, order) if order else task
        computed = operators.Project(ordered, (*kept, *arguments)) if arguments else ordered
        return operators.TableFunctionInPython(
            computed, call, inputs, node.attributes, kept, node.partition_indexes, node.analyze_result,
            node.table_offsets,
        )  # fmt: skip

    return child.map(task_of, node.output)


def plan_python_planning(planner: Planner, node: logical.PythonPlanning) -> Fragment:
    """One task."""
    assert node.request is not None
    task = operators.PythonPlanning(node.attributes, node.request, node.python_version)
    return Fragment((task,), node.output)


def plan_python_scan(planner: Planner, node: logical.PythonScan) -> Fragment:
    """A task for each partition, as many as there are."""
    assert node.call is not None
    tasks = tuple([operators.PythonScan(node.attributes, node.call, (p,)) for p in node.partitions])
    return Fragment(tasks, node.output)


def plan_map_groups_in_python(planner: Planner, node: logical.MapGroupsInPython) -> Fragment:
    """Rows of a group in one task."""
    child = planner.plan(node.child)
    spread = by_hash(planner, child, node.keys) if node.keys else gather(planner, child)
    return spread.map(
        lambda task: operators.MapGroupsInPython(task, node.call, node.keys, node.inputs, node.attributes),
        node.output,
    )


def plan_map_cogroups_in_python(planner: Planner, node: logical.MapCogroupsInPython) -> Fragment:
    """Groups with one key of both inputs in one task."""
    sides = (planner.plan(node.left), planner.plan(node.right))
    alike = [same_type(dtype_of(a), dtype_of(b)) for a, b in zip(node.left_keys, node.right_keys, strict=False)]
    if alike and all(alike):
        left, right = together(planner, sides, (node.left_keys, node.right_keys))
    else:
        left, right = gather(planner, sides[0]), gather(planner, sides[1])
    tasks = [
        operators.MapCogroupsInPython(
            left_task, right_task, node.call, node.left_keys, node.right_keys, node.left_inputs,
            node.right_inputs, node.attributes,
        )
        for left_task, right_task in zip(left.tasks, right.tasks, strict=True)
    ]
    return Fragment(tuple(tasks), node.output, left.bytes + right.bytes)


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
