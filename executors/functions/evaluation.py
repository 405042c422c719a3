"""Turning resolved expressions into Polars expressions, with Spark's lazy errors.

Polars evaluates every branch for every row; Spark raises an error only for rows that reach it. So each
compilation carries a *guard*, a boolean Polars expression of the rows that Spark would evaluate (None: all
of them), and a check raises only where the guard holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from voltray.proto.expressions import AggregateCall, Call, Expression
from voltray.proto.failures import SparkError

ErrorOf = Callable[..., SparkError]


@dataclass(frozen=True, slots=True)
class EvaluationContext:
    """What the session decides of an evaluation; travels with each task."""

    time_zone: str = "UTC"
    ansi: bool = True
    now_micros: int = 0
    """The query's start: current_timestamp() is one instant for a whole query."""
    confs: tuple[tuple[str, str], ...] = ()
    """Confs that bodies read (names in ``planning.settings``), such as spark.sql.legacy.timeParserPolicy."""
    partition_id: int = 0

    def conf(self, name: str, default: str = "") -> str:
        """One of the confs that travelled with the task."""
        return dict(self.confs).get(name, default)


Compiler = Callable[[Expression, EvaluationContext, "pl.Expr | None"], pl.Expr]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a body gets beside its arguments: the call, the session's context, the guard and the compiler."""

    call: Call | AggregateCall
    context: EvaluationContext
    guard: pl.Expr | None = None
    compiler: Compiler | None = field(default=None, repr=False)
    lambda_columns: tuple[tuple[int, pl.Expr], ...] = ()

    def compile(self, expression: Expression, guard: pl.Expr | None = None) -> pl.Expr:
        """Compile an argument, for the rows of this call's guard that also hold ``guard``."""
        assert self.compiler is not None
        both = guard if self.guard is None else self.guard if guard is None else self.guard & guard
        return self.compiler(expression, self.context, both)

    def checked(self, value: pl.Expr, bad: pl.Expr, error: ErrorOf, *shown: pl.Expr) -> pl.Expr:
        """``value``, or ``error(*cells)`` raised when ``bad`` holds for a guarded row.

        ``shown`` are columns whose cells in the first bad row are given to ``error``.
        """
        bad_rows = bad if self.guard is None else bad & self.guard

        def check(columns: list[pl.Series]) -> pl.Series:
            flags = columns[1]
            if flags.dtype == pl.Boolean and flags.any():
                row = int(flags.fill_null(False).arg_max() or 0)
                raise error(*[c[row if len(c) > 1 else 0] for c in columns[2:]])
            return columns[0]

        return pl.map_batches(  # returns the first column untouched, so its dtype is that of `value`
            [value, bad_rows, *shown], check, is_elementwise=True
        )

    def with_call(self, call: Call | AggregateCall) -> Evaluation:
        """The same surroundings for another call."""
        return replace(self, call=call)


def option_of(call: Call | AggregateCall, name: str, default: Any = None) -> Any:
    """An option of a call by name."""
    return dict(call.options).get(name, default)
