"""The nodes of the Ray cluster: which live, which are being drained, which have room for an executor."""

from __future__ import annotations

from typing import Any

import ray
import ray._private.state


def live_nodes() -> list[str]:
    """Ids of the live nodes that are not being drained (all, where that leaves none), those with most CPUs first."""
    leaving = draining_nodes()
    alive = [n for n in ray.nodes() if n["Alive"]]
    staying = [n for n in alive if n["NodeID"] not in leaving] or alive
    ordered = sorted(staying, key=lambda n: (-_cpus(n), n["NodeID"]))
    return [n["NodeID"] for n in ordered if _cpus(n)] or [n["NodeID"] for n in ordered]


def draining_nodes() -> frozenset[str]:
    """Ids of nodes that Ray was told to empty."""
    return frozenset(_state().get_draining_nodes())


def node_with_room(cpus: float) -> str | None:
    """A live node on which so many CPUs are free now; the one with most."""
    free = _state().available_resources_per_node()
    rooms = [(free.get(node, {}).get("CPU", 0.0), node) for node in live_nodes()]
    most, node = max(rooms, default=(0.0, ""))
    return node if most >= cpus else None


def is_unplaced(actor: Any) -> bool:
    """Whether an actor does not run yet."""
    state = _state().actor_table(actor._actor_id.hex()).get("State")
    return state in ("DEPENDENCIES_UNREADY", "PENDING_CREATION")


def _cpus(node: dict[str, Any]) -> float:
    return float(node["Resources"].get("CPU", 0))


def _state() -> Any:
    return ray._private.state.state
