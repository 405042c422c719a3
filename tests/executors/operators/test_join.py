"""Joins of every kind against pairs tried one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from operator_trees import ENGINES, attribute, call, rows, scan, unordered

from voltray.proto.expressions import Expression
from voltray.proto.failures import SparkError
from voltray.proto.operators import Deduplicate, Filter, HashJoin, Limit, NestedLoopJoin, Project
from voltray.proto.types import BOOLEAN

A, B, X, Y, EXISTS = attribute("a"), attribute("b"), attribute("x"), attribute("y"), attribute("e", BOOLEAN)
LEFT_ROWS = [(1, 10), (1, 20), (2, 30), (None, 40), (4, None)]
RIGHT_ROWS = [(1, 10), (1, 11), (2, 99), (None, 40), (5, 7)]
LEFT, RIGHT = scan((A, B), LEFT_ROWS), scan((X, Y), RIGHT_ROWS)
AT_MOST = call("<=", B, Y)
KINDS = ("inner", "left", "right", "full", "left_semi", "left_anti", "existence")
Pair = Callable[[tuple, tuple], bool]


def expected(kind: str, matches: Pair) -> list[str]:
    found: list[tuple] = []
    used: set[int] = set()
    for left in LEFT_ROWS:
        partners = [i for i, right in enumerate(RIGHT_ROWS) if matches(left, right)]
        used |= set(partners)
        if kind in ("inner", "left", "right", "full"):
            found += [left + RIGHT_ROWS[i] for i in partners]
            if not partners and kind in ("left", "full"):
                found.append((*left, None, None))
        elif kind == "existence":
            found.append((*left, bool(partners)))
        elif bool(partners) == (kind == "left_semi"):
            found.append(left)
    if kind in ("right", "full"):
        found += [(None, None, *r) for i, r in enumerate(RIGHT_ROWS) if i not in used]
    return unordered(found)


def at_most(left: tuple, right: tuple) -> bool:
    return left[1] is not None and right[1] is not None and left[1] <= right[1]


def hash_join(kind: str, null_safe: bool = False, condition: Expression | None = None) -> HashJoin:
    exists = EXISTS if kind == "existence" else None
    return HashJoin(LEFT, RIGHT, kind, (A,), (X,), (null_safe,), (A, B), (X, Y), condition, exists)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("null_safe", [False, True])
@pytest.mark.parametrize("condition", [None, AT_MOST], ids=["keys", "condition"])
def test_hash_join(kind: str, null_safe: bool, condition: Expression | None, engine: str) -> None:
    def matches(left: tuple, right: tuple) -> bool:
        equal = left[0] == right[0] and (null_safe or left[0] is not None)
        return equal and (condition is None or at_most(left, right))

    assert unordered(rows(hash_join(kind, null_safe, condition), engine)) == expected(kind, matches)


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_and_null_safe_keys_together(kind: str) -> None:
    exists = EXISTS if kind == "existence" else None
    join = HashJoin(LEFT, RIGHT, kind, (A, B), (X, Y), (True, False), (A, B), (X, Y), None, exists)
    same = lambda left, right: left == right and left[1] is not None  # noqa: E731
    assert unordered(rows(join)) == expected(kind, same)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("condition", [None, AT_MOST], ids=["all", "condition"])
def test_nested_loop_join(kind: str, condition: Expression | None, engine: str) -> None:
    exists = EXISTS if kind == "existence" else None
    join = NestedLoopJoin(LEFT, RIGHT, kind, (A, B), (X, Y), condition, exists)
    matches: Pair = at_most if condition is not None else lambda left, right: True
    assert unordered(rows(join, engine)) == expected(kind, matches)


def test_inputs_without_columns_keep_their_rows() -> None:
    assert len(rows(NestedLoopJoin(Project(LEFT, ()), Project(RIGHT, ()), "cross", (), ()))) == 25
    assert len(rows(NestedLoopJoin(Project(LEFT, ()), RIGHT, "left", (), (X,)))) == 25


def test_not_in() -> None:
    def not_in(right: object) -> list[tuple]:
        join = HashJoin(LEFT, right, "left_anti", (A,), (X,), (False,), (A, B), (X, Y), null_aware=True)  # type: ignore[arg-type]
        return rows(join)

    assert not_in(RIGHT) == []
    assert not_in(Filter(RIGHT, call("isnotnull", X))) == [(4, None)]
    assert not_in(Limit(RIGHT, 0)) == LEFT_ROWS


def test_a_scalar_subquery_gives_one_row_at_most() -> None:
    join = HashJoin(LEFT, RIGHT, "left_single", (A,), (X,), (False,), (A, B), (X, Y))
    with pytest.raises(SparkError) as failure:
        rows(join)
    assert failure.value.condition == "SCALAR_SUBQUERY_TOO_MANY_ROWS"
    single = HashJoin(LEFT, Deduplicate(RIGHT, (X,)), "left_single", (A,), (X,), (False,), (A, B), (X, Y))
    assert rows(single)[2:] == [(2, 30, 2, 99), (None, 40, None, None), (4, None, None, None)]
