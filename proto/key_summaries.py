"""What a stage tells of the keys in its rows, so that a scan yet to run can leave out what meets none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voltray.proto.expressions import Attribute


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """Which columns of a stage's rows to summarise."""

    attributes: tuple[Attribute, ...]
    most_values: int
    """So many different values are told one by one."""
    bloom_bits: int
    """Bits of the Bloom filter that tells of more values than that; 0: none is wanted."""
    most_items: int
    """No task puts more rows than this into a Bloom filter."""


@dataclass(frozen=True, slots=True)
class KeySummary:
    """The values of one column, NULL left out, as Arrow arrays and NumPy words."""

    bounds: Any
    """The least and the greatest value; nothing where there are no values."""
    values: Any = None
    """All values, each once, where they are few."""
    words: Any = None
    """The words of a Bloom filter of all values, where they are many."""
