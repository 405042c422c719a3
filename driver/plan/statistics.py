"""How large inputs are, as far as is known before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import Attribute
from voltray.proto.types import BooleanType, ByteType, DecimalType, IntegerType, LongType, ShortType

# Files hold less than what is read from them: columnar formats are compressed and encoded.
_EXPANSION = {"parquet": 3.0, "orc": 3.0}
_FIXED_WIDTHS: dict[type, int] = {
    BooleanType: 1,
    ByteType: 1,
    ShortType: 2,
    IntegerType: 4,
    LongType: 8,
    DecimalType: 16,
}
# More than a row takes: a range is free to split, and a long one in one piece is not streamed.
_RANGE_ROW_BYTES = 64
_UNKNOWN_TABLE_BYTES = 64 << 20


def width_of(attribute: Attribute) -> int:
    """Bytes of one value, about."""
    return _FIXED_WIDTHS.get(type(attribute.dtype), 16)


def table_bytes(data: Any) -> int:
    """Bytes of a table, or a guess where only a handle of it is here."""
    size = getattr(data, "nbytes", None)
    return int(size) if size is not None else _UNKNOWN_TABLE_BYTES


def file_bytes(scan: logical.FileScan) -> int:
    """Bytes that the columns read become in memory, about."""
    stored: int = sum(f.block_length for f in scan.files)
    expansion = _EXPANSION.get(scan.format.lower())
    if expansion is None:
        return stored
    share = len(scan.attributes) / max(1, len(scan.schema.fields) + len(scan.partition_schema.fields))
    return int(stored * expansion * min(1.0, share))


def range_rows(scan: logical.Range) -> int:
    """Number of integers in a range."""
    return max(0, -((scan.start - scan.end) // scan.step))


def input_bytes(plan: LogicalPlan, cached_bytes: Callable[[str], int]) -> int:
    """Bytes of all leaves of a plan, about."""
    return sum(_leaf_bytes(node, cached_bytes) for node in logical.walk(plan))


def largest_leaf_bytes(plan: LogicalPlan, cached_bytes: Callable[[str], int]) -> int:
    """Bytes of the largest leaf of a plan, about."""
    return max(_leaf_bytes(node, cached_bytes) for node in logical.walk(plan))


def _leaf_bytes(node: LogicalPlan, cached_bytes: Callable[[str], int]) -> int:
    match node:
        case logical.LocalData():
            return table_bytes(node.data)
        case logical.Range():
            return _RANGE_ROW_BYTES * range_rows(node)
        case logical.FileScan():
            return file_bytes(node)
        case logical.CachedData():
            return cached_bytes(node.cache_id)
    return 0
