"""The physical plan as text: stages with their exchanges, as they would run from what is known before they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.redaction import REDACTED, is_secret
from voltray.driver.plan.text import expression_text
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.planner import Planner
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto import operators
from voltray.proto.expressions import Alias, Attribute, Call, Expression
from voltray.proto.operators import Operator, PartitionRead
from voltray.proto.stages import Exchange, Stage
from voltray.proto.tasks import BufferAttribute, PartitionKey

_LONGEST = 25
_HIDDEN = frozenset(
    (
        "child",
        "left",
        "right",
        "children",
        "data",
        "child_output",
        "child_outputs",
        "left_output",
        "right_output",
        "schema",
        "partition_schema",
        "names",
        "key",
        "dtype",
    )
)


@dataclass(slots=True)
class NotingRunner:
    """Notes stages and answers with guesses of their sizes."""

    cached_result: Callable[[str], StageResult]
    stages: list[Stage] = field(default_factory=list)

    def new_stage_id(self) -> int:
        """The next stage's number."""
        return len(self.stages)

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        """Note a stage."""
        self.stages.append(stage)
        assert isinstance(stage.output, Exchange)
        count = stage.output.num_partitions
        zeros = (0,) * len(stage.tasks)
        return StageResult(str(stage.stage_id), (1,) * count, (1,) * count, zeros, zeros, is_guess=True)

    def cached(self, cache_id: str) -> StageResult:
        """What a cache holds."""
        return self.cached_result(cache_id)


def explain_plan(
    plan: LogicalPlan,
    context: EvaluationContext,
    settings: Any,
    slots: int,
    cached_result: Callable[[str], StageResult],
) -> str:
    """A plan's stages as text."""
    runner = NotingRunner(cached_result)
    planner = Planner(settings, context, runner, slots=slots)
    fragment = planner.plan_query(plan)
    return physical_text(fragment, runner.stages)


def physical_text(fragment: Fragment, stages: Iterable[Stage]) -> str:
    """The last fragment's tree, with the stages that feed it below their exchanges."""
    by_source = {str(stage.stage_id): stage for stage in stages}
    lines: list[str] = []
    stack: list[tuple[Operator | Stage, str, str]] = [(_shown_root(fragment.tasks[0]), "", "")]
    while stack:
        node, first, others = stack.pop()
        if isinstance(node, Stage):
            lines.append(first + _exchange_line(node))
            children: tuple[Any, ...] = (node.tasks[0],)
        else:
            lines.append(first + operator_line(node))
            children = operators.children_of(node)
            if isinstance(node, PartitionRead):
                fed = by_source.get(PartitionKey.parse(node.key).source)
                children = (fed,) if fed is not None else ()
        for place, child in reversed(list(enumerate(children))):
            last = place == len(children) - 1
            stack.append((child, others + ("+- " if last else ":- "), others + ("   " if last else ":  ")))
    lines.append(f"Result: {_tasks(len(fragment.tasks))}")
    return "\n".join(lines) + "\n"


def _shown_root(root: Operator) -> Operator:
    """The root, without a projection that only gives a cache's columns other ids."""
    if isinstance(root, operators.Project) and isinstance(root.child, PartitionRead):
        renamed = all(isinstance(i, Alias) and isinstance(i.child, Attribute) for i in root.items)
        return root.child if renamed else root
    return root


def _name(operator: Operator) -> str:
    """Spark's name of an operator, where it has one."""
    if isinstance(operator, PartitionRead):
        return "InMemoryTableScan" if PartitionKey.parse(operator.key).source.startswith("cache") else "ExchangeRead"
    if isinstance(operator, operators.HashJoin):
        return "ShuffledHashJoin" if isinstance(operator.left, PartitionRead) else "BroadcastHashJoin"
    return type(operator).__name__


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


def _exchange_line(stage: Stage) -> str:
    output = stage.output
    assert isinstance(output, Exchange)
    keys = f"({', '.join(expression_text(k) for k in output.keys)})" if output.keys else ""
    partitions = "" if output.num_partitions == 1 else f", {output.num_partitions} partitions"
    return f"Exchange {output.kind}{keys}{partitions} [stage {stage.stage_id}, {_tasks(len(stage.tasks))}]"


def operator_line(operator: Operator) -> str:
    """An operator with what it does, on one line."""
    parts = []
    for f in fields(operator):
        value = getattr(operator, f.name)
        if f.name in _HIDDEN or value is None or value == () or value == "" or value is False:
            continue
        parts.append(_value(f.name, value))
    return f"{_name(operator)} {' '.join(parts)}".rstrip()


def _value(name: str, value: Any) -> str:
    if name == "runtime_filters":
        return f"runtimeFilters=[{', '.join(_runtime_filter(v) for v in value)}]"
    if name == "files":
        return f"{len(value)} file{'s' if len(value) != 1 else ''}"
    if isinstance(value, Expression):
        return f"({expression_text(value)})"
    if isinstance(value, tuple):
        shown = [_item(v) for v in value[:_LONGEST]]
        more = [f"... {len(value) - _LONGEST} more"] if len(value) > _LONGEST else []
        return f"[{', '.join([*shown, *more])}]"
    return f"{name}={getattr(value, 'value', value)}" if name != "attribute" else _item(value)


def _runtime_filter(condition: Expression) -> str:
    """A filter by another stage's keys; of many keys, how many there are."""
    if isinstance(condition, Call) and condition.name == "in" and len(condition.args) > _LONGEST:
        return f"in({expression_text(condition.args[0])}, {len(condition.args) - 1} values)"
    return expression_text(condition)


def _item(value: Any) -> str:
    if isinstance(value, BufferAttribute):
        return value.column
    match value:
        case (str() as option, str()) if is_secret(option):
            return str((option, REDACTED))
    return expression_text(value) if isinstance(value, Expression) else str(value)
