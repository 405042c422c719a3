"""Files cut and grouped into tasks of about the same size, in the order of the files."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voltray.driver.plan import logical
from voltray.driver.planning.memory import scan_bytes
from voltray.driver.planning.settings import size_conf
from voltray.executors.sources.catalogue import lookup_source

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

_PARTITION_BYTES = "spark.sql.files.maxPartitionBytes"
_SMALLEST_SPLIT = 4 << 20


def split_files(planner: Planner, scan: logical.FileScan) -> tuple[tuple[Any, ...], ...]:
    """Groups of files (or parts of them), one for each task."""
    total = sum(f.block_length for f in scan.files)
    largest = size_conf(planner.context, _PARTITION_BYTES, 128 << 20)
    smallest = _SMALLEST_SPLIT
    if planner.spills:
        largest = min(largest, total * planner.memory.scan_bytes // max(1, scan_bytes(scan)))
        smallest = min(smallest, max(1, largest))
    target = max(min(largest, total // planner.parallelism + 1), 1 if planner.forces_exchanges else smallest)
    source = lookup_source(scan.format)
    keeps = planner.keep_partitions and not planner.spills
    splittable = source is not None and source.splittable and not keeps
    parts = [part for f in scan.files for part in (_cut(f, max(target, smallest)) if splittable else (f,))]
    groups: list[list[Any]] = []
    held = 0
    for part in parts:
        if not groups or held + part.block_length > target:
            groups.append([])
            held = 0
        groups[-1].append(part)
        held += part.block_length
    return tuple([tuple(group) for group in groups])


def _cut(file: Any, size: int) -> tuple[Any, ...]:
    length = file.block_length
    count = -(-length // size) if length > size + size // 2 else 1
    if count == 1:
        return (file,)
    edges = [file.start + i * length // count for i in range(count + 1)]
    return tuple([replace(file, start=a, length=b - a) for a, b in itertools.pairwise(edges)])
