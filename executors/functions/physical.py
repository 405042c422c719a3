"""Columns as the NumPy numbers beneath them, and back, for calendar arithmetic."""

from __future__ import annotations

import numpy as np
import polars as pl

DAY_MICROS = 86_400_000_000
LONG_MAX = (1 << 63) - 1


def numbers(series: pl.Series) -> np.ndarray:
    """The physical values as int64, 0 where NULL."""
    return series.to_physical().cast(pl.Int64).fill_null(0).to_numpy()


def column(values: np.ndarray, dtype: pl.DataType, *inputs: pl.Series, bad: np.ndarray | None = None) -> pl.Series:
    """Physical values as a column of a dtype, NULL where an input is NULL or ``bad`` holds."""
    physical = pl.Int32() if dtype == pl.Date() else dtype if dtype.is_integer() else pl.Int64()
    series = pl.Series(values).cast(physical, strict=False).cast(dtype)
    keep = ~pl.Series(bad) if bad is not None else None
    for source in inputs:
        if source.null_count():
            valid = source.is_not_null()
            keep = valid if keep is None else keep & valid
    if keep is None or keep.all():
        return series
    return series.zip_with(keep, pl.Series([None], dtype=dtype))


def any_null(*inputs: pl.Series) -> pl.Series:
    """Rows where any input is NULL."""
    found = inputs[0].is_null()
    for source in inputs[1:]:
        found = found | source.is_null()
    return found


def add_months(days: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Days since 1970 moved by months, the day of the month cut to the month's length."""
    dates = days.astype("M8[D]")
    month = dates.astype("M8[M]")
    day = (dates - month.astype("M8[D]")).astype(np.int64)
    moved = month + months
    start = moved.astype("M8[D]")
    size = ((moved + 1).astype("M8[D]") - start).astype(np.int64)
    return start.astype(np.int64) + np.minimum(day, size - 1)  # type: ignore[no-any-return]


def year_month_day(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The proleptic year, the month from 1 and the day from 1 of days since 1970."""
    dates = days.astype("M8[D]")
    months = dates.astype("M8[M]").astype(np.int64)
    day = (dates - dates.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1
    return months // 12 + 1970, months % 12 + 1, day


def first_days(months: np.ndarray) -> np.ndarray:
    """Days since 1970 of the first day of months since 1970."""
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


def months_of(days: np.ndarray) -> np.ndarray:
    """Months since 1970 of days since 1970."""
    return days.astype("M8[D]").astype("M8[M]").astype(np.int64)
