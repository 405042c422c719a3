"""Which executor takes the next task: fair between users, then between a user's queries, within the slots."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from voltray.driver.scheduler.limits import Holder, Share

_NOBODY = Share()


@dataclass(frozen=True, slots=True)
class SlotState:
    """Running tasks of each executor and of each query; ``down`` are executors that are being replaced."""

    capacity: int
    running: tuple[int, ...]
    of_query: tuple[tuple[str, int], ...] = ()
    down: frozenset[int] = frozenset()

    @property
    def up(self) -> tuple[int, ...]:
        """Executors that take tasks."""
        return tuple([i for i in range(len(self.running)) if i not in self.down])

    def count_of(self, query_id: str) -> int:
        """Running tasks of a query."""
        return dict(self.of_query).get(query_id, 0)


def choose(state: SlotState, preferred: int | None, avoided: frozenset[int], *, beside: bool = False) -> int | None:
    """The executor for a task: the preferred one if it has a free slot, else the least busy; None if all are full.

    A task that may run ``beside`` others finds as many slots again on each executor.
    """
    capacity = state.capacity * (2 if beside else 1)
    return _best(state, [i for i in state.up if state.running[i] < capacity], preferred, avoided)


def choose_for_small(
    state: SlotState, small: Mapping[int, int], preferred: int | None, avoided: frozenset[int]
) -> int | None:
    """The executor for a task that needs no slot, by the slots and the ``small`` ones of each; None if all are down."""
    return _best(state, list(state.up), preferred, avoided, small)


def _best(
    state: SlotState,
    free: list[int],
    preferred: int | None,
    avoided: frozenset[int],
    small: Mapping[int, int] | None = None,
) -> int | None:
    candidates = [i for i in free if i not in avoided] or free
    if not candidates:
        return None
    if preferred in candidates:
        return preferred
    beside = small or {}
    return min(candidates, key=lambda i: (state.running[i] + beside.get(i, 0), i))


def went_down(state: SlotState, executor: int) -> SlotState:
    """The state once an executor takes no more tasks."""
    return replace(state, down=state.down | {executor})


def came_up(state: SlotState, executor: int) -> SlotState:
    """The state once its replacement takes tasks."""
    return replace(state, down=state.down - {executor})


def grown(state: SlotState) -> SlotState:
    """The state with one more executor, which takes no tasks yet."""
    return replace(state, running=(*state.running, 0), down=state.down | {len(state.running)})


def taken(state: SlotState, executor: int, query_id: str) -> SlotState:
    """The state after a query's task started on an executor."""
    return _changed(state, executor, query_id, 1)


def released(state: SlotState, executor: int, query_id: str) -> SlotState:
    """The state after that task ended."""
    return _changed(state, executor, query_id, -1)


def is_turn(state: SlotState, query_id: str, waiting: Counter[str], shares: Mapping[str, Share] | None = None) -> bool:
    """Whether this query's user is below all limits, and nobody else who waits has less for their weight."""
    shares = shares or {}
    counts = _running_by_user(state, shares)
    if _is_capped(state, query_id, shares):
        return False
    mine = _rank(state, query_id, shares, counts)
    return all(
        _rank(state, other, shares, counts) >= mine or _is_capped(state, other, shares)
        for other, n in waiting.items()
        if n and other != query_id
    )


def _running_by_user(state: SlotState, shares: Mapping[str, Share]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for query_id, n in state.of_query:
        counts[shares.get(query_id, _NOBODY).user] += n
    return counts


def _rank(state: SlotState, query_id: str, shares: Mapping[str, Share], counts: Counter[str]) -> tuple[float, int]:
    share = shares.get(query_id, _NOBODY)
    return counts[share.user] / share.weight, state.count_of(query_id)


def _is_capped(state: SlotState, query_id: str, shares: Mapping[str, Share]) -> bool:
    """Whether the query's user, or a group of theirs, has all the slots that they may have."""
    caps = shares.get(query_id, _NOBODY).caps("cpu_slots")
    if not caps:
        return False
    held: Counter[Holder] = Counter()
    for other, n in state.of_query:
        share = shares.get(other, _NOBODY)
        held[Holder("user", share.user)] += n
        for group, _ in share.groups:
            held[Holder("group", group)] += n
    # None at all would never run anything.
    return any(held[holder] >= max(1, most) for holder, most in caps)


def _changed(state: SlotState, executor: int, query_id: str, by: int) -> SlotState:
    counts = {**dict(state.of_query), query_id: state.count_of(query_id) + by}
    running = tuple(n + by if i == executor else n for i, n in enumerate(state.running))
    return replace(state, running=running, of_query=tuple((q, n) for q, n in counts.items() if n))


@dataclass(slots=True)
class SlotPool:
    """The slots of all executors, shared by the threads of all queries."""

    state: SlotState
    small: Counter[int] = field(default_factory=Counter)
    """Tasks of each executor that need no slot."""
    waiting: Counter[str] = field(default_factory=Counter)
    changed: threading.Condition = field(default_factory=threading.Condition)  # re-entrant
    last_up: float = field(default_factory=time.monotonic)
    """When there last was an executor that took tasks."""
    shares: dict[str, Share] = field(default_factory=dict)
    """Whose the running queries are, and what their users may take."""

    @contextmanager
    def shared(self, query_id: str, share: Share) -> Iterator[None]:
        """Know whose a query is, as long as it runs."""
        with self.changed:
            self.shares[query_id] = share
        try:
            yield
        finally:
            with self.changed:
                del self.shares[query_id]

    def try_take(
        self,
        query_id: str,
        preferred: int | None = None,
        avoided: frozenset[int] = frozenset(),
        *,
        is_short: bool = False,
    ) -> int | None:
        """A slot's executor if one is free and it is this query's turn.

        A query's one short task does not wait for the large ones of others.
        """
        with self.changed:
            if not is_turn(self.state, query_id, self.waiting, self.shares):
                return None
            beside = is_short and not self.state.count_of(query_id)
            executor = choose(self.state, preferred, avoided, beside=beside)
            if executor is not None:
                self.state = taken(self.state, executor, query_id)
            return executor

    def take(self, query_id: str, preferred: int | None, timeout: float, *, is_short: bool = False) -> int | None:
        """Wait for a slot."""
        with self.changed:
            self.waiting[query_id] += 1
        try:
            with self.changed:
                executor = self.try_take(query_id, preferred, is_short=is_short)
                if executor is None:
                    self.changed.wait(timeout)
            return executor if executor is not None else self.try_take(query_id, preferred, is_short=is_short)
        finally:
            with self.changed:
                self.waiting[query_id] -= 1
                self.changed.notify_all()

    def take_small(self, preferred: int | None, avoided: frozenset[int]) -> int | None:
        """The executor of a task that needs no slot; None if all are down."""
        with self.changed:
            executor = choose_for_small(self.state, self.small, preferred, avoided)
            if executor is not None:
                self.small[executor] += 1
            return executor

    def release_small(self, executor: int) -> None:
        """Note that such a task has ended."""
        with self.changed:
            self.small[executor] -= 1

    def tasks_of(self, executor: int) -> int:
        """Tasks that an executor runs, those without a slot too."""
        running = self.state.running
        return self.small[executor] + (running[executor] if executor < len(running) else 0)

    def set_up(self, executor: int, is_up: bool) -> None:
        """Note that an executor went down, or that its replacement came up."""
        with self.changed:
            if self.state.up:
                self.last_up = time.monotonic()
            self.state = came_up(self.state, executor) if is_up else went_down(self.state, executor)
            self.changed.notify_all()

    def grow(self) -> None:
        """Note that there is one more executor, which is being started."""
        with self.changed:
            self.state = grown(self.state)

    def wait(self, timeout: float) -> None:
        """Wait until something changes."""
        with self.changed:
            self.changed.wait(timeout)

    @property
    def seconds_down(self) -> float:
        """How long there has been no executor at all."""
        return 0.0 if self.state.up else time.monotonic() - self.last_up

    def release(self, executor: int, query_id: str) -> None:
        """Give a slot back."""
        with self.changed:
            self.state = released(self.state, executor, query_id)
            self.changed.notify_all()
