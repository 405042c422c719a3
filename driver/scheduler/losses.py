"""What says that a part of the cluster is gone, and which of a stage's outputs went with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from voltray.driver.scheduler.lineage import StoredStage, TaskOutcome


class SpillLoss(Exception):
    """A file of exchanged rows is gone."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


# What says that the executor itself is gone.
DEATHS = (
    ray.exceptions.RayActorError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.OutOfMemoryError,
)
# What says that a process or a node is gone, rather than that the task's work failed.
LOSSES = (*DEATHS, SpillLoss, ray.exceptions.ObjectLostError, ray.exceptions.ObjectFetchTimedOutError)


def lost_outputs(stored: StoredStage, loss: BaseException) -> tuple[int, ...]:
    """The tasks of a stage that have no output (any more)."""
    tasks = stored.state.tasks
    pieces = {p.hex(): p for t in tasks if t.outcome is not None for p in t.outcome.pieces}
    gone = _lost(tuple(pieces.values())) | {getattr(loss, "object_ref_hex", "")}
    file = loss.path if isinstance(loss, SpillLoss) else ""
    return tuple([i for i, t in enumerate(tasks) if t.outcome is None or _is_gone(t.outcome, gone, file)])


def _is_gone(outcome: TaskOutcome, gone: frozenset[str], file: str) -> bool:
    if file and outcome.report.spilled == file:
        return True
    return any(piece.hex() in gone for piece in outcome.pieces)


def _lost(pieces: Sequence[Any]) -> frozenset[str]:
    """Those of some objects that are nowhere, or only on nodes that are dead."""
    if not pieces:
        return frozenset()
    try:
        _, pending = ray.wait(list(pieces), num_returns=len(pieces), timeout=0, fetch_local=False)
        # Asked of this process, which owns them; asking others for theirs ended it where one owner was dead.
        places = ray.experimental.get_local_object_locations(list(pieces))
    except (ray.exceptions.RayError, ValueError):
        # One whose owner is dead spoils the answer for all.
        return frozenset([p.hex() for p in pieces]) if len(pieces) == 1 else _lost_of_halves(pieces)
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    waiting = frozenset([p.hex() for p in pending])
    return frozenset([p.hex() for p in pieces if p.hex() in waiting or _is_nowhere(p, places.get(p), alive)])


def _is_nowhere(piece: Any, place: Mapping[str, Any] | None, alive: set[str]) -> bool:
    """Whether Ray does not know an object, has it on dead nodes alone, or has nothing but an error in its place."""
    if place is None:
        return True
    if nodes := place.get("node_ids"):
        return not alive.intersection(nodes)
    if place.get("did_spill"):
        return False
    try:  # on no node: a small one, which its owner holds, or the error that it has become
        ray.get(piece, timeout=0)
    except ray.exceptions.RayError:
        return True
    return False


def _lost_of_halves(pieces: Sequence[Any]) -> frozenset[str]:
    middle = len(pieces) // 2
    return _lost(pieces[:middle]) | _lost(pieces[middle:])
