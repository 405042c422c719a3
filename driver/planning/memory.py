"""How a query is cut so that each task fits an executor's memory: when to use stages, and how large parts may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.statistics import file_bytes, range_rows, table_bytes
from voltray.executors.sources.catalogue import held_bytes_of

# What a process holds before it does anything.
_PROCESS_BYTES = 300 << 20
_HELD_SHARE = 0.6
_MOST_SPILL = 64 << 20
_LEAST_SPILL = 256 << 10
_MOST_EXPANSION = 12
# What passes rows on as they come; all else is taken to hold its input.
_PASSING = (
    logical.Project,
    logical.Filter,
    logical.Union,
    logical.Limit,
    logical.Sample,
    logical.Generate,
    logical.Expand,
    logical.CollectMetrics,
    logical.ShowString,
)


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """What one executor's memory allows."""

    executor_bytes: int
    store_bytes: int
    slots: int
    """Tasks that run at a time on one executor."""

    @classmethod
    def of(cls, settings: Any, slots: int) -> MemoryBudget:
        """The budget by a server's settings."""
        executors = max(1, settings.executors)
        return cls(settings.executor_memory, settings.object_store_memory // executors, max(1, slots // executors))

    @property
    def working_bytes(self) -> int:
        """What queries may use."""
        return max(self.executor_bytes - _PROCESS_BYTES, self.executor_bytes // 2)

    @property
    def task_bytes(self) -> int:
        """What one task may use."""
        return self.working_bytes // self.slots

    @property
    def scan_bytes(self) -> int:
        """How much one task should read from files, as it lies in memory."""
        return max(1 << 20, self.task_bytes // 4)

    @property
    def partition_bytes(self) -> int:
        """How large a partition of an exchange should be at most."""
        return max(1 << 18, self.task_bytes // 8)

    @property
    def held_partition_bytes(self) -> int:
        """The largest partition that one task should have to hold."""
        return max(2 * self.partition_bytes, self.task_bytes // 3)

    def spilling(self, tasks: int) -> tuple[tuple[str, int], ...]:
        """A stage's metadata: how much each task may put into the object store, and how much it holds at a time."""
        store = self.store_bytes // 2 // max(1, tasks)
        spill = max(_LEAST_SPILL, min(_MOST_SPILL, store, self.task_bytes // 8))
        return (("spill_bytes", spill), ("chunk_bytes", max(spill, self.task_bytes // 8)))


def must_spill(plan: LogicalPlan, budget: MemoryBudget, cached_bytes: Callable[[str], int]) -> bool:
    """Whether what a plan holds at a time may not fit one executor."""
    limit = int(budget.working_bytes * _HELD_SHARE)
    leaves = _held_leaves(plan)
    # Most queries are so small that the files' footers need not be looked at.
    if sum(_most_bytes(leaf, cached_bytes) for leaf in leaves) <= limit:
        return False
    return sum(leaf_bytes(leaf, cached_bytes) for leaf in leaves) > limit


def leaf_bytes(leaf: LogicalPlan, cached_bytes: Callable[[str], int]) -> int:
    """Bytes of a leaf's rows in memory, from the footers of its files where they tell."""
    if isinstance(leaf, logical.FileScan):
        return scan_bytes(leaf)
    return _most_bytes(leaf, cached_bytes)


def scan_bytes(scan: logical.FileScan) -> int:
    """Bytes that a scan's columns take in memory."""
    known = held_bytes_of(scan.format, scan.files, scan.attributes)
    return max(file_bytes(scan), known) if known is not None else file_bytes(scan)


def _most_bytes(leaf: LogicalPlan, cached_bytes: Callable[[str], int]) -> int:
    match leaf:
        case logical.FileScan():
            stored: int = sum(f.block_length for f in leaf.files)
            return _MOST_EXPANSION * stored
        case logical.LocalData():
            return table_bytes(leaf.data)
        case logical.Range():
            return 8 * range_rows(leaf)
        case logical.CachedData():
            return cached_bytes(leaf.cache_id)
    return 0


def _held_leaves(plan: LogicalPlan) -> list[LogicalPlan]:
    """Leaves whose rows some node above may hold all at once."""
    found: list[LogicalPlan] = []
    stack = [(plan, False)]
    while stack:
        node, held = stack.pop()
        children = logical.children_of(node)
        if not children:
            if held:
                found.append(node)
            continue
        holds = held or _holds(node)
        if isinstance(node, logical.Limit) and isinstance(node.child, logical.Sort) and node.limit is not None:
            children = logical.children_of(node.child)  # the first rows in order are few
        stack.extend((child, holds) for child in children)
    return found


def _holds(node: LogicalPlan) -> bool:
    if isinstance(node, logical.Aggregate):
        return bool(node.groups) or any(getattr(a.child, "distinct", False) for a in node.aggregates)
    return not isinstance(node, _PASSING)
