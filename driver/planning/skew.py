"""Joins of two exchanges whose partitions differ much in size: a partition far above the others is split.

The skewed side's partition is read in parts, by ranges of the tasks that wrote it; the other side's partition is read
whole beside each part. That is right where each task may have some rows of one side and all those of the other.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voltray.driver.planning.exchange import advisory_bytes, groups_of
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.settings import (
    ADAPTIVE,
    SKEW_FACTOR,
    SKEW_JOIN,
    SKEW_THRESHOLD,
    flag_conf,
    number_conf,
    size_conf,
)
from voltray.proto.expressions import Attribute

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

_THRESHOLD_BYTES = 256 << 20
_FACTOR = 5.0
Maps = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Part:
    """What one task reads of both sides: the same partitions, of each side from all map tasks or from some."""

    first: int
    last: int
    maps: tuple[Maps, Maps] = (None, None)


def read_skewed(
    planner: Planner,
    sides: tuple[Fragment, Fragment],
    results: tuple[StageResult, StageResult],
    keys: tuple[tuple[Attribute, ...], tuple[Attribute, ...]],
    may_split: tuple[bool, bool],
) -> tuple[Fragment, Fragment]:
    """Fragments over two exchanges of the same number of partitions: small ones together, skewed ones in parts."""
    parts = parts_of(planner, results, may_split)
    is_split = any(part.maps != (None, None) for part in parts)
    read = [
        Fragment(
            tuple([result.read(side.output, part.first, part.last, part.maps[place]) for part in parts]),
            side.output,
            result.total_bytes,
            None if is_split else tuple([k.expr_id for k in side_keys]),
        )
        for place, (side, result, side_keys) in enumerate(zip(sides, results, keys, strict=True))
    ]
    return read[0], read[1]


def parts_of(
    planner: Planner, results: tuple[StageResult, StageResult], may_split: tuple[bool, bool]
) -> tuple[Part, ...]:
    """How two exchanges are read together."""
    splits = [_splits(planner, r) if may else {} for r, may in zip(results, may_split, strict=True)]
    sizes = [a + b for a, b in zip(results[0].bytes, results[1].bytes, strict=True)]
    parts: list[Part] = []
    for first, last in spans_around(planner, sizes, sorted(splits[0].keys() | splits[1].keys())):
        lefts, rights = splits[0].get(first, [None]), splits[1].get(first, [None])
        parts.extend(Part(first, last, (left, right)) for left in lefts for right in rights)
    return tuple(parts)


def spans_around(planner: Planner, sizes: Sequence[int], apart: Sequence[int]) -> Iterator[tuple[int, int]]:
    """All partitions in order: those of ``apart`` (ascending) by themselves, the others grouped by size."""
    start = 0
    for partition in [*apart, len(sizes)]:
        if partition > start:
            for first, last in groups_of(planner, sizes[start:partition], sum(sizes)):
                yield start + first, start + last
        if partition < len(sizes):
            yield partition, partition
        start = partition + 1


def _splits(planner: Planner, result: StageResult) -> dict[int, list[Maps]]:
    """The ranges of map tasks by which each skewed partition is read."""
    if result.is_guess or not all(flag_conf(planner.context, name, True) for name in (ADAPTIVE, SKEW_JOIN)):
        return {}
    factor = number_conf(planner.context, SKEW_FACTOR, _FACTOR)
    limit = largest_bytes(planner, int(factor * statistics.median(result.bytes)))
    usual = [size for size in result.bytes if size <= limit]
    target = max(advisory_bytes(planner), sum(usual) // max(1, len(usual)))
    found: dict[int, list[Maps]] = {}
    for partition, size in enumerate(result.bytes):
        if size > limit:
            ranges = map_ranges(result.sizes_by_map(partition), target)
            if len(ranges) > 1:
                found[partition] = list(ranges)
    return found


def largest_bytes(planner: Planner, usual: int = 0) -> int:
    """The size beyond which a partition is split; ``usual`` is what its like may have at least."""
    limit = max(size_conf(planner.context, SKEW_THRESHOLD, _THRESHOLD_BYTES), usual)
    # What one task could not hold is split however large the others are.
    return min(limit, planner.memory.held_partition_bytes) if planner.spills else limit


def map_ranges(sizes: Sequence[int], target: int) -> tuple[tuple[int, int], ...]:
    """Neighbouring map tasks put together up to about a target size; those that wrote nothing go along."""
    ranges: list[tuple[int, int]] = []
    first, held = 0, 0
    for task, size in enumerate(sizes):
        if size and held and held + size > target:
            ranges.append((first, task - 1))
            first, held = task, 0
        held += size
    if held or not ranges:
        ranges.append((first, len(sizes) - 1))
    else:
        ranges[-1] = (ranges[-1][0], len(sizes) - 1)
    return tuple(ranges)
