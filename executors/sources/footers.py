"""What Parquet footers tell of rows, of sizes in memory and of the bounds of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow.parquet as pq

from voltray.proto.expressions import Attribute
from voltray.proto.types import (
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

_WIDTHS: dict[type[DataType], int] = {
    BooleanType: 1, ByteType: 1, ShortType: 2, IntegerType: 4, DateType: 4, FloatType: 4, LongType: 8, DoubleType: 8,
    TimestampType: 8, TimestampNTZType: 8, DecimalType: 16,
}  # fmt: skip
_VIEW_BYTES = 16
# However narrow rows are, a hash table takes so much for each.
_LEAST_ROW_BYTES = 32
_MOST_FILES = 16


@dataclass(frozen=True, slots=True)
class Footer:
    """Rows, and by column the uncompressed bytes and the least and greatest value (of columns without parts)."""

    rows: int
    sizes: dict[str, int]
    bounds: dict[str, tuple[Any, Any]]


@lru_cache(maxsize=4096)
def _footer(path: str, _size: int) -> Footer:
    metadata = pq.read_metadata(path)
    sizes: dict[str, int] = {}
    bounds: dict[str, tuple[Any, Any] | None] = {}
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for c in range(group.num_columns):
            column = group.column(c)
            name = column.path_in_schema.split(".")[0]
            sizes[name] = sizes.get(name, 0) + column.total_uncompressed_size
            bounds[name] = _wider(bounds[name], column.statistics) if name in bounds else _bounds(column.statistics)
    return Footer(metadata.num_rows, sizes, {name: pair for name, pair in bounds.items() if pair is not None})


def _bounds(statistics: Any) -> tuple[Any, Any] | None:
    if statistics is None or not statistics.has_min_max or isinstance(statistics.min, str | bytes):
        return None
    return statistics.min, statistics.max


def _wider(known: tuple[Any, Any] | None, statistics: Any) -> tuple[Any, Any] | None:
    more = _bounds(statistics)
    return None if known is None or more is None else (min(known[0], more[0]), max(known[1], more[1]))


def parquet_rows(files: Sequence[Any]) -> int | None:
    """Rows of files, or None where a footer cannot be read; of many files, a few are looked at."""
    seen = list({f.path: f for f in files}.values())
    looked = seen[:_MOST_FILES]
    try:
        rows = sum(_footer(f.path, f.size).rows for f in looked)
    except Exception:  # noqa: BLE001 - the scan itself will say what is wrong with a file
        return None
    share = sum(f.size for f in looked) / max(1, sum(f.size for f in seen))
    return int(rows / share) if share else rows


def parquet_bounds(files: Sequence[Any], name: str) -> tuple[Any, Any] | None:
    """The least and greatest value of a column, or None where the footers do not tell, or there are too many."""
    seen = list({f.path: f for f in files}.values())
    try:
        found = [_footer(f.path, f.size).bounds.get(name) for f in seen[: _MOST_FILES + 1]]
    except Exception:  # noqa: BLE001 - the scan itself will say what is wrong with a file
        return None
    pairs = [pair for pair in found if pair is not None]
    if not pairs or len(pairs) < len(found) or len(found) > _MOST_FILES:
        return None
    return min(low for low, _ in pairs), max(high for _, high in pairs)


def parquet_bytes(files: Sequence[Any], attributes: Sequence[Attribute]) -> int | None:
    """Bytes that some columns of files take in memory, or None where the footers cannot be read."""
    seen = list({f.path: f for f in files}.values())
    looked = seen[:_MOST_FILES]
    total = 0
    try:
        for file in looked:
            footer = _footer(file.path, file.size)
            rows, sizes = footer.rows, footer.sizes
            widths = [(_WIDTHS.get(type(a.dtype)), sizes.get(a.name, 0)) for a in attributes]
            held = sum(rows * (width or _VIEW_BYTES) + (0 if width else size) for width, size in widths)
            total += max(held, _LEAST_ROW_BYTES * rows)
    except Exception:  # noqa: BLE001 - the scan itself will say what is wrong with a file
        return None
    return total * len(seen) // max(1, len(looked))
