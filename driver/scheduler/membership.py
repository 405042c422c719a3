"""Follows the nodes of the Ray cluster: executors on new ones, an orderly end to those on nodes that are drained."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Protocol

from voltray.driver.scheduler.executor_watch import ExecutorHandle
from voltray.driver.scheduler.nodes import draining_nodes, node_with_room

_log = logging.getLogger(__name__)


class Members(Protocol):
    """Whose executors are looked after (``driver.scheduler.cluster.Cluster``)."""

    @property
    def size(self) -> int:
        """Number of executors."""

    def executors_up(self) -> Iterator[ExecutorHandle]:
        """Executors that take tasks."""

    def grow(self, node_id: str) -> None:
        """Start one more executor."""

    def drain(self, handle: ExecutorHandle) -> None:
        """Give an executor no more tasks, and end it once it has done those that it has."""


class Membership:
    """Looks at the nodes now and then."""

    def __init__(self, members: Members, most: int, cpus: int, seconds: float) -> None:
        self._members = members
        self._most = most
        self._cpus = cpus
        self._seconds = seconds
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="cluster-membership", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the watch goes on whatever one look met
                if not self._stopped.is_set():
                    _log.warning("the cluster's nodes could not be looked at", exc_info=True)

    def look(self) -> None:
        """Drain what is to go, and use what has come."""
        if leaving := draining_nodes():
            for handle in self._members.executors_up():
                if handle.node_id in leaving:
                    self._members.drain(handle)
        # One at a time, and none while another is on its way: what is free now may be meant for that one.
        if self._members.size < self._most and len(list(self._members.executors_up())) == self._members.size:
            node = node_with_room(self._cpus)
            if node is not None:
                self._members.grow(node)
