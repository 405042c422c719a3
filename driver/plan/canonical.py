"""Plans by what they compute: two plans with the same digest give the same rows.

Names, aliases and column ids do not count; a reference counts by its position in the input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pyarrow as pa

from voltray.driver.plan.logical import (
    CachedData,
    CollectMetrics,
    Expand,
    FileScan,
    Generate,
    Leaf,
    LocalData,
    LogicalPlan,
    Union,
    children_of,
)
from voltray.proto.expressions import Alias, Attribute, Lambda, LambdaVariable
from voltray.proto.types import DataType

Positions = Mapping[int, str]
# Fields that name things, or are written by position instead.
_UNTOLD: dict[type, frozenset[str]] = {
    Alias: frozenset({"name", "expr_id", "metadata"}),
    CollectMetrics: frozenset({"name", "metrics"}),
    Expand: frozenset({"attributes"}),
    Generate: frozenset({"attributes"}),
    Union: frozenset({"attributes"}),
    FileScan: frozenset({"statistics"}),
    LocalData: frozenset({"attributes", "data", "num_rows"}),
    CachedData: frozenset({"attributes", "column_ids"}),
}
# A table stays the same table as its files change.
_OF_A_VERSION = frozenset({"files", "table_version"})
_PLAN_FIELDS = frozenset({"child", "left", "right", "children"})


def plan_digest(plan: LogicalPlan) -> str:
    """The digest of a plan."""
    return plan_digests(plan)[id(plan)]


def plan_digests(plan: LogicalPlan) -> dict[int, str]:
    """The digests of a plan and of every plan below it, by ``id`` of the node; without recursion over plans."""
    digests: dict[int, str] = {}
    stack: list[tuple[LogicalPlan, bool]] = [(plan, False)]
    while stack:
        node, ready = stack.pop()
        if id(node) in digests:
            continue
        children = children_of(node)
        if not ready and children:
            stack.append((node, True))
            stack.extend((child, False) for child in children)
            continue
        digests[id(node)] = _digest(node, [digests[id(child)] for child in children])
    return digests


def _digest(node: LogicalPlan, children: list[str]) -> str:
    sha = hashlib.sha256(type(node).__name__.encode())
    positions: dict[int, str] = {}
    for place, child in enumerate(children_of(node)):
        for ordinal, attribute in enumerate(child.output):
            positions.setdefault(attribute.expr_id, f"@{place}.{ordinal}")
    for child_digest in children:
        sha.update(child_digest.encode())
    untold = _UNTOLD.get(type(node), frozenset()) | _PLAN_FIELDS
    if isinstance(node, FileScan) and node.table:
        untold |= _OF_A_VERSION
    for entry in fields(node):
        if entry.name not in untold:
            for piece in _pieces(getattr(node, entry.name), positions):
                sha.update(piece.encode())
            sha.update(b"\0")
    if isinstance(node, Leaf):
        for attribute in node.attributes:
            name = attribute.name if isinstance(node, FileScan) else ""
            sha.update(f"{name}:{attribute.dtype.json()}:{attribute.nullable};".encode())
    if isinstance(node, LocalData):
        _update_with_data(sha, node.data)
    return sha.hexdigest()


def _pieces(value: Any, positions: Positions) -> Iterator[str]:
    match value:
        case Attribute():
            yield positions.get(value.expr_id, "@?")
        case LambdaVariable():
            yield positions.get(value.expr_id, "@lambda")
        case Lambda():
            inner = {p.expr_id: f"@lambda{len(positions)}.{i}" for i, p in enumerate(value.parameters)}
            yield "lambda("
            yield from _pieces(value.body, {**positions, **inner})
            yield ")"
        case LogicalPlan():
            yield plan_digest(value)
        case DataType():
            yield value.json()
        case Enum():
            yield value.name
        case tuple() | list():
            yield "("
            for item in value:
                yield from _pieces(item, positions)
                yield ","
            yield ")"
        case _ if is_dataclass(value) and not isinstance(value, type):
            untold = _UNTOLD.get(type(value), frozenset())
            yield type(value).__name__ + "("
            for entry in fields(value):
                if entry.compare and entry.name not in untold:
                    yield from _pieces(getattr(value, entry.name), positions)
                    yield ","
            yield ")"
        case _:
            yield repr(value)


def _update_with_data(sha: Any, data: Any) -> None:
    if not isinstance(data, pa.Table):
        sha.update(repr(data).encode())
        return
    sha.update(str(data.schema.types).encode())
    for column in data.combine_chunks().columns:
        for chunk in column.chunks:
            sha.update(f"{len(chunk)}:{chunk.offset};".encode())
            for buffer in chunk.buffers():
                sha.update(b"-" if buffer is None else memoryview(buffer))
