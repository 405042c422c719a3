"""Equi-joins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.operators.columns import keep, names_of
from voltray.executors.operators.join_rows import JoinSides, join_by_pairs
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import Attribute, references
from voltray.proto.operators import HashJoin
from voltray.proto.types import carrier

_FLAG, _ROWS, _NULLS = "#flag", "#rows", "#nulls"
_MARK = "#null key"
# Kinds whose right rows may be dropped before they meet a left row, when the condition is about them alone.
_RIGHT_FILTERS = frozenset({"inner", "left", "left_semi", "left_anti", "existence", "left_single"})


@dataclass(frozen=True, slots=True)
class _Keys:
    """The inputs with key columns beside their own, and how Polars is to join them."""

    left: pl.LazyFrame
    right: pl.LazyFrame
    left_on: list[str]
    right_on: list[str]
    nulls_equal: bool
    ordered: bool

    def join(self, left: pl.LazyFrame, right: pl.LazyFrame, how: str, order: str = "left_right") -> pl.LazyFrame:
        """Polars' own join on the keys, both sides' key columns kept."""
        return left.join(
            right,
            left_on=self.left_on,
            right_on=self.right_on,
            how=how,  # type: ignore[arg-type]
            nulls_equal=self.nulls_equal,
            coalesce=None if how in ("semi", "anti") else False,
            maintain_order=order if self.ordered else "none",  # type: ignore[arg-type]
        )


def compile_hash_join(operator: HashJoin, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Polars' join where keys alone decide, else by way of matching pairs."""
    left, right = keep(children[0], operator.left_output), keep(children[1], operator.right_output)
    if operator.null_aware:
        return _null_aware_anti(operator, left, right, task)
    condition = operator.condition
    if condition is not None and operator.kind in _RIGHT_FILTERS:
        about_right = references(condition) <= {a.expr_id for a in operator.right_output}
        if about_right:
            right, condition = right.filter(compile_expression(condition, task.evaluation)), None
    keys = _keys(operator, left, right, task.ordered)
    if condition is None and operator.kind in _BY_KEYS:
        return _BY_KEYS[operator.kind](operator, keys)
    compiled = None if condition is None else compile_expression(condition, task.evaluation)

    def pairs(ours: pl.LazyFrame, theirs: pl.LazyFrame) -> pl.LazyFrame:
        matched = keys.join(ours, theirs, "inner")
        return matched if compiled is None else matched.filter(compiled)

    sides = JoinSides(
        keys.left,
        keys.right,
        names_of(operator.left_output),
        names_of(operator.right_output),
        pairs,
        None if operator.exists is None else operator.exists.column,
    )
    return join_by_pairs(operator.kind, sides)


def _keys(operator: HashJoin, left: pl.LazyFrame, right: pl.LazyFrame, ordered: bool) -> _Keys:
    left_on, right_on = [a.column for a in operator.left_keys], [a.column for a in operator.right_keys]
    extra: list[pl.Expr] = []
    for position, (ours, theirs) in enumerate(zip(operator.left_keys, operator.right_keys, strict=True)):
        wanted = carrier(ours.dtype)
        if carrier(theirs.dtype) != wanted:
            right_on[position] = f"#key{position}"
            extra.append(pl.col(theirs.column).cast(wanted).alias(right_on[position]))
    if extra:
        right = right.with_columns(extra)
    safe = operator.null_safe or (False,) * len(left_on)
    if any(safe) and not all(safe):
        left = left.with_columns(_mark(operator.left_keys, safe, 1))
        right = right.with_columns(_mark(operator.right_keys, safe, 2).alias(_MARK + "2"))
        left_on, right_on = [*left_on, _MARK], [*right_on, _MARK + "2"]
    return _Keys(left, right, left_on, right_on, bool(safe) and any(safe), ordered)


def _mark(keys: tuple[Attribute, ...], safe: tuple[bool, ...], number: int) -> pl.Expr:
    """A key that keeps a row with NULL in an ordinary key apart, where Polars takes NULLs as equal for <=>."""
    missing = pl.any_horizontal([pl.col(k.column).is_null() for k, s in zip(keys, safe, strict=True) if not s])
    return pl.when(missing).then(number).otherwise(0).cast(pl.Int8).alias(_MARK)


# ---- kinds that the keys alone decide ---------------------------------------------------------------
def _both(operator: HashJoin, keys: _Keys, how: str, order: str) -> pl.LazyFrame:
    columns = [*names_of(operator.left_output), *names_of(operator.right_output)]
    return keys.join(keys.left, keys.right, how, order).select(columns)


def _one_side(operator: HashJoin, keys: _Keys, how: str) -> pl.LazyFrame:
    return keys.join(keys.left, keys.right, how, "left").select(names_of(operator.left_output))


def _existence(operator: HashJoin, keys: _Keys) -> pl.LazyFrame:
    assert operator.exists is not None
    known = keys.right.select(list(dict.fromkeys(keys.right_on))).unique().with_columns(pl.lit(True).alias(_FLAG))
    joined = keys.join(keys.left, known, "left", "left")
    flag = pl.col(_FLAG).fill_null(False).alias(operator.exists.column)
    return joined.select([*names_of(operator.left_output), flag])


_BY_KEYS: dict[str, Callable[[HashJoin, _Keys], pl.LazyFrame]] = {
    "inner": lambda operator, keys: _both(operator, keys, "inner", "left_right"),
    "cross": lambda operator, keys: _both(operator, keys, "inner", "left_right"),
    "left": lambda operator, keys: _both(operator, keys, "left", "left_right"),
    "right": lambda operator, keys: _both(operator, keys, "right", "right_left"),
    "full": lambda operator, keys: _both(operator, keys, "full", "left_right"),
    "left_semi": lambda operator, keys: _one_side(operator, keys, "semi"),
    "left_anti": lambda operator, keys: _one_side(operator, keys, "anti"),
    "existence": _existence,
}


# ---- NOT IN -----------------------------------------------------------------------------------------
def _null_aware_anti(operator: HashJoin, left: pl.LazyFrame, right: pl.LazyFrame, task: TaskContext) -> pl.LazyFrame:
    """A left row stays only where it is surely in no pair: any NULL on either side leaves that unknown."""
    ours, theirs = operator.left_keys[0].column, operator.right_keys[0].column
    columns = names_of(operator.left_output)
    if operator.condition is not None or len(operator.left_keys) > 1:
        equal = pl.lit(True)
        for a, b in zip(operator.left_keys, operator.right_keys, strict=True):
            same = pl.col(a.column).eq(pl.col(b.column))
            equal = equal & same.fill_null(True)
        if operator.condition is not None:
            equal = equal & compile_expression(operator.condition, task.evaluation)
        sides = JoinSides(
            left, right, columns, names_of(operator.right_output),
            lambda one, other: one.join(other, how="cross").filter(equal),
        )  # fmt: skip
        return join_by_pairs("left_anti", sides)
    facts = right.select(pl.len().alias(_ROWS), pl.col(theirs).null_count().alias(_NULLS))
    apart = left.join(right, left_on=ours, right_on=theirs, how="anti", maintain_order="left")
    certain = (pl.col(_ROWS) == 0) | ((pl.col(_NULLS) == 0) & pl.col(ours).is_not_null())
    return apart.join(facts, how="cross").filter(certain).select(columns)
