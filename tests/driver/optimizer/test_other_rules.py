"""Folding, merging, pruning and limiting: plans before and after."""

from __future__ import annotations

import time

from tests.driver.optimizer.plans import alias, column, compare, count_all, kinds, number, plus, table
from voltray.driver.optimizer.collapse_projects import collapse_projects
from voltray.driver.optimizer.fold_constants import fold_constants
from voltray.driver.optimizer.optimizer import optimize
from voltray.driver.optimizer.prune_columns import prune_columns
from voltray.driver.optimizer.push_down_limits import push_down_limits
from voltray.driver.plan import logical
from voltray.driver.plan.predicates import TRUE, call_and
from voltray.proto.expressions import Alias, Call, Literal, SortOrder, new_id
from voltray.proto.types import DOUBLE, LONG


def test_constant_parts_of_a_condition_are_computed() -> None:
    rows, (a,) = table("a")
    folded = fold_constants(logical.Filter(rows, compare(">", a, plus(number(1), number(2)))), None)
    assert folded.condition == compare(">", a, number(3))


def test_a_condition_that_always_holds_goes() -> None:
    rows, _ = table("a")
    condition = call_and(TRUE, Call("==", (number(1), number(1)), TRUE.dtype, False))
    assert fold_constants(logical.Filter(rows, condition), None) is rows


def test_what_fails_to_fold_is_left_to_fail_in_its_row() -> None:
    rows, (_a,) = table("a")
    division = Call("/", (Literal(1.0, DOUBLE), Literal(0.0, DOUBLE)), DOUBLE)
    filtered = logical.Filter(rows, compare(">", division, Literal(1.0, DOUBLE)))
    assert fold_constants(filtered, None) == filtered


def test_neighbouring_projections_become_one() -> None:
    rows, (a,) = table("a")
    lower = logical.Project(rows, (alias(plus(a, number(1)), "b"),))
    upper = logical.Project(lower, (alias(plus(lower.output[0], number(2)), "c"),))
    merged = collapse_projects(upper, None)
    assert merged == logical.Project(rows, (Alias(plus(plus(a, number(1)), number(2)), "c", upper.items[0].expr_id),))


def test_a_value_used_twice_is_computed_once() -> None:
    rows, (a,) = table("a")
    lower = logical.Project(rows, (alias(plus(a, number(1)), "b"),))
    b = lower.output[0]
    upper = logical.Project(lower, (alias(plus(b, b), "c"),))
    assert kinds(collapse_projects(upper, None)) == ["Project", "Project", "LocalData"]


def test_a_random_column_used_twice_stays_one_column() -> None:
    rows, _ = table("a")
    lower = logical.Project(rows, (alias(Call("rand", (number(1),), DOUBLE, False), "r"),))
    r = lower.output[0]
    upper = logical.Project(lower, (r, alias(plus(r, r), "c")))
    assert kinds(collapse_projects(upper, None)) == ["Project", "Project", "LocalData"]


def test_a_projection_that_changes_nothing_goes() -> None:
    rows, columns = table("a", "b")
    assert collapse_projects(logical.Project(rows, columns), None) is rows


def test_unread_columns_are_not_carried_through_a_join() -> None:
    left, (a, _, c) = table("a", "b", "c")
    right, (d, _) = table("d", "e")
    joined = logical.Project(logical.Join(left, right, "inner", compare("==", a, d)), (c,))
    pruned = prune_columns(joined, None)
    join = next(n for n in logical.walk(pruned) if isinstance(n, logical.Join))
    assert [x.name for x in join.left.output] == ["a", "c"]
    assert [x.name for x in join.right.output] == ["d"]


def test_unread_aggregates_and_windows_are_not_computed() -> None:
    rows, (a, _b) = table("a", "b")
    groups = logical.Aggregate(rows, (a,), (count_all("n"), count_all("m")))
    pruned = prune_columns(logical.Project(groups, (groups.output[1],)), None)
    assert len(pruned.child.aggregates) == 1
    assert [x.name for x in pruned.child.child.output] == ["a"]


def test_a_union_keeps_the_columns_read_of_each_child() -> None:
    first, _ = table("a", "b")
    second, _ = table("c", "d")
    both = logical.Union((first, second), (x := column("x"), column("y")))
    pruned = prune_columns(logical.Project(both, (x,)), None)
    union = next(n for n in logical.walk(pruned) if isinstance(n, logical.Union))
    assert [[a.name for a in c.output] for c in union.children] == [["a"], ["c"]]


def test_a_limit_passes_projections_down_to_the_sort() -> None:
    rows, (a,) = table("a")
    sorted_rows = logical.Project(logical.Sort(rows, (SortOrder(a),)), (alias(plus(a, a), "b"),))
    assert kinds(push_down_limits(logical.Limit(sorted_rows, 5), None)) == ["Project", "Limit", "Sort", "LocalData"]


def test_a_limit_limits_each_child_of_a_union() -> None:
    first, _ = table("a")
    second, _ = table("b")
    both = logical.Union((first, second), (column("u"),))
    limited = push_down_limits(logical.Limit(both, 5, 2), None)
    assert kinds(limited) == ["Limit", "Union", "Limit", "LocalData", "Limit", "LocalData"]
    assert limited.child.children[0].limit == 7


def test_five_hundred_added_columns_are_one_projection_in_a_moment() -> None:
    rows, (a,) = table("a")
    plan: logical.LogicalPlan = rows
    for i in range(500):
        plan = logical.Project(plan, (*plan.output, Alias(plus(a, number(i)), f"c{i}", new_id())))
    started = time.perf_counter()
    assert kinds(optimize(plan, None)) == ["Project", "LocalData"]
    assert time.perf_counter() - started < 3


def test_types_survive() -> None:
    rows, (a,) = table("a")
    plan = logical.Filter(logical.Project(rows, (a,)), compare(">", a, number(1)))
    assert optimize(plan, None).output == plan.output and a.dtype == LONG
