"""Where a query's stages stand on the drawing: layers from left to right, an arrow for each input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voltray.proto.status import StageStatus

WIDTH, HEIGHT = 216, 112
ACROSS, DOWN, MARGIN = 64, 24, 12
MOST_STAGES = 200


@dataclass(frozen=True, slots=True)
class Node:
    """One stage, at its upper left corner."""

    stage: StageStatus
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from a stage to one that reads it, as the path of an SVG."""

    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole query."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    left_out: int


def draw(stages: Sequence[StageStatus]) -> Drawing:
    """Lay a query's stages out; of very many the last ones."""
    shown = stages[-MOST_STAGES:]
    layers = _layers(shown)
    most = max((len(layer) for layer in layers), default=0)
    height = most * HEIGHT + max(0, most - 1) * DOWN
    nodes: dict[int, Node] = {}
    for column, layer in enumerate(layers):
        used = len(layer) * HEIGHT + (len(layer) - 1) * DOWN
        for row, stage in enumerate(layer):
            x = MARGIN + column * (WIDTH + ACROSS)
            y = MARGIN + (height - used) // 2 + row * (HEIGHT + DOWN)
            nodes[stage.stage_id] = Node(stage, x, y)
    edges = tuple(
        [_edge(nodes[i], nodes[s.stage_id]) for s in shown for i in s.inputs if i in nodes and s.stage_id in nodes]
    )
    width = len(layers) * WIDTH + max(0, len(layers) - 1) * ACROSS + 2 * MARGIN
    return Drawing(tuple(nodes.values()), edges, width, height + 2 * MARGIN, len(stages) - len(shown))


def _layers(stages: Sequence[StageStatus]) -> list[list[StageStatus]]:
    """Stages by the length of the longest way to them; within a layer near to what they read. Inputs come first."""
    depth: dict[int, int] = {}
    for stage in stages:
        depth[stage.stage_id] = max((depth[i] + 1 for i in stage.inputs if i in depth), default=0)
    layers: list[list[StageStatus]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for stage in {s.stage_id: s for s in stages}.values():
        layers[depth[stage.stage_id]].append(stage)
    place: dict[int, float] = {}
    for layer in layers:
        if place:
            layer.sort(key=lambda s: _middle(s, place))
        for row, stage in enumerate(layer):
            place[stage.stage_id] = row - len(layer) / 2
    return layers


def _middle(stage: StageStatus, place: dict[int, float]) -> float:
    known = [place[i] for i in stage.inputs if i in place]
    return sum(known) / len(known) if known else 0.0


def _edge(source: Node, target: Node) -> Edge:
    x1, y1 = source.x + WIDTH, source.y + HEIGHT // 2
    x2, y2 = target.x - 7, target.y + HEIGHT // 2
    bend = max(24, (x2 - x1) // 2)
    return Edge(f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}")
