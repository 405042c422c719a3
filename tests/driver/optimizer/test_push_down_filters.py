"""Filters move to where their columns come from."""

from __future__ import annotations

from tests.driver.optimizer.plans import alias, column, compare, count_all, kinds, number, plus, table
from voltray.driver.optimizer.push_down_filters import push_down_filters
from voltray.driver.plan import logical
from voltray.driver.plan.predicates import call_and
from voltray.proto.expressions import Call
from voltray.proto.types import DOUBLE


def test_a_filter_goes_below_a_projection_that_computes_its_column() -> None:
    rows, (a,) = table("a")
    doubled = alias(plus(a, a), "b")
    project = logical.Project(rows, (a, doubled))
    b = project.output[1]
    pushed = push_down_filters(logical.Filter(project, compare(">", b, number(2))), None)
    assert kinds(pushed) == ["Project", "Filter", "LocalData"]
    assert pushed.child.condition == compare(">", doubled.child, number(2))


def test_a_filter_stays_above_a_random_column() -> None:
    rows, (a,) = table("a")
    project = logical.Project(rows, (a, alias(Call("rand", (number(1),), DOUBLE, False), "r")))
    condition = compare(">", project.output[1], number(0))
    assert kinds(push_down_filters(logical.Filter(project, condition), None))[0] == "Filter"


def test_each_side_of_an_inner_join_gets_its_part() -> None:
    left, (a,) = table("a")
    right, (b,) = table("b")
    parts = call_and(compare("==", a, b), call_and(compare(">", a, number(1)), compare("<", b, number(9))))
    pushed = push_down_filters(logical.Filter(logical.Join(left, right, "cross"), parts), None)
    assert kinds(pushed) == ["Join:inner", "Filter", "LocalData", "Filter", "LocalData"]
    assert pushed.condition == compare("==", a, b)


def test_a_left_join_keeps_conditions_on_its_right_side_above() -> None:
    left, (a,) = table("a")
    right, (b,) = table("b")
    join = logical.Join(left, right, "left", compare("==", a, b))
    pushed = push_down_filters(logical.Filter(join, compare("<=>", b, number(1))), None)
    assert kinds(pushed) == ["Filter", "Join:left", "LocalData", "LocalData"]


def test_a_left_join_takes_conditions_on_its_left_side() -> None:
    left, (a,) = table("a")
    right, (b,) = table("b")
    join = logical.Join(left, right, "left", call_and(compare("==", a, b), compare(">", b, number(0))))
    pushed = push_down_filters(logical.Filter(join, compare(">", a, number(1))), None)
    assert kinds(pushed) == ["Join:left", "Filter", "LocalData", "Filter", "LocalData"]


def test_joins_are_ordered_so_that_each_has_a_condition() -> None:
    first, (a,) = table("a")
    second, (b,) = table("b")
    third, (c, d) = table("c", "d")
    crossed = logical.Join(logical.Join(first, second, "cross"), third, "cross")
    condition = call_and(compare("==", a, c), compare("==", b, d))
    pushed = push_down_filters(logical.Filter(crossed, condition), None)
    assert kinds(pushed) == ["Project", "Join:inner", "Join:inner", "LocalData", "LocalData", "LocalData"]
    assert [x.name for x in pushed.output] == ["a", "b", "c", "d"]


def test_a_filter_on_groups_goes_below_the_aggregation() -> None:
    rows, (a, _b) = table("a", "b")
    groups = logical.Aggregate(rows, (a,), (count_all(),))
    n = groups.output[1]
    condition = call_and(compare(">", a, number(1)), compare(">", n, number(2)))
    pushed = push_down_filters(logical.Filter(groups, condition), None)
    assert kinds(pushed) == ["Filter", "Aggregate", "Filter", "LocalData"]


def test_a_filter_goes_into_every_child_of_a_union() -> None:
    first, (_a,) = table("a")
    second, (b,) = table("b")
    both = logical.Union((first, second), (u := column("u"),))
    pushed = push_down_filters(logical.Filter(both, compare(">", u, number(1))), None)
    assert kinds(pushed) == ["Union", "Filter", "LocalData", "Filter", "LocalData"]
    assert pushed.children[1].condition == compare(">", b, number(1))


def test_a_filter_does_not_pass_a_limit() -> None:
    rows, (a,) = table("a")
    pushed = push_down_filters(logical.Filter(logical.Limit(rows, 3), compare(">", a, number(1))), None)
    assert kinds(pushed) == ["Filter", "Limit", "LocalData"]


def test_a_chain_of_a_thousand_filters_is_one() -> None:
    plan, (a,) = table("a")
    for value in range(1000):
        plan = logical.Filter(plan, compare(">", a, number(value)))
    assert kinds(push_down_filters(plan, None)) == ["Filter", "LocalData"]
