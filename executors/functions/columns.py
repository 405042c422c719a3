"""Whole-column helpers shared by function bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.proto.failures import ErrorKind, SparkError, spark_error

ANSI_CONF = '"spark.sql.ansi.enabled"'

INTEGER_LIMITS: dict[type[pl.DataType], tuple[int, int]] = {
    pl.Int8: (-(1 << 7), (1 << 7) - 1),
    pl.Int16: (-(1 << 15), (1 << 15) - 1),
    pl.Int32: (-(1 << 31), (1 << 31) - 1),
    pl.Int64: (-(1 << 63), (1 << 63) - 1),
    pl.Int128: (-(1 << 127), (1 << 127) - 1),
}
JAVA_NAMES: dict[type[pl.DataType], str] = {
    pl.Int8: "byte", pl.Int16: "short", pl.Int32: "integer", pl.Int64: "long",
}  # fmt: skip


def limits_of(dtype: pl.DataType) -> tuple[int, int]:
    """Least and greatest value of a signed integer dtype."""
    return INTEGER_LIMITS[type(dtype)]


def bounds_of(column: pl.Series) -> tuple[int, int] | None:
    """Least and greatest value of a column, None if it has no values."""
    low = column.min()
    return None if low is None else (low, column.max())  # type: ignore[return-value]


def null_where(values: pl.Series, bad: pl.Series) -> pl.Series:
    """The values with NULL where ``bad`` holds."""
    if not bad.any():
        return values
    return values.zip_with(~bad.fill_null(False), pl.Series([None], dtype=values.dtype))


def by_unique(column: pl.Series, function: Callable[[Any], Any], dtype: pl.DataType) -> pl.Series:
    """A Python function of each distinct value, spread back over the column; NULL stays NULL."""
    return by_unique_rows([column], function, dtype)


def by_unique_rows(columns: list[pl.Series], function: Callable[..., Any], dtype: pl.DataType) -> pl.Series:
    """A Python function of each distinct row without NULLs, spread back over the rows."""
    length = len(columns[0])
    if len(columns) == 1 and length > 32:
        unique = columns[0].unique(maintain_order=True)
        if len(unique) * 2 < length:
            found = _each([unique], function, dtype)
            frame = pl.DataFrame({"k": columns[0]}).join(
                pl.DataFrame({"k": unique, "v": found}),
                on="k",
                how="left",
                nulls_equal=True,
                maintain_order="left",
            )
            return frame.get_column("v")
    return _each(columns, function, dtype)


def _each(columns: list[pl.Series], function: Callable[..., Any], dtype: pl.DataType) -> pl.Series:
    lists = [c.to_list() for c in columns]
    if len(lists) == 1:
        values = [None if v is None else function(v) for v in lists[0]]
    else:
        values = [None if None in row else function(*row) for row in zip(*lists, strict=True)]
    return pl.Series(values, dtype=dtype, strict=True)


def overflow_error(kind: str, alternative: str = "", exact: bool = False) -> SparkError:
    """ARITHMETIC_OVERFLOW of a Java type (``long overflow``, or ``exact`` words) with the function to use instead."""
    hint = f" Use '{alternative}' to tolerate overflow and return NULL instead." if alternative else ""
    message = kind if exact or " " in kind else f"{kind} overflow"
    parameters = {"message": message, "alternative": hint, "config": ANSI_CONF}
    return spark_error("ARITHMETIC_OVERFLOW", ErrorKind.ARITHMETIC, extra=parameters)


def java_error(message: str, kind: ErrorKind = ErrorKind.ARITHMETIC) -> SparkError:
    """A failure for which Spark lets Java's own exception through: it has no condition."""
    return spark_error("", kind, message=message)


def divide_by_zero() -> SparkError:
    """DIVIDE_BY_ZERO, as `/`, div and their kin raise it."""
    return spark_error("DIVIDE_BY_ZERO", ErrorKind.ARITHMETIC, config=ANSI_CONF)
