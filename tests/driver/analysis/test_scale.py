"""Long chains, wide selects and deep expressions: analysis is linear in the plan."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.driver.analysis.support import PlainEnvironment, deeply
from voltray.driver.analysis.analyzer import analyze
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedAttribute, UnresolvedFunction
from voltray.proto.expressions import Expression, Literal
from voltray.proto.types import INTEGER


def _plus(child: Expression, value: int) -> Expression:
    return UnresolvedFunction(("+",), (child, Literal(value, INTEGER)), is_operator=True)


def _chain(length: int) -> r.Relation:
    relation: r.Relation = r.Range(0, 10, 1)
    for i in range(length):
        more = UnresolvedFunction((">",), (UnresolvedAttribute(("id",), i or None), Literal(i, INTEGER)))
        relation = r.Filter(relation, more, plan_id=i + 1) if i else r.WithColumns(relation, (), plan_id=1)
    return relation


def _columns(length: int) -> r.Relation:
    relation: r.Relation = r.Range(0, 10, 1)
    for i in range(length):
        item = UnresolvedAlias(_plus(UnresolvedAttribute(("id",)), i), (f"c{i}",))
        relation = r.WithColumns(relation, (item,))
    return relation


def _wide(length: int) -> r.Relation:
    items = [UnresolvedAlias(_plus(UnresolvedAttribute(("id",)), i), (f"c{i}",)) for i in range(length)]
    return r.Project(r.Range(0, 10, 1), tuple(items))


def _deep(length: int) -> r.Relation:
    expression: Expression = UnresolvedAttribute(("id",))
    for i in range(length):
        expression = _plus(expression, i)
    return r.Project(r.Range(0, 10, 1), (expression,))


PLANS: dict[str, Callable[[], r.Relation]] = {
    "filters": lambda: _chain(5000),
    "columns": lambda: _columns(500),
    "wide": lambda: _wide(2000),
    "deep": lambda: _deep(3000),
}


@pytest.mark.parametrize("name", list(PLANS))
def test_scale(name: str) -> None:
    relation = PLANS[name]()
    started = time.monotonic()
    plan = deeply(lambda: analyze(relation, PlainEnvironment()))
    assert time.monotonic() - started < 2
    assert plan.child is not None
