"""What a map task stores for one destination: its partitions back to back, with an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from voltray.proto.tasks import PieceSlice

# Large strings, not views: a view array's slices would each store the buffers that they share.
_COMPACT = pl.CompatLevel.oldest()
# A spilled partition comes in many small parts, which the engine would take one by one.
_MANY_FRAMES = 32


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of the partitions ``first``, ``first + 1``, …; partition i ends at row ``ends[i - first]``."""

    table: pa.Table
    first: int
    ends: tuple[int, ...]

    def tables(self, first: int | None, last: int | None) -> list[pa.Table]:
        """The same as :meth:`rows`, as a spilled piece gives it."""
        return [self.rows(first, last)]

    def rows(self, first: int | None, last: int | None) -> pa.Table:
        """The rows of partitions first to last (both in), or of all, without a copy."""
        if first is None or last is None:
            return self.table
        low, high = max(first - self.first, 0), min(last - self.first, len(self.ends) - 1)
        if high < low:
            return self.table.slice(0, 0)
        start = self.ends[low - 1] if low else 0
        return self.table.slice(start, self.ends[high] - start)


def compact_table(frame: pl.DataFrame) -> pa.Table:
    """A frame as an Arrow table that holds its own rows' bytes and no others."""
    return frame.rechunk().to_arrow(compat_level=_COMPACT)


def read_pieces(slices: Sequence[PieceSlice], arguments: Sequence[Any]) -> pl.LazyFrame:
    """The rows of several pieces, in order."""
    tables = [t for s in slices for t in arguments[s.argument].tables(s.first, s.last)]
    filled = [t for t in tables if t.num_rows] or tables[:1]
    frames = [pl.DataFrame(t) for t in filled]
    return _together(frames).lazy()


def _together(frames: list[pl.DataFrame]) -> pl.DataFrame:
    if len(frames) == 1:
        return frames[0]
    try:
        return pl.concat(frames, how="vertical", rechunk=len(frames) > _MANY_FRAMES)
    except pl.exceptions.SchemaError:
        # A task without rows may have found a narrower type for a buffer.
        return pl.concat(frames, how="vertical_relaxed", rechunk=False)
