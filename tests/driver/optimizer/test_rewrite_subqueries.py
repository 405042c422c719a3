"""Subqueries become joins without outer references."""

from __future__ import annotations

import pytest

from tests.driver.optimizer.plans import alias, compare, count_all, kinds, number, outer, plus, table
from voltray.driver.optimizer.rewrite_subqueries import rewrite_subqueries
from voltray.driver.optimizer.traversal import outer_attributes
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import call_not, call_or
from voltray.proto.expressions import (
    AggregateCall,
    Attribute,
    ExistsSubquery,
    InSubquery,
    ScalarSubquery,
    SortOrder,
)
from voltray.proto.types import LONG


def rewritten(plan: LogicalPlan) -> LogicalPlan:
    """The plan without subqueries, which must have the same output and no outer references."""
    result = rewrite_subqueries(plan, None)
    assert [a.expr_id for a in result.output] == [a.expr_id for a in plan.output]
    assert not outer_attributes(result)
    return result


def matches(a: Attribute) -> tuple[LogicalPlan, Attribute]:
    """A correlated subquery: rows of another table whose b equals a."""
    inner, (b, c) = table("b", "c")
    return logical.Filter(inner, compare("==", b, outer(a))), c


def test_exists_is_a_semi_join() -> None:
    rows, (a,) = table("a")
    subquery, _ = matches(a)
    assert kinds(rewritten(logical.Filter(rows, ExistsSubquery(subquery))))[0] == "Join:left_semi"


def test_not_exists_is_an_anti_join() -> None:
    rows, (a,) = table("a")
    subquery, _ = matches(a)
    result = rewritten(logical.Filter(rows, call_not(ExistsSubquery(subquery))))
    assert isinstance(result, logical.Join) and result.kind == "left_anti" and not result.null_aware


def test_not_in_is_null_aware() -> None:
    rows, (a,) = table("a")
    inner, _ = table("b")
    result = rewritten(logical.Filter(rows, call_not(InSubquery((a,), inner))))
    assert isinstance(result, logical.Join) and result.kind == "left_anti" and result.null_aware


def test_exists_under_or_is_an_existence_join() -> None:
    rows, (a,) = table("a")
    subquery, _ = matches(a)
    condition = call_or(compare(">", a, number(1)), ExistsSubquery(subquery))
    assert kinds(rewritten(logical.Filter(rows, condition)))[:3] == ["Project", "Filter", "Join:existence"]


def test_an_independent_aggregate_is_a_cross_join() -> None:
    rows, (a,) = table("a")
    inner, (b,) = table("b")
    largest = logical.Aggregate(inner, (), (alias(AggregateCall("max", (b,), LONG), "m"),))
    result = rewritten(logical.Filter(rows, compare("==", a, ScalarSubquery(largest, LONG))))
    assert kinds(result)[:3] == ["Project", "Filter", "Join:cross"]


def test_a_correlated_aggregate_is_grouped_by_what_ties_it() -> None:
    rows, (a,) = table("a")
    subquery, c = matches(a)
    largest = logical.Aggregate(subquery, (), (alias(AggregateCall("max", (c,), LONG), "m"),))
    result = rewritten(logical.Project(rows, (a, alias(ScalarSubquery(largest, LONG), "m"))))
    assert kinds(result)[:5] == ["Project", "Join:left", "LocalData", "Project", "Aggregate"]


def test_a_count_is_zero_where_nothing_matches() -> None:
    rows, (a,) = table("a")
    subquery, _ = matches(a)
    counted = logical.Aggregate(subquery, (), (count_all(),))
    result = rewritten(logical.Project(rows, (a, alias(ScalarSubquery(counted, LONG), "n"))))
    assert isinstance(result, logical.Project)
    assert result.items[1].child.name == "if"


def test_a_subquery_of_rows_must_give_one() -> None:
    rows, (a,) = table("a")
    subquery, c = matches(a)
    result = rewritten(logical.Project(rows, (alias(ScalarSubquery(logical.Project(subquery, (c,)), LONG), "c"),)))
    assert kinds(result)[:2] == ["Project", "Join:left_single"]


def test_a_limit_inside_counts_for_each_outer_row() -> None:
    rows, (a,) = table("a")
    subquery, c = matches(a)
    first = logical.Limit(logical.Sort(logical.Project(subquery, (c,)), (SortOrder(c),)), 1)
    result = rewritten(logical.Project(rows, (alias(ScalarSubquery(first, LONG), "c"),)))
    assert "Window" in kinds(result) and "Limit" not in kinds(result)


def test_a_lateral_that_computes_columns_is_a_projection() -> None:
    rows, (a,) = table("a")
    right = logical.Project(logical.OneRow(), (alias(plus(outer(a), number(1)), "b"),))
    result = rewritten(logical.Join(rows, right, "inner", lateral=True))
    assert kinds(result) == ["Project", "Join:inner", "LocalData", "OneRow"]


def test_two_levels_of_correlation() -> None:
    rows, (a,) = table("a")
    middle, (b,) = table("b")
    inner, (c,) = table("c")
    innermost = logical.Filter(inner, compare("==", c, outer(b)))
    innermost = logical.Filter(innermost, compare("==", c, outer(a)))
    exists = logical.Filter(logical.Filter(middle, compare("==", b, outer(a))), ExistsSubquery(innermost))
    result = rewritten(logical.Filter(rows, ExistsSubquery(exists)))
    assert kinds(result).count("Join:left_semi") == 2


@pytest.mark.parametrize("kind", ["intersect", "except"])
def test_set_operations_are_computed_for_each_outer_value(kind: str) -> None:
    rows, (a,) = table("a")
    first, c = matches(a)
    second, (_d,) = table("d")
    both = logical.SetOperation(logical.Project(first, (c,)), second, kind, False)
    result = rewritten(logical.Filter(rows, ExistsSubquery(both)))
    assert "SetOperation" in kinds(result)
