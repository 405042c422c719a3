"""List columns as their elements back to back and each row's number of them, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

_NEWEST = pl.CompatLevel.newest()


@dataclass(frozen=True, slots=True)
class Lists:
    """A list column taken apart. A NULL row has no elements and ``valid`` False (None: no row is NULL)."""

    values: pl.Series
    lengths: np.ndarray
    valid: np.ndarray | None

    @property
    def rows(self) -> np.ndarray:
        """The row of each element."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """Where each row's elements start."""
        return np.cumsum(self.lengths) - self.lengths  # type: ignore[no-any-return]

    @property
    def positions(self) -> np.ndarray:
        """Each element's place in its row, from 0."""
        return np.arange(len(self.values)) - np.repeat(self.starts, self.lengths)  # type: ignore[no-any-return]

    def with_values(self, values: pl.Series) -> pl.Series:
        """A list column of the same shape with other elements."""
        return build(values, self.lengths, self.valid)

    def kept(self, keep: np.ndarray) -> pl.Series:
        """The lists with only those elements that are kept."""
        lengths = np.bincount(self.rows[keep], minlength=len(self.lengths))
        return build(self.values.filter(pl.Series(keep)), lengths, self.valid)


def parts(column: pl.Series) -> Lists:
    """A list column taken apart."""
    lengths = column.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    valid = column.is_not_null().to_numpy() if column.null_count() else None
    values = column.explode(empty_as_null=False, keep_nulls=False)
    return Lists(values, lengths, valid)


def build(values: pl.Series, lengths: np.ndarray, valid: np.ndarray | None) -> pl.Series:
    """A list column of elements back to back."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    mask = None if valid is None or valid.all() else pa.array(~valid)
    arrays = pa.LargeListArray.from_arrays(pa.array(offsets), values.to_arrow(compat_level=_NEWEST), mask=mask)
    made = pl.Series(arrays)
    dtype = pl.List(values.dtype)
    return made if made.dtype == dtype else made.cast(dtype)


def take(values: pl.Series, indices: np.ndarray) -> pl.Series:
    """Elements by index; NULL for a negative index."""
    missing = indices < 0
    if not missing.any():
        return values.gather(pl.Series(indices, dtype=pl.UInt32))
    chosen = pl.Series(np.where(missing, 0, indices), dtype=pl.UInt32)
    chosen = chosen.zip_with(~pl.Series(missing), pl.Series([None], dtype=pl.UInt32))
    return values.gather(chosen)


def both_valid(*valids: np.ndarray | None) -> np.ndarray | None:
    """Rows valid in all columns."""
    given = [v for v in valids if v is not None]
    return np.logical_and.reduce(given) if given else None


def valid_of(column: pl.Series) -> np.ndarray | None:
    """A column's validity as :class:`Lists` holds it."""
    return column.is_not_null().to_numpy() if column.null_count() else None
