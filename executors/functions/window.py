"""Functions that stand over windows only: ranks, neighbours and the n-th value of a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions.aggregate_entries import result_of_first
from voltray.executors.functions.argument_checks import Hook, checked, in_range
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    FunctionKind,
    Parameter,
    Result,
    Signature,
    always_nullable,
    never_nullable,
)
from voltray.executors.functions.window_frames import Indices, SortedRows
from voltray.proto.expressions import Call, Expression, Literal, nullable_of
from voltray.proto.types import DOUBLE, INTEGER, NULL, IntegerType

Kernel = Callable[..., pl.Series]
"""``kernel(rows, call, arguments, ignore_nulls, low, high) -> column``."""


def _row_number(rows: SortedRows, *rest: Any) -> pl.Series:
    return _integers(np.arange(rows.count) - rows.partition_start + 1)


def _rank(rows: SortedRows, *rest: Any) -> pl.Series:
    return _integers(rows.peer_start - rows.partition_start + 1)


def _dense_rank(rows: SortedRows, *rest: Any) -> pl.Series:
    return _integers(rows.peer_number - rows.peer_number[rows.partition_start] + 1)


def _percent_rank(rows: SortedRows, *rest: Any) -> pl.Series:
    others = rows.partition_end - rows.partition_start - 1
    before = (rows.peer_start - rows.partition_start).astype(np.float64)
    return pl.Series(np.divide(before, others, out=np.zeros(rows.count), where=others > 0))


def _cume_dist(rows: SortedRows, *rest: Any) -> pl.Series:
    size = rows.partition_end - rows.partition_start
    return pl.Series((rows.peer_end - rows.partition_start) / size)


def _ntile(rows: SortedRows, call: Call, *rest: Any) -> pl.Series:
    buckets = _constant(call, 0, 1)
    size = rows.partition_end - rows.partition_start
    position = np.arange(rows.count) - rows.partition_start
    least, larger = size // buckets, size % buckets
    in_larger = larger * (least + 1)
    tail = (position - in_larger) // np.maximum(least, 1) + larger
    return _integers(np.where(position < in_larger, position // (least + 1), tail) + 1)


def _integers(values: Indices) -> pl.Series:
    return pl.Series(values.astype(np.int32))


def _constant(call: Call, position: int, default: int) -> int:
    if len(call.args) <= position:
        return default
    argument = call.args[position]
    assert isinstance(argument, Literal)
    return default if argument.value is None else int(argument.value)


def _lag(rows: SortedRows, call: Call, arguments: list[pl.Series], ignore_nulls: bool, *rest: Any) -> pl.Series:
    return _neighbour(rows, arguments, -_constant(call, 1, 1), ignore_nulls)


def _lead(rows: SortedRows, call: Call, arguments: list[pl.Series], ignore_nulls: bool, *rest: Any) -> pl.Series:
    return _neighbour(rows, arguments, _constant(call, 1, 1), ignore_nulls)


def _neighbour(rows: SortedRows, arguments: list[pl.Series], offset: int, ignore_nulls: bool) -> pl.Series:
    values = arguments[0]
    index = np.arange(rows.count, dtype=np.int64)
    wanted = _known_neighbour(values, index, offset) if ignore_nulls and offset else index + offset
    inside = (wanted >= rows.partition_start) & (wanted < rows.partition_end)
    found = gathered_at(values, wanted, inside)
    if len(arguments) < 3 or arguments[2].dtype == pl.Null:
        return found
    return found.zip_with(pl.Series(inside), arguments[2].cast(found.dtype))


def _known_neighbour(values: pl.Series, index: Indices, offset: int) -> Indices:
    """The index of the n-th value that is not NULL before or after each row; -1 if there is none."""
    known = values.is_not_null().to_numpy()
    positions = np.flatnonzero(known)
    upto = np.cumsum(known)  # known values up to and with a row
    rank = upto + offset - 1 if offset > 0 else upto - known + offset
    inside = (rank >= 0) & (rank < len(positions))
    if not len(positions):
        return np.full(len(index), -1, dtype=np.int64)
    return np.where(inside, positions[np.clip(rank, 0, len(positions) - 1)], -1)


def gathered_at(values: pl.Series, indices: Indices, inside: Any) -> pl.Series:
    """Values at indices, NULL where not ``inside``."""
    if len(values) == 0:
        return values
    safe = pl.Series(np.where(inside, indices, 0))
    taken = values.gather(safe)
    if bool(np.all(inside)):
        return taken
    return taken.zip_with(pl.Series(inside), pl.Series([None], dtype=values.dtype))


def nth_of_frame(values: pl.Series, low: Indices, high: Indices, position: int, ignore_nulls: bool) -> pl.Series:
    """The value at a position of each frame, counted from its start (0, 1 ..) or its end (-1, -2 ..)."""
    if not ignore_nulls:
        index = low + position if position >= 0 else high + position
        return gathered_at(values, index, (index >= low) & (index < high))
    known = values.is_not_null().to_numpy()
    positions = np.flatnonzero(known)
    if not len(positions):
        return gathered_at(values, low, np.zeros(len(low), dtype=bool))
    before = np.concatenate([[0], np.cumsum(known)])
    rank = before[low] + position if position >= 0 else before[high] + position
    inside = (rank >= before[low]) & (rank < before[high])
    return gathered_at(values, positions[np.clip(rank, 0, len(positions) - 1)], inside)


def _nth_value(
    rows: SortedRows, call: Call, arguments: list[pl.Series], ignore_nulls: bool, low: Indices, high: Indices
) -> pl.Series:
    return nth_of_frame(arguments[0], low, high, _constant(call, 1, 1) - 1, ignore_nulls)


KERNELS: dict[str, Kernel] = {
    "row_number": _row_number,
    "rank": _rank,
    "dense_rank": _dense_rank,
    "percent_rank": _percent_rank,
    "cume_dist": _cume_dist,
    "ntile": _ntile,
    "lag": _lag,
    "lead": _lead,
    "nth_value": _nth_value,
}


# ---- entries ----------------------------------------------------------------------------------------
def _neighbour_nullable(args: tuple[Expression, ...]) -> bool:
    default = args[2] if len(args) > 2 else None
    return nullable_of(args[0]) or default is None or nullable_of(default)


def _window(
    names: str,
    result: Result,
    signature: Signature | None = None,
    nullable: Callable[[tuple[Expression, ...]], bool] = never_nullable,
    display: Callable[[tuple[str, ...]], str] | None = None,
    resolve: Hook | None = None,
) -> Function:
    return Function(
        tuple(names.split()), signature or Signature(), result, nullable=nullable,
        kind=FunctionKind.WINDOW, foldable=False, display=display, resolve=resolve,
    )  # fmt: skip


_WHOLE_CONSTANT = Accept((IntegerType,), (INTEGER,), '"INT"', foldable=True)
_NEIGHBOUR = Signature(
    (
        Parameter("input", Accept(shown='"ANY"')),
        Parameter("offset", _WHOLE_CONSTANT, Literal(1, INTEGER)),
        Parameter("default", Accept(shown='"ANY"'), Literal(None, NULL)),
    )
)


def _shown(name: str, *defaults: str) -> Callable[[tuple[str, ...]], str]:
    """The call with its defaults written out."""
    return lambda names: f"{name}({', '.join((*names, *defaults[len(names) :]))})"


FUNCTIONS: tuple[Function, ...] = (
    _window("row_number", INTEGER),
    _window("rank", INTEGER),
    _window("dense_rank", INTEGER),
    _window("percent_rank", DOUBLE),
    _window("cume_dist", DOUBLE),
    _window(
        "ntile",
        INTEGER,
        Signature((Parameter("buckets", _WHOLE_CONSTANT, Literal(1, INTEGER)),)),
        display=_shown("ntile", "1"),
        resolve=checked(in_range("buckets", 0, 1, 2**31 - 1, "(0, 2147483647]")),
    ),
    _window("lag", result_of_first, _NEIGHBOUR, _neighbour_nullable, _shown("lag", "", "1", "NULL")),
    _window("lead", result_of_first, _NEIGHBOUR, _neighbour_nullable, _shown("lead", "", "1", "NULL")),
    _window(
        "nth_value",
        result_of_first,
        Signature((Parameter("input", ANY), Parameter("offset", _WHOLE_CONSTANT))),
        always_nullable,
        resolve=checked(in_range("offset", 1, 1, 2**63 - 1, "(0, 9223372036854775807]")),
    ),
)
