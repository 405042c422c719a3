"""Logical plans to fragments of physical operators; exchanges run as planning meets them.

Planning is adaptive: where rows must be spread anew, the stage so far is run, and planning goes on with the
sizes that came out. Where the whole input is small enough there is one task and nothing runs before the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.driver.plan import logical, streaming
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.recursion import ComputedOnce, Recursion, RecursionReference
from voltray.driver.plan.statistics import input_bytes
from voltray.driver.planning import (
    aggregate,
    aggregate_buffers,
    as_of_join,
    deduplicate,
    join,
    limit,
    python,
    recursion,
    repartition,
    rows,
    scan,
    set_operation,
    show_string,
    sort,
    union,
    window,
)  # fmt: skip
from voltray.driver.planning.fragment import Fragment, StageResult, StageRunner
from voltray.driver.planning.memory import MemoryBudget, must_spill
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.expressions import Attribute, Call, walk
from voltray.proto.failures import ErrorKind, spark_error

STREAMING_BYTES = 32 << 20
# What shows users how rows lie in partitions: for these, asked-for partitions are really made.
_PARTITION_FUNCTIONS = frozenset(("spark_partition_id", "monotonically_increasing_id"))


class Planner:
    """What the rules for single nodes share while one query is planned."""

    def __init__(
        self,
        settings: Any,
        context: EvaluationContext,
        runner: StageRunner,
        *,
        slots: int,
        keep_partitions: bool = False,
    ) -> None:
        self.settings = settings
        self.context = context
        self.runner = runner
        self.parallelism = max(1, slots)
        self.keep_partitions = keep_partitions
        self.memory = MemoryBudget.of(settings, slots)
        self.spills = False
        """Whether what the query holds at a time may not fit one executor."""
        self.is_single_stage = True
        self.streaming = False
        self.input_bytes = 0
        self.recursions: dict[str, tuple[StageResult, tuple[Attribute, ...]]] = {}
        """The last level of each recursion that runs by stages."""
        self.computed: dict[str, tuple[StageResult, tuple[Attribute, ...]]] = {}
        """Results of what is computed once, by shared id."""

    def plan_query(self, plan: LogicalPlan) -> Fragment:
        """The last fragment of a query; all before it has run when this returns."""
        self.input_bytes = input_bytes(plan, self.cached_bytes)
        self.spills = must_spill(plan, self.memory, self.cached_bytes)
        self.is_single_stage = self.input_bytes <= self.settings.single_stage_bytes and not self.spills
        self.streaming = self.input_bytes > STREAMING_BYTES
        self.keep_partitions = self.keep_partitions or _shows_partitions(plan)
        return self.plan(plan)

    def plan(self, node: LogicalPlan) -> Fragment:
        """The fragment of one node and all below it."""
        rule = _RULES.get(type(node))
        if rule is None:
            name = type(node).__name__
            raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=f"No plan for {name}.")
        return rule(self, node)

    def cached_bytes(self, cache_id: str) -> int:
        """How much a cache holds."""
        return self.runner.cached(cache_id).total_bytes

    @property
    def forces_exchanges(self) -> bool:
        """Whether even the smallest input is to be spread (a setting for tests)."""
        return bool(self.settings.single_stage_bytes == 0)


Rule = Callable[[Planner, Any], Fragment]

_RULES: dict[type[LogicalPlan], Rule] = {
    logical.OneRow: scan.plan_one_row,
    logical.LocalData: scan.plan_local_data,
    logical.CachedData: scan.plan_cached_data,
    logical.Range: scan.plan_range,
    logical.FileScan: scan.plan_file_scan,
    logical.Project: rows.plan_project,
    logical.Filter: rows.plan_filter,
    logical.BloomFilter: rows.plan_bloom_filter,
    logical.Expand: rows.plan_expand,
    logical.Generate: rows.plan_generate,
    logical.Sample: rows.plan_sample,
    logical.CollectMetrics: rows.plan_collect_metrics,
    logical.Join: join.plan_join,
    logical.AsOfJoin: as_of_join.plan_as_of_join,
    logical.Union: union.plan_union,
    logical.SetOperation: set_operation.plan_set_operation,
    logical.Aggregate: aggregate.plan_aggregate,
    streaming.AggregateBuffers: aggregate_buffers.plan_aggregate_buffers,
    logical.Window: window.plan_window,
    logical.Sort: sort.plan_sort,
    logical.Limit: limit.plan_limit,
    logical.Deduplicate: deduplicate.plan_deduplicate,
    logical.Repartition: repartition.plan_repartition,
    logical.ShowString: show_string.plan_show_string,
    Recursion: recursion.plan_recursion,
    RecursionReference: recursion.plan_recursion_reference,
    ComputedOnce: recursion.plan_computed_once,
    logical.MapInPython: python.plan_map_in_python,
    logical.TableFunctionInPython: python.plan_table_function_in_python,
    logical.PythonPlanning: python.plan_python_planning,
    logical.PythonScan: python.plan_python_scan,
    logical.MapGroupsInPython: python.plan_map_groups_in_python,
    logical.MapCogroupsInPython: python.plan_map_cogroups_in_python,
}


def _asks_for_partitions(node: LogicalPlan) -> bool:
    return isinstance(node, logical.Repartition) or (isinstance(node, logical.Range) and bool(node.num_partitions))


def _shows_partitions(plan: LogicalPlan) -> bool:
    nodes = list(logical.walk(plan))
    if not any(_asks_for_partitions(n) for n in nodes):
        return False
    return any(
        isinstance(part, Call) and part.name in _PARTITION_FUNCTIONS
        for node in nodes
        for expression in logical.expressions_of(node)
        for part in walk(expression)
    )
