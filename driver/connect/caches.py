"""What a session has persisted: plans by what they compute, and the data kept for them."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.plan.canonical import plan_digest, plan_digests
from voltray.driver.plan.logical import CachedData, FileScan, LogicalPlan, children_of, walk, with_children

if TYPE_CHECKING:
    from voltray.driver.connect.backend import Backend
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


@dataclass(frozen=True, slots=True)
class StorageLevel:
    """Where Spark would keep the data; Voltray keeps it on the executors, in memory that may spill."""

    use_disk: bool = True
    use_memory: bool = True
    use_off_heap: bool = False
    deserialized: bool = True
    replication: int = 1


NONE = StorageLevel(False, False, False, False, 1)


def level_of(level: Any | None) -> StorageLevel:
    """A storage level from anything with its fields; the default from None."""
    if level is None:
        return StorageLevel()
    return StorageLevel(level.use_disk, level.use_memory, level.use_off_heap, level.deserialized, level.replication)


@dataclass(slots=True)
class CachedPlan:
    """A persisted plan; ``is_kept`` once its data was computed, at its first use."""

    cache_id: str
    plan: LogicalPlan
    level: StorageLevel
    is_kept: bool = False
    computing: threading.Lock = field(default_factory=threading.Lock)

    def data(self) -> CachedData:
        """The plan's data as a leaf under the plan's own column ids."""
        ids = tuple([a.expr_id for a in self.plan.output])
        return CachedData(attributes=self.plan.output, cache_id=self.cache_id, column_ids=ids)


class SessionCaches:
    """The persisted plans of a session."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._plans: dict[str, CachedPlan] = {}

    def persist(self, plan: LogicalPlan, level: StorageLevel | None = None) -> None:
        """Keep a plan's data from its next use on; nothing where that is so already."""
        entry = CachedPlan(f"cache-{uuid.uuid4()}", plan, level or StorageLevel())
        with self._lock:
            self._plans.setdefault(plan_digest(plan), entry)

    def unpersist(self, plan: LogicalPlan) -> None:
        """Let a plan's data go."""
        with self._lock:
            entry = self._plans.pop(plan_digest(plan), None)
        if entry is not None:
            self._release(entry)

    def level(self, plan: LogicalPlan) -> StorageLevel:
        """How a plan is persisted."""
        entry = self._plans.get(plan_digest(plan)) if self._plans else None
        return NONE if entry is None else entry.level

    def is_cached(self, plan: LogicalPlan) -> bool:
        """Whether a plan is persisted."""
        return bool(self._plans) and plan_digest(plan) in self._plans

    def clear(self) -> None:
        """Let all data go."""
        with self._lock:
            entries, self._plans = list(self._plans.values()), {}
        for entry in entries:
            self._release(entry)

    def close(self) -> None:
        """Let all data go with the session."""
        self.clear()

    def release_data_of(self, plan: LogicalPlan) -> None:
        """Let the data of a checkpointed plan go."""
        for node in walk(plan):
            if isinstance(node, CachedData):
                self._backend.scheduler.uncache(node.cache_id)

    def use_cached(self, plan: LogicalPlan, session: Session, operation: Operation | None = None) -> LogicalPlan:
        """The plan reading persisted data wherever a part of it is persisted; computes what is due."""
        if not self._plans:
            return plan
        return self._replace(plan, plan_digests(plan), session, operation)

    def _replace(
        self, plan: LogicalPlan, digests: dict[int, str], session: Session, operation: Operation | None
    ) -> LogicalPlan:
        done: dict[int, LogicalPlan] = {}
        stack: list[tuple[LogicalPlan, bool]] = [(plan, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in done:
                continue
            entry = self._plans.get(digests[id(node)])
            if entry is not None:
                done[id(node)] = self._data(entry, node, session, operation)
            elif ready or not children_of(node):
                done[id(node)] = with_children(node, tuple([done[id(c)] for c in children_of(node)]))
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in children_of(node))
        return done[id(plan)]

    def _data(self, entry: CachedPlan, node: LogicalPlan, session: Session, operation: Operation | None) -> CachedData:
        with entry.computing:
            if entry.is_kept and _table_versions(node) != _table_versions(entry.plan):
                self._release(entry)
                entry.plan, entry.cache_id, entry.is_kept = node, f"cache-{uuid.uuid4()}", False
            if not entry.is_kept:
                self._compute(entry, session, operation)
                entry.is_kept = True
        return replace(entry.data(), attributes=node.output)

    def _compute(self, entry: CachedPlan, session: Session, operation: Operation | None) -> None:
        # What the persisted plan itself reads may be persisted too.
        inputs = tuple([self.use_cached(c, session, operation) for c in children_of(entry.plan)])
        optimized = self._backend.optimize(with_children(entry.plan, inputs), session)
        session.compute(optimized, entry.cache_id, operation)

    def _release(self, entry: CachedPlan) -> None:
        if entry.is_kept:
            self._backend.scheduler.uncache(entry.cache_id)


def _table_versions(plan: LogicalPlan) -> list[tuple[tuple[str, ...], int]]:
    """The versions of the tables that a plan reads."""
    return [(n.table, n.table_version) for n in walk(plan) if isinstance(n, FileScan) and n.table]
