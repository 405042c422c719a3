"""CHAR and VARCHAR in tables: lengths checked and values padded on writing, padded on reading."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import STRING_INPUT, Function, accepts_type, parameters
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import INTEGER, STRING


def _too_long(limit: Any) -> SparkError:
    return spark_error("EXCEED_LIMIT_LENGTH", ErrorKind.RUNTIME, limit=limit)


def _cut(rows: Rows, text: pl.Series, limit: pl.Series) -> pl.Series:
    """Values up to the limit; more than blanks behind it is refused."""
    size = int(limit[0])
    long = text.str.len_chars() > size
    if not long.any():
        return text
    rows.refuse(long & (text.str.strip_chars_end(" ").str.len_chars() > size), _too_long, limit)
    return text.str.slice(0, size)


def _write_varchar(evaluation: Evaluation, text: pl.Expr, limit: pl.Expr) -> pl.Expr:
    return evaluation.columnwise(_cut, text, limit, dtype=pl.String())


def _write_char(evaluation: Evaluation, text: pl.Expr, limit: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series, size: pl.Series) -> pl.Series:
        return _cut(rows, column, size).str.pad_end(int(size[0]))

    return evaluation.columnwise(run, text, limit, dtype=pl.String())


def _read_char(evaluation: Evaluation, text: pl.Expr, limit: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series, size: pl.Series) -> pl.Series:
        return column.str.pad_end(int(size[0]))

    return evaluation.columnwise(run, text, limit, dtype=pl.String())


_TEXT = parameters(("expr", STRING_INPUT), ("limit", accepts_type(INTEGER)))

FUNCTIONS: tuple[Function, ...] = (
    Function(("char_type_write_side_check",), _TEXT, STRING, _write_char, internal=True),
    Function(("varchar_type_write_side_check",), _TEXT, STRING, _write_varchar, internal=True),
    Function(("read_side_padding",), _TEXT, STRING, _read_char, internal=True),
)
