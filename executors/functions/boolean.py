"""Three-valued logic: and, or, not. The right side counts only for rows that the left one leaves open."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.evaluation import NEVER, Evaluation
from voltray.executors.functions.raising import may_raise
from voltray.executors.functions.registry import BOOLEAN_INPUT, Function, parameters
from voltray.proto.expressions import Call, Expression
from voltray.proto.types import BOOLEAN


def _flattened(name: str, args: tuple[Expression, ...]) -> list[Expression]:
    """Operands of a chain of one operator, left to right, without recursion."""
    found: list[Expression] = []
    stack = list(reversed(args))
    while stack:
        node = stack.pop()
        if isinstance(node, Call) and node.name == name:
            stack.extend(reversed(node.args))
        else:
            found.append(node)
    return found


def _chain(evaluation: Evaluation, args: tuple[Expression, ...], conjunction: bool) -> pl.Expr:
    operands = _flattened("and" if conjunction else "or", args)
    compiled: list[pl.Expr] = []
    for position, operand in enumerate(operands):
        open_rows = _open_rows(evaluation, operands[:position], conjunction) if may_raise(operand) else None
        compiled.append(evaluation.compile(operand, open_rows))
    return _balanced(compiled, conjunction)


def _balanced(operands: list[pl.Expr], conjunction: bool) -> pl.Expr:
    """A shallow tree: chains of thousands must not nest thousands deep."""
    while len(operands) > 1:
        pairs = [operands[i : i + 2] for i in range(0, len(operands), 2)]
        operands = [p[0] if len(p) == 1 else (p[0] & p[1] if conjunction else p[0] | p[1]) for p in pairs]
    return operands[0]


def _open_rows(evaluation: Evaluation, before: list[Expression], conjunction: bool) -> pl.Expr | None:
    """Rows that the operands before leave undecided."""
    if not before:
        return None
    decided = _balanced([evaluation.compile(b, NEVER) for b in before], conjunction)
    return decided.fill_null(True) if conjunction else ~decided.fill_null(False)


def _and(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    return _chain(evaluation, args, True)


def _or(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    return _chain(evaluation, args, False)


def _not(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return ~value


_BOTH = parameters(("left", BOOLEAN_INPUT), ("right", BOOLEAN_INPUT))

FUNCTIONS: tuple[Function, ...] = (
    Function(("and",), _BOTH, BOOLEAN, lazy_body=_and, display=lambda n: f"({n[0]} AND {n[1]})"),
    Function(("or",), _BOTH, BOOLEAN, lazy_body=_or, display=lambda n: f"({n[0]} OR {n[1]})"),
    Function(("not", "!"), parameters(("expr", BOOLEAN_INPUT)), BOOLEAN, _not, display=lambda n: f"(NOT {n[0]})"),
)
