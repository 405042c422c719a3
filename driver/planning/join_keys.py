"""Equalities of a join condition as key columns of either side, and what is left of the condition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voltray.driver.plan.predicates import conjunction, conjuncts
from voltray.proto.expressions import Alias, Attribute, Call, Expression, new_id, references, to_attribute

_EQUALITIES = {"==": False, "<=>": True}


@dataclass(frozen=True, slots=True)
class JoinKeys:
    """Key pairs; ``left_added`` and ``right_added`` are keys that must be computed below the join first."""

    left: tuple[Attribute, ...]
    right: tuple[Attribute, ...]
    null_safe: tuple[bool, ...]
    left_added: tuple[Alias, ...]
    right_added: tuple[Alias, ...]
    residual: Expression | None


def join_keys(condition: Expression | None, left: tuple[Attribute, ...], right: tuple[Attribute, ...]) -> JoinKeys:
    """Split a join's condition."""
    left_ids, right_ids = _ids(left), _ids(right)
    pairs: list[tuple[Expression, Expression, bool]] = []
    rest: list[Expression] = []
    for part in conjuncts(condition):
        pair = _pair(part, left_ids, right_ids)
        if pair is None:
            rest.append(part)
        else:
            pairs.append(pair)
    pairs = _once(pairs)
    left_keys, left_added = _as_columns([p[0] for p in pairs])
    right_keys, right_added = _as_columns([p[1] for p in pairs])
    null_safe = tuple([p[2] for p in pairs])
    return JoinKeys(left_keys, right_keys, null_safe, left_added, right_added, conjunction(rest))


def _once(pairs: list[tuple[Expression, Expression, bool]]) -> list[tuple[Expression, Expression, bool]]:
    """Each pair once; where it is compared both ways, NULL does not equal NULL."""
    null_safe: dict[tuple[int, int], bool] = {}
    kept: list[tuple[Expression, Expression, bool]] = []
    for left, right, is_safe in pairs:
        if isinstance(left, Attribute) and isinstance(right, Attribute):
            key = (left.expr_id, right.expr_id)
            if key in null_safe:
                null_safe[key] = null_safe[key] and is_safe
                continue
            null_safe[key] = is_safe
        kept.append((left, right, is_safe))
    return [(a, b, null_safe.get((getattr(a, "expr_id", -1), getattr(b, "expr_id", -1)), s)) for a, b, s in kept]


def _ids(attributes: Iterable[Attribute]) -> frozenset[int]:
    return frozenset([a.expr_id for a in attributes])


def _pair(part: Expression, left: frozenset[int], right: frozenset[int]) -> tuple[Expression, Expression, bool] | None:
    if not isinstance(part, Call) or part.name not in _EQUALITIES:
        return None
    first, second = part.args
    first_reads, second_reads = references(first), references(second)
    if not first_reads or not second_reads:
        return None
    if first_reads <= left and second_reads <= right:
        return first, second, _EQUALITIES[part.name]
    if first_reads <= right and second_reads <= left:
        return second, first, _EQUALITIES[part.name]
    return None


def _as_columns(keys: list[Expression]) -> tuple[tuple[Attribute, ...], tuple[Alias, ...]]:
    columns: list[Attribute] = []
    added: list[Alias] = []
    for key in keys:
        if isinstance(key, Attribute):
            columns.append(key)
        else:
            alias = Alias(key, "key", new_id())
            added.append(alias)
            columns.append(to_attribute(alias))
    return tuple(columns), tuple(added)
