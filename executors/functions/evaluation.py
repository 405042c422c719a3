"""Turning resolved expressions into Polars expressions, with Spark's lazy errors.

Polars evaluates every branch for every row; Spark raises an error only for rows that reach it. So each
compilation carries a *guard*, a boolean Polars expression of the rows that Spark would evaluate (None: all
of them), and a check raises only where the guard holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from voltray.executors.functions.origins import located
from voltray.proto.expressions import AggregateCall, Call, Expression
from voltray.proto.failures import SparkError
from voltray.proto.session_files import SessionFile
from voltray.proto.types import carrier

ErrorOf = Callable[..., SparkError]
NEVER = pl.lit(False)
"""The guard of a compilation that must not raise at all (a condition evaluated once more to guard others)."""


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
    session_id: str = ""
    """Whose Python workers run user functions; none where it is empty (in the driver)."""
    query_id: str = ""
    files: tuple[SessionFile, ...] = ()
    """What the session's Python functions can import and open."""

    def conf(self, name: str, default: str = "") -> str:
        """One of the confs that travelled with the task."""
        return dict(self.confs).get(name, default)


Compiler = Callable[[Expression, EvaluationContext, "pl.Expr | None"], pl.Expr]


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a batch Spark would evaluate: all of them, or those where a guard holds."""

    guard: pl.Series | None = None

    def first(self, bad: pl.Series) -> int | None:
        """The first evaluated row where ``bad`` holds."""
        if not bad.any():
            return None
        if self.guard is not None:
            bad = bad & self.guard
            if not bad.any():
                return None
        return bad.fill_null(False).arg_max()

    def refuse(self, bad: pl.Series, error: ErrorOf, *cells: pl.Series) -> None:
        """Raise ``error(*cells of the first bad row)`` if an evaluated row is bad."""
        row = self.first(bad)
        if row is not None:
            raise error(*[c[row if len(c) > 1 else 0] for c in cells])

    def holds(self, row: int) -> bool:
        """Whether one row is evaluated."""
        return self.guard is None or bool(self.guard[row])


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
        return self.compiler(expression, self.context, both_guards(self.guard, guard))

    def checked(self, value: pl.Expr, bad: pl.Expr, error: ErrorOf, *shown: pl.Expr) -> pl.Expr:
        """``value``, or ``error(*cells)`` raised when ``bad`` holds for a guarded row.

        ``shown`` are columns whose cells in the first bad row are given to ``error``.
        """
        if self.guard is NEVER:
            return value
        bad_rows = bad if self.guard is None else bad & self.guard

        def check(columns: Sequence[pl.Series]) -> pl.Series:
            value, flags, *cells = columns
            if flags.dtype == pl.Boolean and flags.any():
                row = int(flags.fill_null(False).arg_max() or 0)
                raise located(error(*[c[row if len(c) > 1 else 0] for c in cells]), self.call)
            if len(flags) == 0:
                return value.clear()
            return value.new_from_index(0, len(flags)) if len(value) == 1 and len(flags) > 1 else value

        return pl.map_batches([value, bad_rows, *shown], check, is_elementwise=True, return_dtype=pl.dtype_of(value))

    def columnwise(
        self, function: Callable[..., pl.Series], *arguments: pl.Expr, dtype: pl.DataType | None = None
    ) -> pl.Expr:
        """``function(rows, *series)`` over whole columns of one length, for what Polars expressions cannot say.

        ``rows`` (:class:`Rows`) tells which rows may raise. The result has the carrier of the call's type unless
        ``dtype`` is given. Literals arrive as wide as the columns they stand beside.
        """
        result = dtype if dtype is not None else carrier(self.call.dtype)
        return columnwise(function, self.guard, arguments, result, self.call)

    def with_call(self, call: Call | AggregateCall) -> Evaluation:
        """The same surroundings for another call."""
        if call.origin is None and self.call.origin is not None:
            call = replace(call, origin=self.call.origin)
        return replace(self, call=call)


def both_guards(outer: pl.Expr | None, inner: pl.Expr | None) -> pl.Expr | None:
    """Rows that two guards leave."""
    if outer is NEVER or inner is NEVER:
        return NEVER
    return inner if outer is None else outer if inner is None else outer & inner


def columnwise(
    function: Callable[..., pl.Series],
    guard: pl.Expr | None,
    arguments: tuple[pl.Expr, ...],
    dtype: pl.DataType,
    call: Call | AggregateCall | None = None,
) -> pl.Expr:
    """See :meth:`Evaluation.columnwise`."""
    guarded = guard is not None

    def run(columns: Sequence[pl.Series]) -> pl.Series:
        length = _common_length(columns)
        if length == 0:
            return pl.Series([], dtype=dtype)
        wide = [c if len(c) == length else c.new_from_index(0, length) for c in columns]
        rows = Rows(wide.pop()) if guarded else _ALL_ROWS
        try:
            return function(rows, *wide)
        except SparkError as problem:
            raise located(problem, call) from None

    columns = [*arguments, guard] if guard is not None else list(arguments)
    return pl.map_batches(columns, run, is_elementwise=True, return_dtype=dtype)


def _common_length(columns: Sequence[pl.Series]) -> int:
    lengths = {len(c) for c in columns}
    return 0 if 0 in lengths else max(lengths)


_ALL_ROWS = Rows()


def option_of(call: Call | AggregateCall, name: str, default: Any = None) -> Any:
    """An option of a call by name."""
    return dict(call.options).get(name, default)
