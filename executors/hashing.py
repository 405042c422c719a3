"""Hashes of whole columns, the same in every process."""

from __future__ import annotations

import numpy as np
import polars as pl

_SEED = 42


def hash_of(series: pl.Series) -> np.ndarray:
    """A 64-bit hash of each value; values that are equal as keys have equal ones."""
    if series.dtype == pl.Null:
        return np.zeros(len(series), dtype=np.uint64)
    if series.dtype.is_float():
        # -0.0 and 0.0 are one group and one join key, and so are all NaNs.
        series = pl.select(pl.when(series.is_nan()).then(float("nan")).otherwise(series + 0.0)).to_series()
    if series.dtype.is_nested() and not _hashes_nested(series.dtype):
        series = series.cast(pl.String) if isinstance(series.dtype, pl.Struct) else _as_text(series)
    return series.hash(_SEED).to_numpy()


def _hashes_nested(dtype: pl.DataType) -> bool:
    try:
        pl.Series([], dtype=dtype).hash(_SEED)
    except BaseException:  # noqa: BLE001 - a panic is no PolarsError
        return False
    return True


def _as_text(series: pl.Series) -> pl.Series:
    """For types that the engine cannot hash."""
    return pl.Series([None if v is None else repr(v) for v in series], dtype=pl.String)
