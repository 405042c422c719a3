"""How partitions far larger than the others are split, in joins of two exchanges and in global sorts."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.driver.planning.test_planner import Runner, SomeSettings, table
from voltray.driver.plan import logical
from voltray.driver.plan.predicates import call_equals
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.planner import Planner
from voltray.driver.planning.skew import Part, map_ranges, parts_of
from voltray.driver.planning.sort import boundaries_of
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto import operators
from voltray.proto.expressions import AggregateCall, Alias, Attribute, SortOrder, new_id
from voltray.proto.operators import PartitionRead
from voltray.proto.stages import Exchange, Stage
from voltray.proto.tasks import PartitionKey
from voltray.proto.types import LONG

MAPS = 4
SMALL, HOT = 100, 4000
CONFS = {
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "1000",
    "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "1000",
}


class SkewedRunner(Runner):
    """Every exchange by hash of the stages named has one large partition, the third; every range exchange too."""

    def __init__(self, skewed: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        self.skewed = skewed

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        plain = super().run(stage, streaming=streaming)
        assert isinstance(stage.output, Exchange)
        hot = stage.stage_id in self.skewed
        return result_of([HOT if hot and p == 2 else SMALL for p in range(stage.output.num_partitions)], plain)


def result_of(sizes: list[int], plain: StageResult | None = None) -> StageResult:
    """An exchange's result: each partition written in equal parts by all map tasks."""
    source, samples = (plain.source, plain.samples) if plain else ("0", ())
    maps = (sum(sizes) // MAPS,) * MAPS
    return StageResult(
        source, tuple(sizes), tuple(sizes), maps, maps, samples, sizes_by_map=lambda p: (sizes[p] // MAPS,) * MAPS
    )


def planner_for(runner: Runner, confs: dict[str, str] | None = None, **settings: Any) -> Planner:
    """A planner over three executors' slots."""
    context = EvaluationContext(confs=tuple((CONFS | (confs or {})).items()))
    return Planner(SomeSettings(0, **settings), context, runner, slots=3)


def joined(kind: str, runner: Runner, confs: dict[str, str] | None = None) -> tuple[Fragment, logical.Join]:
    """The plan of a join of two tables."""
    left, (a, _) = table(3000, "a", "b")
    right, (c, _) = table(3000, "c", "d")
    node = logical.Join(left, right, kind, call_equals(a, c))
    return planner_for(runner, confs).plan_query(node), node


def reads(fragment: Fragment) -> list[tuple[PartitionKey, PartitionKey]]:
    """What each task of a join reads of either side."""
    found = []
    for task in fragment.tasks:
        keys = [PartitionKey.parse(n.key) for n in operators.walk(task) if isinstance(n, PartitionRead)]
        found.append((keys[0], keys[1]))
    return found


def test_a_skewed_partition_is_read_in_parts_beside_all_of_the_other_side() -> None:
    # The right side is the smaller or equal one: it runs first, as stage 0.
    fragment, _ = joined("inner", SkewedRunner((0,)))
    split = [(left, right) for left, right in reads(fragment) if right.maps is not None]
    assert [right.maps for _, right in split] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert all(left.first == left.last == right.first == right.last == 2 for left, right in split)
    assert all(left.maps is None for left, _ in split)
    covered = sorted(p for left, _ in reads(fragment) for p in range(left.first, left.last + 1))
    assert covered == [0, 1, 2, 2, 2, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("inner", True, True), ("left", True, False), ("left_semi", True, False), ("left_anti", True, False),
        ("right", False, True), ("full", False, False),
    ],
)  # fmt: skip
def test_a_side_is_split_only_where_the_kind_allows(kind: str, left: bool, right: bool) -> None:
    fragment, _ = joined(kind, SkewedRunner((0, 1)))
    keys = reads(fragment)
    assert any(k.maps for k, _ in keys) is left and any(k.maps for _, k in keys) is right
    pairs = [(a.maps, b.maps) for a, b in keys if a.first == 2]
    assert len(pairs) == len(set(pairs)) == (MAPS if left else 1) * (MAPS if right else 1)


def test_rows_of_a_key_are_not_taken_to_be_together_after_a_split() -> None:
    for skewed, kinds in (((9,), ["hash", "hash"]), ((0,), ["hash", "hash", "hash"])):
        runner = SkewedRunner(skewed)
        left, (a, b) = table(3000, "a", "b")
        right, (c,) = table(3000, "c")
        node = logical.Join(left, right, "inner", call_equals(a, c))
        total = Alias(AggregateCall("sum", (b,), LONG), "s", new_id())
        planner_for(runner).plan_query(logical.Aggregate(node, (a,), (total,)))
        assert runner.kinds() == kinds


@pytest.mark.parametrize(
    "confs",
    [
        {"spark.sql.adaptive.skewJoin.enabled": "false"},
        {"spark.sql.adaptive.enabled": "false"},
        {"spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "1MB"},
        {"spark.sql.adaptive.skewJoin.skewedPartitionFactor": "50.5"},
    ],
)
def test_confs_say_what_is_skewed(confs: dict[str, str]) -> None:
    fragment, _ = joined("inner", SkewedRunner((0,)), confs)
    assert not any(key.maps for pair in reads(fragment) for key in pair)


def test_what_does_not_fit_the_memory_is_split_whatever_the_confs_say() -> None:
    size = 40 << 20
    results = (result_of([size] * 4), result_of([SMALL] * 4))
    confs = {"spark.sql.adaptive.advisoryPartitionSizeInBytes": "64MB"}
    planner = planner_for(Runner(), confs, executor_memory=100 << 20)
    assert all(part.maps == (None, None) for part in parts_of(planner, results, (True, True)))
    planner.spills = True
    parts = parts_of(planner, results, (True, False))
    assert parts[0] == Part(0, 0, ((0, 0), None)) and len(parts) == 4 * MAPS


def test_map_tasks_are_put_together_to_about_a_size() -> None:
    assert map_ranges((5, 5, 5, 5), 10) == ((0, 1), (2, 3))
    assert map_ranges((0, 50, 0, 0, 50, 0), 10) == ((0, 3), (4, 5))
    assert map_ranges((0, 0), 10) == ((0, 1),)


def test_a_key_that_fills_ranges_gets_one_of_its_own() -> None:
    sample = pl.DataFrame({"key": [1] * 10 + [5] * 80 + [9] * 10}).to_arrow()
    result = StageResult("0", (), (), (), (), (sample,))
    assert boundaries_of(result, 5, True, repeats=2).to_pylist() == [5, 5]
    assert boundaries_of(result, 5, True).to_pylist() == [5]


@pytest.mark.parametrize("ascending", [True, False])
def test_equal_sort_keys_may_go_to_several_tasks(ascending: bool) -> None:
    runner = HotKeyRunner()
    rows, (a, b) = table(3000, "a", "b")
    fragment = planner_for(runner).plan_query(logical.Sort(rows, (SortOrder(a, ascending, ascending),)))
    keys = [PartitionKey.parse(task.child.key) for task in fragment.tasks]  # type: ignore[attr-defined]
    split = [key.maps for key in keys if key.maps]
    assert split == [(0, 0), (1, 1), (2, 2), (3, 3)] and runner.kinds() == ["keep", "range"]
    # With a second key, the rows of the hot one are spread by that.
    again = HotKeyRunner()
    fragment = planner_for(again).plan_query(logical.Sort(rows, (SortOrder(a, ascending, ascending), SortOrder(b))))
    assert again.kinds() == ["keep", "range", "keep", "range"]
    sources = [PartitionKey.parse(task.child.key).source for task in fragment.tasks]  # type: ignore[attr-defined]
    first = sources.index("3")
    assert set(sources[first : first + 3]) == {"3"} and "1" in sources


class HotKeyRunner(Runner):
    """The sample of the first key has one value most of the time, whose range is the largest."""

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        plain = super().run(stage, streaming=streaming)
        assert isinstance(stage.output, Exchange)
        hot = pl.DataFrame({"key": [1] * 10 + [5] * 80 + [9] * 10}).to_arrow()
        samples = (hot,) if stage.stage_id == 0 else plain.samples
        count = stage.output.num_partitions
        if stage.output.kind != "range" or stage.stage_id != 1:
            return result_of([SMALL] * count, StageResult(plain.source, (), (), (), (), samples))
        order = stage.output.keys[0]
        assert isinstance(order, SortOrder) and isinstance(order.child, Attribute)
        # NULLs, below 5, 5, above 5
        assert count == 4 and stage.output.nulls_apart and stage.output.boundaries.to_pylist() == [5, 5]
        sizes = [SMALL] * 4
        sizes[2 if order.ascending else 1] = HOT
        return result_of(sizes, plain)
