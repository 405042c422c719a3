"""Where planning puts exchanges, with and without them forced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import call_equals
from voltray.driver.planning.exchange import groups_of
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.planner import Planner
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, Call, Literal, SortOrder, new_id
from voltray.proto.operators import AggregateMode
from voltray.proto.stages import Exchange, Stage
from voltray.proto.types import BOOLEAN, INTEGER, LONG

PARTITION_BYTES = 1000


@dataclass(frozen=True)
class SomeSettings:
    """What planning reads of the settings."""

    single_stage_bytes: int
    shuffle_partitions: int = 200
    executors: int = 1
    executor_memory: int = 8 << 30
    object_store_memory: int = 1 << 30


@dataclass
class Runner:
    """Notes stages; every partition has the same size."""

    stages: list[Stage] = field(default_factory=list)

    def new_stage_id(self) -> int:
        return len(self.stages)

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        self.stages.append(stage)
        assert isinstance(stage.output, Exchange)
        count = stage.output.num_partitions
        each = (PARTITION_BYTES,) * count
        sample = pa.table({"key": pa.array(range(100))})
        maps = (PARTITION_BYTES,) * len(stage.tasks)
        return StageResult(str(stage.stage_id), each, each, maps, maps, (sample,))

    def cached(self, cache_id: str) -> StageResult:
        return StageResult(f"cache:{cache_id}", (30,), (300,), (10, 10, 10), (100, 100, 100))

    def kinds(self) -> list[str]:
        """The exchanges in the order in which they ran."""
        return [stage.output.kind for stage in self.stages]  # type: ignore[union-attr]


def planned(
    plan: LogicalPlan,
    single_stage_bytes: int = 0,
    confs: dict[str, str] | None = None,
    executor_memory: int = 8 << 30,
    **options: Any,
) -> tuple[Fragment, Runner]:
    """A plan's last fragment, and the stages that ran before it."""
    runner = Runner()
    context = EvaluationContext(confs=tuple((confs or {}).items()))
    settings = SomeSettings(single_stage_bytes, executor_memory=executor_memory)
    planner = Planner(settings, context, runner, slots=3, **options)
    return planner.plan_query(plan), runner


def table(rows: int = 30, *names: str) -> tuple[logical.LocalData, tuple[Attribute, ...]]:
    """A table of long columns."""
    columns = tuple([Attribute(new_id(), n, LONG) for n in names or ("a",)])
    data = pa.table({n: pa.array(range(rows)) for n in names or ("a",)})
    return logical.LocalData(columns, data, rows), columns


def total(column: Attribute, **options: Any) -> Alias:
    """sum of a column."""
    return Alias(AggregateCall("sum", (column,), LONG, **options), "s", new_id())


def kinds(operator: operators.Operator) -> list[str]:
    """Kinds of a task's operators."""
    return [type(node).__name__ for node in operators.walk(operator)]


SMALL = 1 << 30


def test_what_fits_is_one_task_without_exchanges() -> None:
    rows, (a, b) = table(30, "a", "b")
    other, (c,) = table(30, "c")
    joined = logical.Join(rows, other, "inner", call_equals(a, c))
    groups = logical.Aggregate(joined, (a,), (total(b),))
    fragment, runner = planned(logical.Sort(groups, (SortOrder(a),)), SMALL)
    assert fragment.is_single and not runner.stages
    assert kinds(fragment.tasks[0]) == ["Sort", "Aggregate", "HashJoin", "LocalScan", "LocalScan"]


def test_what_does_not_fit_the_memory_is_exchanged_and_may_spill() -> None:
    rows, (a, b) = table(200_000, "a", "b")
    plan = logical.Sort(logical.Aggregate(rows, (a,), (total(b),)), (SortOrder(a),))
    _, runner = planned(plan, SMALL, executor_memory=1 << 20)
    assert runner.kinds() == ["hash", "keep"] and len(runner.stages[0].tasks) > 1
    assert all(dict(stage.metadata)["spill_bytes"] for stage in runner.stages)
    # What is passed on as it comes needs no room, and the first rows in order are few.
    for streamed in (logical.Filter(rows, call_equals(a, b)), logical.Limit(logical.Sort(rows, plan.orders), 5, 0)):
        assert not planned(streamed, SMALL, executor_memory=1 << 20)[1].stages


def test_aggregates_distinct_in_different_columns_are_spread_by_each() -> None:
    rows, (a, b) = table(200_000, "a", "b")
    plan = logical.Aggregate(rows, (), (total(a, distinct=True), total(b), total(b, distinct=True)))
    fragment, runner = planned(plan, SMALL, executor_memory=1 << 20)
    assert fragment.is_single and runner.kinds() == ["hash", "single", "single", "hash", "single"]
    assert kinds(fragment.tasks[0])[:3] == ["Project", "NestedLoopJoin", "NestedLoopJoin"]


def test_aggregates_run_in_two_parts() -> None:
    rows, (a, b) = table(30, "a", "b")
    fragment, runner = planned(logical.Aggregate(rows, (a,), (total(b),)))
    assert runner.kinds() == ["hash"]
    assert runner.stages[0].tasks[0].mode is AggregateMode.PARTIAL
    assert all(task.mode is AggregateMode.FINAL for task in fragment.tasks)


def test_aggregates_without_groups_end_in_one_task() -> None:
    rows, (a,) = table()
    fragment, runner = planned(logical.Aggregate(rows, (), (total(a),)))
    assert runner.kinds() == ["single"] and fragment.is_single


def test_distinct_aggregates_drop_duplicates_first() -> None:
    rows, (a,) = table()
    fragment, runner = planned(logical.Aggregate(rows, (), (total(a, distinct=True),)))
    assert runner.kinds() == ["hash", "single"]
    assert kinds(runner.stages[0].tasks[0])[0] == "Deduplicate"
    assert fragment.tasks[0].mode is AggregateMode.FINAL


def test_an_aggregation_after_a_join_on_its_group_needs_no_exchange() -> None:
    left, (a, b) = table(30, "a", "b")
    right, (c,) = table(30, "c")
    joined = logical.Join(left, right, "inner", call_equals(a, c))
    confs = {"spark.sql.autoBroadcastJoinThreshold": "-1"}
    fragment, runner = planned(logical.Aggregate(joined, (a,), (total(b),)), confs=confs)
    assert runner.kinds() == ["hash", "hash"]
    assert fragment.tasks[0].mode is AggregateMode.WHOLE


def test_a_small_side_is_broadcast() -> None:
    left, (a,) = table(30, "a")
    right, (c,) = table(3, "c")
    fragment, runner = planned(logical.Join(left, right, "inner", call_equals(a, c)))
    assert runner.kinds() == ["broadcast"] and len(fragment.tasks) == 3


@pytest.mark.parametrize(("kind", "exchanges"), [("left", ["broadcast"]), ("full", ["hash", "hash"])])
def test_a_side_is_broadcast_only_where_the_kind_allows(kind: str, exchanges: list[str]) -> None:
    left, (a,) = table(30, "a")
    right, (c,) = table(30, "c")
    _, runner = planned(logical.Join(left, right, kind, call_equals(a, c)))
    assert runner.kinds() == exchanges


def test_a_side_that_proves_small_is_broadcast_after_all() -> None:
    left, (a,) = table(3000, "a")
    right, (c,) = table(3000, "c")
    confs = {"spark.sql.autoBroadcastJoinThreshold": str(3000 * 8 - 1)}
    _, runner = planned(logical.Join(left, right, "inner", call_equals(a, c)), confs=confs)
    assert runner.kinds() == ["hash"]


def test_keys_that_are_computed_are_columns_below_the_join() -> None:
    left, (a,) = table(30, "a")
    right, (c,) = table(30, "c")
    condition = call_equals(Call("+", (a, Literal(1, LONG)), LONG), c)
    fragment, _ = planned(logical.Join(left, right, "inner", condition), SMALL)
    assert kinds(fragment.tasks[0]) == ["Project", "HashJoin", "Project", "LocalScan", "LocalScan"]
    assert fragment.output == (a, c)


def test_a_global_sort_spreads_by_range() -> None:
    rows, (a,) = table()
    fragment, runner = planned(logical.Sort(rows, (SortOrder(a),)))
    assert runner.kinds() == ["keep", "range"] and len(fragment.tasks) > 1


def test_a_limited_sort_keeps_the_first_rows_of_each_task() -> None:
    rows, (a,) = table()
    fragment, runner = planned(logical.Limit(logical.Sort(rows, (SortOrder(a),)), 5, 2))
    assert runner.kinds() == ["single"]
    assert runner.stages[0].tasks[0].count == 7
    assert kinds(fragment.tasks[0]) == ["Limit", "TopK", "PartitionRead"]


def test_a_range_is_split() -> None:
    scan = logical.Range((Attribute(new_id(), "id", LONG, False),), 0, 10, 3)
    fragment, _ = planned(scan)
    parts = [i for t in fragment.tasks for i in range(t.start, t.end, t.step)]
    assert parts == [0, 3, 6, 9]


def test_cached_data_is_read_where_it_lies() -> None:
    a = Attribute(new_id(), "a", LONG)
    cached = logical.CachedData((a,), "c", (99,))
    fragment, _ = planned(cached)
    assert len(fragment.tasks) == 3 and kinds(fragment.tasks[0]) == ["Project", "PartitionRead"]
    whole, _ = planned(cached, SMALL)
    assert whole.is_single


def test_repartitioning_is_free_where_nobody_sees_it() -> None:
    rows, (a,) = table()
    plan = logical.Repartition(rows, "hash", 5, (a,))
    assert planned(plan, SMALL)[1].kinds() == []
    fragment, runner = planned(plan, SMALL, keep_partitions=True)
    assert runner.kinds() == ["hash"] and len(fragment.tasks) == 5


def test_a_null_aware_anti_join_sees_the_whole_right_side() -> None:
    left, (a,) = table(30, "a")
    right, (c,) = table(30, "c")
    join = logical.Join(left, right, "left_anti", call_equals(a, c), null_aware=True)
    _, runner = planned(join, confs={"spark.sql.autoBroadcastJoinThreshold": "-1"})
    assert runner.kinds() == ["broadcast"]


def test_small_partitions_are_read_together() -> None:
    rows, _ = table()
    runner = Runner()
    planner = Planner(SomeSettings(SMALL), EvaluationContext(), runner, slots=2)
    planner.plan_query(rows)
    assert groups_of(planner, [1] * 10) == ((0, 4), (5, 9))
    assert groups_of(planner, [0, 0, 0]) == ((0, 2),)
    assert groups_of(planner, [64 << 20] * 4) == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert groups_of(planner, [5, 0, 0]) == ((0, 2),)


def test_a_thousand_projections_are_planned() -> None:
    rows, (a,) = table()
    plan: LogicalPlan = rows
    for _ in range(200):
        plan = logical.Filter(plan, Call(">", (a, Literal(1, INTEGER)), BOOLEAN))
    assert len(kinds(planned(plan)[0].tasks[0])) == 201
