"""What Parquet footers tell of sizes in memory."""

from __future__ import annotations

from collections.abc import Sequence
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


@lru_cache(maxsize=4096)
def _footer(path: str, _size: int) -> tuple[int, dict[str, int]]:
    """Rows, and the uncompressed bytes of each top-level column."""
    metadata = pq.read_metadata(path)
    sizes: dict[str, int] = {}
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for c in range(group.num_columns):
            column = group.column(c)
            name = column.path_in_schema.split(".")[0]
            sizes[name] = sizes.get(name, 0) + column.total_uncompressed_size
    return metadata.num_rows, sizes


def parquet_bytes(files: Sequence[Any], attributes: Sequence[Attribute]) -> int | None:
    """Bytes that some columns of files take in memory, or None where the footers cannot be read."""
    seen = list({f.path: f for f in files}.values())
    looked = seen[:_MOST_FILES]
    total = 0
    try:
        for file in looked:
            rows, sizes = _footer(file.path, file.block_length)
            widths = [(_WIDTHS.get(type(a.dtype)), sizes.get(a.name, 0)) for a in attributes]
            held = sum(rows * (width or _VIEW_BYTES) + (0 if width else size) for width, size in widths)
            total += max(held, _LEAST_ROW_BYTES * rows)
    except Exception:  # noqa: BLE001 - the scan itself will say what is wrong with a file
        return None
    return total * len(seen) // max(1, len(looked))
