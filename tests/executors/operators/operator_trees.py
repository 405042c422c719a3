"""Operator trees by hand, run as a task runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from voltray.executors.operators.catalogue import TaskContext, compile_operator
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    Literal,
    SortOrder,
    WindowCall,
    WindowFrame,
    new_id,
)
from voltray.proto.operators import LocalScan, Operator
from voltray.proto.types import BOOLEAN, DOUBLE, LONG, STRING, DataType, arrow_type

Rows = list[tuple[Any, ...]]
ENGINES = ("streaming", "in-memory")


def attribute(name: str, dtype: DataType = LONG) -> Attribute:
    """A fresh column."""
    return Attribute(new_id() + 10_000, name, dtype)


def scan(attributes: Sequence[Attribute], rows: Sequence[Sequence[Any]]) -> LocalScan:
    """Rows as a local scan."""
    columns = [pa.array([r[i] for r in rows], arrow_type(a.dtype)) for i, a in enumerate(attributes)]
    return LocalScan(tuple(attributes), pa.table(columns, names=[a.name for a in attributes]))


def frame(operator: Operator, engine: str = "streaming", task: TaskContext | None = None) -> pl.DataFrame:
    """What a tree puts out."""
    return compile_operator(operator, {}, task or TaskContext()).collect(engine=engine)  # type: ignore[call-overload, no-any-return]


def rows(operator: Operator, engine: str = "streaming") -> Rows:
    """What a tree puts out, row by row."""
    return frame(operator, engine).rows()


def unordered(found: Sequence[tuple[Any, ...]]) -> list[str]:
    """Rows to be compared without regard to order."""
    return sorted(map(repr, found))


def call(name: str, *args: Expression, dtype: DataType = BOOLEAN) -> Call:
    """A scalar call."""
    return Call(name, args, dtype)


def aggregate(name: str, *args: Expression, dtype: DataType = LONG, **options: Any) -> Alias:
    """An aggregate under a fresh id."""
    return Alias(AggregateCall(name, args, dtype, **options), name, new_id() + 20_000)


def window(
    function: Expression, partition: Sequence[Attribute], order: Sequence[SortOrder], frame: WindowFrame, **more: Any
) -> Alias:
    """A window column under a fresh id."""
    return Alias(WindowCall(function, tuple(partition), tuple(order), frame, **more), "w", new_id() + 30_000)


def long(value: int | None) -> Literal:
    """A bigint constant."""
    return Literal(value, LONG)


TYPES: Mapping[str, DataType] = {"long": LONG, "double": DOUBLE, "string": STRING}
