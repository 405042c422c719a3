"""``input_file_name()`` and its relatives become fields of the hidden ``_metadata`` column of the scan below."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voltray.driver.analysis.exposing import exposed
from voltray.driver.analysis.file_metadata import metadata_attribute
from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan.logical import FileScan, Filter, LogicalPlan, Project, children_of
from voltray.executors.sources.base import METADATA_COLUMN
from voltray.executors.sources.metadata import field_names
from voltray.proto import expressions as e
from voltray.proto.types import INTEGER, LONG, STRING, DataType

# Function -> the field of the column and its type.
_FIELDS: dict[str, tuple[str, DataType]] = {
    "input_file_name": ("file_path", STRING),
    "input_file_block_start": ("file_block_start", LONG),
    "input_file_block_length": ("file_block_length", LONG),
}
_TO_THE_END = 2147483647


def name_input_files(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Answer from the scan that a projection or filter stands on; above a join or aggregation no file is known."""
    return transform_up(plan, _answered)


def _answered(node: LogicalPlan) -> LogicalPlan:
    if not isinstance(node, Project | Filter):
        return node
    asked = node.items if isinstance(node, Project) else (node.condition,)
    if not any(_asks(part) for item in asked for part in e.walk(item)):
        return node
    scan = _scan_below(node.child)
    if scan is None:
        return node
    shown = next((a for a in scan.attributes if a.name == METADATA_COLUMN and a.metadata), None)
    column = shown or metadata_attribute(scan)
    child = exposed(node.child, frozenset((column.expr_id,)))
    if all(a.expr_id != column.expr_id for a in child.output):
        return node

    def answer(part: e.Expression) -> e.Expression:
        return _field(part.name, column) if _asks(part) and isinstance(part, e.Call) else part

    if isinstance(node, Project):
        items = tuple(e.transform_up(item, answer) for item in node.items)
        return Project(child, items)  # type: ignore[arg-type]
    filtered = replace(node, child=child, condition=e.transform_up(node.condition, answer))
    return Project(filtered, node.output)


def _asks(expression: e.Expression) -> bool:
    return isinstance(expression, e.Call) and expression.name in _FIELDS


def _scan_below(plan: LogicalPlan) -> FileScan | None:
    while not isinstance(plan, FileScan):
        children = children_of(plan)
        if len(children) != 1:
            return None
        plan = children[0]
    return plan


def _field(function: str, column: e.Attribute) -> e.Expression:
    name, dtype = _FIELDS[function]
    ordinal = field_names(column.dtype).index(name)
    value = e.Call("get_field", (column,), dtype, False, options=(("field", ordinal),))
    if name != "file_path":
        return value
    # The column has file:/a/b, the function file:///a/b.
    start, length = e.Literal(len("file:") + 1, INTEGER), e.Literal(_TO_THE_END, INTEGER)
    path = e.Call("substring", (value, start, length), STRING, False)
    return e.Call("concat", (e.Literal("file://", STRING), path), STRING, False)
