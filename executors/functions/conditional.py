"""Choices: when, if, coalesce and their kin. A branch is evaluated, and may raise, only for rows that take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from voltray.executors.functions.comparison import compare
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows, columnwise
from voltray.executors.functions.raising import may_raise
from voltray.executors.functions.registry import (
    ANY,
    BOOLEAN_INPUT,
    Function,
    Parameter,
    Signature,
    always_nullable,
    common,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import INTEGER, DataType, carrier

Branches = list[tuple[Expression, Expression]]


def _choose(evaluation: Evaluation, branches: Branches, otherwise: Expression | None) -> pl.Expr:
    """CASE: the first branch whose condition holds."""
    before: list[Expression] = []
    compiled: list[tuple[pl.Expr, pl.Expr]] = []
    for condition, value in branches:
        test = evaluation.compile(condition, _none_held(evaluation, before) if may_raise(condition) else None)
        guard = _taken(evaluation, before, condition) if may_raise(value) else None
        compiled.append((test, evaluation.compile(value, guard)))
        before.append(condition)
    if otherwise is None:
        last = pl.lit(None, carrier(evaluation.call.dtype))
    else:
        last = evaluation.compile(otherwise, _none_held(evaluation, before) if may_raise(otherwise) else None)
    values = [value for _, value in branches] + ([] if otherwise is None else [otherwise])
    if any(may_raise(v) for v in (*values, *before[1:])):
        return chosen_outside(evaluation, compiled, last)
    return _chain(compiled, last)


def _chain(branches: list[tuple[pl.Expr, pl.Expr]], last: pl.Expr) -> pl.Expr:
    chain: Any = pl
    for test, chosen in branches:
        chain = chain.when(test).then(chosen)
    return chain.otherwise(last)  # type: ignore[no-any-return]


def chosen_outside(evaluation: Evaluation, branches: list[tuple[pl.Expr, pl.Expr]], last: pl.Expr) -> pl.Expr:
    """CASE over branches that were evaluated whole.

    Polars evaluates the branches of its own ``when`` on columns nulled where another branch is taken: there a guard
    that asks "was the condition before not true?" would hold for the wrong rows.
    """

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        names = [str(i) for i in range(len(columns))]
        frame = pl.DataFrame([c.alias(n) for n, c in zip(names, columns, strict=True)])
        pairs = [(pl.col(t), pl.col(v)) for t, v in zip(names[0:-1:2], names[1:-1:2], strict=True)]
        return frame.select(_chain(pairs, pl.col(names[-1]))).to_series()

    parts = [part for branch in branches for part in branch]
    return columnwise(run, None, (*parts, last), carrier(evaluation.call.dtype))


def _none_held(evaluation: Evaluation, conditions: list[Expression]) -> pl.Expr | None:
    if not conditions:
        return None
    held = [evaluation.compile(c, NEVER).fill_null(False) for c in conditions]
    return ~pl.any_horizontal(held) if len(held) > 1 else ~held[0]


def _taken(evaluation: Evaluation, before: list[Expression], condition: Expression) -> pl.Expr:
    holds = evaluation.compile(condition, NEVER).fill_null(False)
    none_before = _none_held(evaluation, before)
    return holds if none_before is None else none_before & holds


def _when(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    pairs = list(zip(args[0::2], args[1::2], strict=False))
    return _choose(evaluation, pairs, args[-1] if len(args) % 2 else None)


def _if(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    condition, value, otherwise = args
    return _choose(evaluation, [(condition, value)], otherwise)


def _coalesce(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    compiled: list[pl.Expr] = []
    for position, value in enumerate(args):
        guard = None
        if position and may_raise(value):
            missing = [evaluation.compile(a, NEVER).is_null() for a in args[:position]]
            guard = pl.all_horizontal(missing) if len(missing) > 1 else missing[0]
        compiled.append(evaluation.compile(value, guard))
    if any(may_raise(a) for a in args[1:]):
        branches = [(value.is_not_null(), value) for value in compiled[:-1]]
        return chosen_outside(evaluation, branches, compiled[-1])
    return pl.coalesce(compiled) if len(compiled) > 1 else compiled[0]


def _nvl2(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    tested, value, otherwise = args
    present = evaluation.compile(tested)
    quiet = evaluation.compile(tested, NEVER)
    first = evaluation.compile(value, quiet.is_not_null() if may_raise(value) else None)
    second = evaluation.compile(otherwise, quiet.is_null() if may_raise(otherwise) else None)
    branches = [(present.is_not_null(), first)]
    if may_raise(value) or may_raise(otherwise):
        return chosen_outside(evaluation, branches, second)
    return _chain(branches, second)


def _nullif(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    equal = compare("==", dtype_of(evaluation.call.args[0]), left, right)
    return pl.when(equal.fill_null(False)).then(None).otherwise(left)


def _resolve_nullif(resolution: Any) -> Expression:
    """The first argument's type stays, whatever the two are compared as."""
    first, second = resolution.args
    equal = resolution.function_of("==", first, second)
    return resolution.function_of("if", equal, Literal(None, dtype_of(first)), first)  # type: ignore[no-any-return]


def _resolve_null_if_zero(resolution: Any) -> Expression:
    """The argument's type stays, whatever it is compared with 0 as."""
    value = resolution.args[0]
    equal = resolution.function_of("==", value, Literal(0, INTEGER))
    return resolution.function_of("if", equal, Literal(None, dtype_of(value)), value)  # type: ignore[no-any-return]


def _resolve_zero_if_null(resolution: Any) -> Expression:
    return resolution.function_of("nvl", resolution.args[0], Literal(0, INTEGER))  # type: ignore[no-any-return]


# ---- types --------------------------------------------------------------------------------------------
def _type_of(position: int) -> Callable[[tuple[Expression, ...]], DataType]:
    return lambda args: dtype_of(args[position])


def _when_nullable(args: tuple[Expression, ...]) -> bool:
    for condition, value in zip(args[0::2], args[1::2], strict=False):
        if nullable_of(value):
            return True
        if isinstance(condition, Literal) and condition.value is True:
            return False  # what stands behind is never reached
    return len(args) % 2 == 0 or nullable_of(args[-1])


def _branches_nullable(args: tuple[Expression, ...]) -> bool:
    return any(nullable_of(a) for a in args[1:])


def _all_nullable(args: tuple[Expression, ...]) -> bool:
    return all(nullable_of(a) for a in args)


def case_name(names: tuple[str, ...]) -> str:
    """``CASE WHEN c THEN v ... ELSE e END``."""
    parts = [f"WHEN {c} THEN {v}" for c, v in zip(names[0::2], names[1::2], strict=False)]
    ending = f" ELSE {names[-1]}" if len(names) % 2 else ""
    return f"CASE {' '.join(parts)}{ending} END"


_T = common("T")
# Unlike AND and NOT these take no string for a condition.
_CONDITION = replace(BOOLEAN_INPUT, strict=True)
_WHEN = Signature((Parameter("condition", _CONDITION), Parameter("value", _T)), repeated=2, minimum=2)
_IF = parameters(("expr1", _CONDITION), ("expr2", _T), ("expr3", _T))
_COALESCE = Signature((Parameter("expr", _T),), repeated=1, minimum=1)
_PAIR = parameters(("expr1", ANY), ("expr2", ANY))
_TWO = parameters(("expr1", _T), ("expr2", _T))

FUNCTIONS: tuple[Function, ...] = (
    Function(("when",), _WHEN, _type_of(1), lazy_body=_when, nullable=_when_nullable, display=case_name),
    Function(
        ("if",), _IF, _type_of(1), lazy_body=_if, nullable=_branches_nullable,
        display=lambda n: f"(IF({n[0]}, {n[1]}, {n[2]}))",
    ),
    Function(("coalesce",), _COALESCE, _type_of(0), lazy_body=_coalesce, nullable=_all_nullable),
    Function(("nvl",), _TWO, _type_of(0), lazy_body=_coalesce, nullable=_all_nullable),
    Function(("ifnull",), _TWO, _type_of(0), lazy_body=_coalesce, nullable=_all_nullable),
    Function(
        ("nvl2",), parameters(("expr1", ANY), ("expr2", _T), ("expr3", _T)), _type_of(1), lazy_body=_nvl2,
        nullable=_branches_nullable,
    ),
    Function(("nullif",), _PAIR, _type_of(0), _nullif, resolve=_resolve_nullif, nullable=always_nullable),
    Function(
        ("nullifzero",), parameters(("expr", ANY)), _type_of(0), resolve=_resolve_null_if_zero,
        nullable=always_nullable,
    ),
    Function(("zeroifnull",), parameters(("expr", ANY)), _type_of(0), resolve=_resolve_zero_if_null),
)  # fmt: skip
