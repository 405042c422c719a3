"""Looks after the executors: one that died or answers no more is replaced, whether or not a query waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

_log = logging.getLogger(__name__)
_ROUNDS_IN_SILENCE = 12


@dataclass(frozen=True, slots=True)
class ExecutorHandle:
    """One executor's actor; ``generation`` counts its replacements."""

    index: int
    generation: int
    actor: Any
    node_id: str


class Executors(Protocol):
    """What is looked after (``driver.scheduler.cluster.Cluster``)."""

    def executors_up(self) -> Iterator[ExecutorHandle]:
        """Executors that answered once and are not being replaced."""

    def replace(self, dead: ExecutorHandle) -> None:
        """Start another executor in place of a dead one."""


class ExecutorWatch:
    """Asks each executor now and then for a sign of life, and ends one that owes it for too long."""

    def __init__(self, executors: Executors, silence_seconds: float) -> None:
        self._executors = executors
        self._silence_seconds = silence_seconds
        self._stopped = threading.Event()
        self._owed: dict[ExecutorHandle, tuple[Any, float]] = {}
        threading.Thread(target=self._run, name="executor-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._silence_seconds / _ROUNDS_IN_SILENCE):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - the watch goes on whatever one look met
                if not self._stopped.is_set():
                    _log.exception("looking after the executors failed")

    def _look(self) -> None:
        import ray

        up = tuple(self._executors.executors_up())
        self._owed = {handle: owed for handle, owed in self._owed.items() if handle in up}
        for handle in up:
            reference, since = self._owed.pop(handle, (None, 0.0))
            if reference is not None:
                answered, _ = ray.wait([reference], timeout=0)
                if answered and not _answer(reference):
                    self._executors.replace(handle)
                    continue
                if not answered:
                    if time.monotonic() - since < self._silence_seconds:
                        self._owed[handle] = (reference, since)
                    else:
                        self._end(handle)
                    continue
            self._owed[handle] = (handle.actor.ping.remote(), time.monotonic())

    def _end(self, handle: ExecutorHandle) -> None:
        import ray

        _log.error("executor %d gave no answer for %.0f s; it is ended", handle.index, self._silence_seconds)
        ray.kill(handle.actor)
        self._executors.replace(handle)


def _answer(reference: Any) -> bool:
    import ray

    try:
        ray.get(reference)
    except ray.exceptions.RayError:
        return False
    return True
