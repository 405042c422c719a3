"""Exchanges: a fragment's rows spread anew over tasks, by key, by range, evenly or into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.settings import COALESCE_BYTES, SHUFFLE_PARTITIONS, count_conf, size_conf
from voltray.proto.expressions import Attribute, Expression
from voltray.proto.stages import Exchange, Stage

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

_COALESCE_BYTES = 64 << 20


def run_exchange(planner: Planner, fragment: Fragment, exchange: Exchange) -> StageResult:
    """Run a fragment as a stage whose rows are spread by an exchange."""
    spilling = planner.memory.spilling(len(fragment.tasks)) if planner.spills else ()
    stage = Stage(planner.runner.new_stage_id(), fragment.tasks, exchange, fragment.output, metadata=spilling)
    return planner.runner.run(stage, streaming=planner.streaming)


def number_of_partitions(planner: Planner, estimated_bytes: int) -> int:
    """How many partitions an exchange makes: enough for all executors and for pieces of a sensible size."""
    wanted = count_conf(planner.context, SHUFFLE_PARTITIONS, 200)
    most: int = max(1, min(wanted, planner.settings.shuffle_partitions, 60_000))
    by_size: int = estimated_bytes // (_COALESCE_BYTES // 2)
    if planner.spills:  # what must fit the memory is cut as small as that takes
        least = estimated_bytes // planner.memory.partition_bytes
        most, by_size = min(60_000, max(most, least)), max(by_size, least)
    return min(most, max(2 * planner.parallelism, by_size))


def advisory_bytes(planner: Planner) -> int:
    """About how much of an exchange one task should read."""
    advisory = size_conf(planner.context, COALESCE_BYTES, _COALESCE_BYTES)
    return min(advisory, planner.memory.partition_bytes) if planner.spills else advisory


def groups_of(planner: Planner, sizes: Sequence[int], total: int | None = None) -> tuple[tuple[int, int], ...]:
    """Neighbouring partitions put together into tasks of about the advisory size, but one for each slot.

    ``total``: the bytes of the whole exchange where ``sizes`` are those of a part of it.
    """
    target = max(1, min(advisory_bytes(planner), (sum(sizes) if total is None else total) // planner.parallelism))
    groups: list[tuple[int, int]] = []
    first, held = 0, 0
    for number, size in enumerate(sizes):
        if held and held + size > target:
            groups.append((first, number - 1))
            first, held = number, 0
        held += size
    if held or not groups:
        groups.append((first, len(sizes) - 1))
    elif first < len(sizes):
        groups[-1] = (groups[-1][0], len(sizes) - 1)
    return tuple(groups)


def gather(planner: Planner, fragment: Fragment) -> Fragment:
    """All rows in one task, in the order of the tasks that they come from."""
    if fragment.is_single:
        return fragment
    result = run_exchange(planner, fragment, Exchange("single", 1))
    return Fragment((result.read_all(fragment.output),), fragment.output, result.total_bytes)


def by_hash(planner: Planner, fragment: Fragment, keys: tuple[Attribute, ...]) -> Fragment:
    """Rows with equal keys in one task."""
    if fragment.is_clustered_by(keys):
        return fragment
    count = number_of_partitions(planner, fragment.bytes)
    result = run_exchange(planner, fragment, Exchange("hash", count, keys))
    return read_groups(planner, fragment, result, keys)


def read_groups(planner: Planner, fragment: Fragment, result: StageResult, keys: tuple[Attribute, ...]) -> Fragment:
    """A fragment that reads an exchange's partitions, small ones together."""
    reads = tuple([result.read(fragment.output, a, b) for a, b in groups_of(planner, result.bytes)])
    return Fragment(reads, fragment.output, result.total_bytes, tuple([k.expr_id for k in keys]))


def together(
    planner: Planner, sides: tuple[Fragment, Fragment], keys: tuple[tuple[Attribute, ...], tuple[Attribute, ...]]
) -> tuple[Fragment, Fragment]:
    """Two fragments spread alike: task i of each has the rows with the same keys."""
    if sides[0].is_single and sides[1].is_single:
        return sides
    count = number_of_partitions(planner, max(s.bytes for s in sides))
    results = [run_exchange(planner, s, Exchange("hash", count, k)) for s, k in zip(sides, keys, strict=True)]
    return read_together(planner, sides, (results[0], results[1]), keys)


def read_together(
    planner: Planner,
    sides: tuple[Fragment, Fragment],
    results: tuple[StageResult, StageResult],
    keys: tuple[tuple[Attribute, ...], tuple[Attribute, ...]],
) -> tuple[Fragment, Fragment]:
    """Fragments over two exchanges of the same number of partitions, grouped alike."""
    sizes = [a + b for a, b in zip(results[0].bytes, results[1].bytes, strict=True)]
    groups = groups_of(planner, sizes)
    read = [
        Fragment(
            tuple([result.read(side.output, a, b) for a, b in groups]),
            side.output,
            result.total_bytes,
            tuple([k.expr_id for k in side_keys]),
        )
        for side, result, side_keys in zip(sides, results, keys, strict=True)
    ]
    return read[0], read[1]


def materialised(
    planner: Planner, fragment: Fragment, keys: tuple[Expression, ...] = ()
) -> tuple[Fragment, StageResult]:
    """The fragment computed and kept where it is (with a sample of the leading key); one task reads what one wrote."""
    result = run_exchange(planner, fragment, Exchange("keep", 1, keys))
    count = len(fragment.tasks)
    reads = tuple([result.read_maps(fragment.output, i, i) for i in range(count)])
    return replace(fragment, tasks=reads, bytes=result.total_bytes), result
