"""What every cast shares: its types and mode, and the errors of values that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from voltray.executors.functions.columns import ANSI_CONF, null_where
from voltray.executors.functions.decimal import plain, unscaled
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.java_numbers import java_double, java_float
from voltray.proto.expressions import EvalMode
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    LongType,
    NumericType,
    ShortType,
    TimestampType,
    carrier,
    type_name,
)  # fmt: skip

_SUFFIXES: dict[type[DataType], str] = {ByteType: "Y", ShortType: "S", LongType: "L"}


@dataclass(frozen=True, slots=True)
class Casting:
    """One conversion from a type to another."""

    evaluation: Evaluation
    source: DataType
    target: DataType
    mode: EvalMode

    @property
    def raises(self) -> bool:
        """Whether a value that can't be converted raises (else it becomes NULL, or wraps)."""
        return self.mode is EvalMode.ANSI and self.evaluation.guard is not NEVER

    @property
    def raises_always(self) -> bool:
        """Whether it raises in legacy mode too, as casts to intervals do."""
        return self.mode is not EvalMode.TRY and self.evaluation.guard is not NEVER

    @property
    def time_zone(self) -> str:
        """The session's zone."""
        return self.evaluation.context.time_zone

    def columnwise(self, function: Callable[..., pl.Series], *arguments: pl.Expr) -> pl.Expr:
        """``function(rows, *series)`` over whole columns, giving the target's carrier."""
        return self.evaluation.columnwise(function, *arguments, dtype=carrier(self.target))

    def overflow(self, cell: Any) -> SparkError:
        """CAST_OVERFLOW of a value."""
        return spark_error(
            "CAST_OVERFLOW",
            ErrorKind.ARITHMETIC,
            value=sql_value(cell, self.source),
            sourceType=type_name(self.source),
            targetType=type_name(self.target),
            ansiConfig=ANSI_CONF,
        )

    def invalid(self, cell: Any) -> SparkError:
        """CAST_INVALID_INPUT of a value."""
        return invalid_input(cell, self.source, self.target)

    def settle(self, rows: Rows, result: pl.Series, bad: pl.Series, source: pl.Series) -> pl.Series:
        """The result with overflowing values refused, or NULL."""
        if self.raises:
            rows.refuse(bad, self.overflow, source)
        return null_where(result, bad)

    def refuse_nulls(self, rows: Rows, result: pl.Series, source: pl.Series) -> pl.Series:
        """The result, refused where a value became NULL."""
        if self.raises and result.null_count() > source.null_count():
            rows.refuse(result.is_null() & source.is_not_null(), self.invalid, source)
        return result


_KIND_BY_TARGET: tuple[tuple[type[DataType], ErrorKind], ...] = (
    (NumericType, ErrorKind.NUMBER_FORMAT),
    (DateType, ErrorKind.DATE_TIME),
    (TimestampType, ErrorKind.DATE_TIME),
)


def invalid_input(cell: Any, source: DataType, target: DataType) -> SparkError:
    """CAST_INVALID_INPUT of a value."""
    kinds = [kind for base, kind in _KIND_BY_TARGET if isinstance(target, base)]
    kind = kinds[0] if kinds else ErrorKind.RUNTIME if target.typeName() == "boolean" else ErrorKind.DATE_TIME
    shown = java_double(cell) if isinstance(cell, float) else sql_value(cell, source)
    return spark_error(
        "CAST_INVALID_INPUT",
        kind,
        expression=shown,
        sourceType=type_name(source),
        targetType=type_name(target),
        ansiConfig=ANSI_CONF,
    )


def sql_value(cell: Any, dtype: DataType) -> str:
    """A value as Spark's error messages show it: a SQL literal."""
    if isinstance(cell, str):
        return "'" + cell.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(dtype, DoubleType):
        return java_double(cell) if cell != cell or abs(cell) == float("inf") else java_double(cell) + "D"
    if isinstance(dtype, FloatType):
        return java_float(cell)
    if isinstance(dtype, DecimalType):
        return plain(unscaled(cell, dtype.scale), dtype.scale) + "BD"
    if isinstance(dtype, TimestampType):
        return f"TIMESTAMP '{cell:%Y-%m-%d %H:%M:%S}'"
    return f"{cell}{_SUFFIXES.get(type(dtype), '')}"


Conversion = Callable[[Casting, pl.Expr], pl.Expr]
