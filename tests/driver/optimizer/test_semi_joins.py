"""Semi joins and the aggregates of decorrelated subqueries see few rows; common subplans are computed once."""

from __future__ import annotations

from tests.driver.optimizer.plans import alias, column, compare, count_all, kinds, number
from voltray.driver.optimizer.push_down_semi_joins import push_down_semi_joins
from voltray.driver.optimizer.restrict_grouped_subqueries import restrict_grouped_subqueries
from voltray.driver.optimizer.share_common_subplans import share_common_subplans
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import Attribute, Call
from voltray.proto.types import DOUBLE


def numbers(name: str, count: int) -> tuple[logical.Range, Attribute]:
    """A range and its column."""
    found = column(name)
    return logical.Range((found,), 0, count), found


def few_of(plan: LogicalPlan, attribute: Attribute) -> logical.Filter:
    """A twentieth of the rows."""
    return logical.Filter(plan, compare("==", attribute, number(3)))


def test_a_semi_join_with_few_keys_goes_below_the_joins_of_its_side() -> None:
    (orders, o), (lines, i), (customers, c), (keys, k) = (numbers(n, 10_000) for n in "olck")
    joined = logical.Join(logical.Join(customers, orders, "inner", compare("==", c, o)), lines, "inner",
                          compare("==", o, i))  # fmt: skip
    semi = logical.Join(joined, few_of(keys, k), "left_semi", compare("==", o, k))
    moved = push_down_semi_joins(semi, None)
    assert kinds(moved) == ["Join:inner", "Join:inner", "Range", "Join:left_semi", "Range", "Filter", "Range", "Range"]
    assert moved.output == semi.output


def test_a_semi_join_with_many_keys_stays_above_joins_that_thin_out() -> None:
    (lines, i), (orders, o), (keys, k) = (numbers(n, 10_000) for n in "lok")
    joined = logical.Join(lines, few_of(orders, o), "inner", compare("==", i, o))
    semi = logical.Join(joined, keys, "left_semi", compare("==", i, k))
    assert push_down_semi_joins(semi, None) == semi


def test_a_semi_join_on_both_sides_of_a_join_stays() -> None:
    (left, a), (right, b), (keys, k) = (numbers(n, 10_000) for n in "abk")
    both = compare("==", Call("+", (a, b), a.dtype, True), k)
    semi = logical.Join(logical.Join(left, right, "inner", compare("==", a, b)), few_of(keys, k), "left_semi", both)
    assert push_down_semi_joins(semi, None) == semi


def test_an_aggregate_is_restricted_to_the_groups_that_a_filtered_table_can_ask_for() -> None:
    (lines, i), (parts, p), (inner, n) = (numbers(name, 10_000) for name in "lpn")
    asking = logical.Join(lines, few_of(parts, p), "inner", compare("==", i, p))
    grouped = logical.Aggregate(inner, (n,), (count_all(),))
    plan = logical.Join(asking, grouped, "left", compare("==", i, n))
    restricted = restrict_grouped_subqueries(plan, None)
    assert kinds(restricted.right) == ["Aggregate", "Join:left_semi", "Range", "Project", "Filter", "Range"]
    assert restricted.output == plan.output
    # Without a filter there is nothing to gain, and a full join asks for every group.
    assert restrict_grouped_subqueries(logical.Join(lines, grouped, "left", compare("==", i, n)), None).right is grouped
    full = logical.Join(asking, grouped, "full", compare("==", i, n))
    assert restrict_grouped_subqueries(full, None) is full


def grouped_numbers(value: Call | None = None) -> LogicalPlan:
    """Counts of a range by its column, or by another value."""
    source, n = numbers("n", 100)
    items = (n,) if value is None else (alias(value, "v"),)
    below = logical.Project(source, items)
    return logical.Aggregate(below, below.output, (count_all(),))


def test_the_same_aggregate_twice_is_one() -> None:
    first, second = grouped_numbers(), grouped_numbers()
    plan = logical.Join(first, second, "inner", compare("==", first.output[0], second.output[0]))
    shared = share_common_subplans(plan, None)
    assert shared.right.child is shared.left
    assert shared.output == plan.output


def test_random_aggregates_stay_two() -> None:
    first, second = (grouped_numbers(Call("rand", (number(1),), DOUBLE, False)) for _ in range(2))
    plan = logical.Join(first, second, "inner", compare("==", first.output[0], second.output[0]))
    assert share_common_subplans(plan, None) is plan
