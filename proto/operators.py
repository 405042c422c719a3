"""Physical operators: the tree that a stage's task runs as one Polars LazyFrame.

Columns are named by attribute ids (``proto.expressions.column_name``). Each operator has the same basename
in ``driver/planning``, ``executors/operators`` and ``tests/executors/operators``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from voltray.proto.expressions import Alias, Attribute, Call, Expression, PythonCall, SortOrder
from voltray.proto.python_planning import PlanningRequest
from voltray.proto.types import DataType, StructType


@dataclass(frozen=True, slots=True)
class Operator:
    """Base of all physical operators."""


@dataclass(frozen=True, slots=True)
class OneRow(Operator):
    """One row without columns (held as a single null column inside Polars)."""


@dataclass(frozen=True, slots=True)
class LocalScan(Operator):
    """An Arrow table in the plan itself or in the object store; its columns are ``attributes`` by position."""

    attributes: tuple[Attribute, ...]
    data: Any = field(compare=False)
    """A pyarrow.Table, or what ``ray.get`` makes one of (the task runner resolves it before compiling)."""


@dataclass(frozen=True, slots=True)
class PartitionRead(Operator):
    """One partition of an exchange or a cache; the task runner hands its Arrow tables to the compiler by ``key``."""

    attributes: tuple[Attribute, ...]
    key: str


@dataclass(frozen=True, slots=True)
class RangeScan(Operator):
    """Consecutive integers (this task's part of them)."""

    attribute: Attribute
    start: int
    end: int
    step: int


@dataclass(frozen=True, slots=True)
class FileScan(Operator):
    """Files of one format (this task's part of them); see ``driver.plan.logical.FileScan``."""

    attributes: tuple[Attribute, ...]
    format: str
    files: tuple[Any, ...]
    schema: StructType
    partition_schema: StructType
    options: tuple[tuple[str, str], ...] = ()
    predicate: Expression | None = None
    limit: int | None = None
    runtime_filters: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Project(Operator):
    """New columns; only the items remain."""

    child: Operator
    items: tuple[Alias | Attribute, ...]


@dataclass(frozen=True, slots=True)
class Filter(Operator):
    """Rows for which the condition is true (not NULL)."""

    child: Operator
    condition: Expression


@dataclass(frozen=True, slots=True)
class BloomFilter(Operator):
    """Rows whose value of ``column`` may be in a Bloom filter of values of ``dtype``; what is in it surely passes, NULL
    does not."""

    child: Operator
    column: Attribute
    dtype: DataType
    data: Any = field(compare=False)
    """The filter's words: a pyarrow.Table of one column, or what stands for it on the way."""


@dataclass(frozen=True, slots=True)
class HashJoin(Operator):
    """Equi-join on attributes of either side, with a further condition on matching pairs.

    kind as in ``logical.Join``; ``null_safe`` says of each key pair whether NULL equals NULL (``<=>``).
    ``exists`` is the added attribute of an existence join. Output: left columns then right columns.
    """

    left: Operator
    right: Operator
    kind: str
    left_keys: tuple[Attribute, ...]
    right_keys: tuple[Attribute, ...]
    null_safe: tuple[bool, ...]
    left_output: tuple[Attribute, ...]
    right_output: tuple[Attribute, ...]
    condition: Expression | None = None
    exists: Attribute | None = None
    null_aware: bool = False
    build_side: str = "auto"


@dataclass(frozen=True, slots=True)
class NestedLoopJoin(Operator):
    """A join without key pairs: every pair of rows is tried (cross joins too)."""

    left: Operator
    right: Operator
    kind: str
    left_output: tuple[Attribute, ...]
    right_output: tuple[Attribute, ...]
    condition: Expression | None = None
    exists: Attribute | None = None


@dataclass(frozen=True, slots=True)
class AsOfJoin(Operator):
    """Each left row with its nearest right row; see ``logical.AsOfJoin``."""

    left: Operator
    right: Operator
    left_as_of: Expression
    right_as_of: Expression
    condition: Expression | None
    kind: str
    tolerance: Expression | None
    allow_exact_matches: bool
    direction: str
    left_output: tuple[Attribute, ...] = ()
    right_output: tuple[Attribute, ...] = ()


class AggregateMode(Enum):
    """Which part of an aggregation an operator does."""

    WHOLE = "whole"
    PARTIAL = "partial"
    MERGE = "merge"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Aggregate(Operator):
    """Group-by. PARTIAL puts out the groups and, for aggregate i, the buffer columns ``#<id>.<buffer name>``;
    FINAL merges those; MERGE does, and puts buffers out again. Without groups WHOLE and FINAL give exactly one row.
    """

    child: Operator
    groups: tuple[Attribute, ...]
    aggregates: tuple[Alias, ...]
    mode: AggregateMode = AggregateMode.WHOLE


@dataclass(frozen=True, slots=True)
class Expand(Operator):
    """Each row once for each projection."""

    child: Operator
    projections: tuple[tuple[Expression, ...], ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Window(Operator):
    """Adds window columns; partition and order keys are attributes. All partitions' rows are here whole."""

    child: Operator
    items: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Generate(Operator):
    """Each row with the rows a generator makes of it; ``child_output`` are the child's columns to keep."""

    child: Operator
    generator: Call
    attributes: tuple[Attribute, ...]
    outer: bool
    child_output: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Sort(Operator):
    """Rows of this task in order (stable)."""

    child: Operator
    orders: tuple[SortOrder, ...]


@dataclass(frozen=True, slots=True)
class TopK(Operator):
    """The first ``count`` rows in order."""

    child: Operator
    orders: tuple[SortOrder, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Limit(Operator):
    """At most ``limit`` rows (None: all) after ``offset``; the last ones where ``tail``."""

    child: Operator
    limit: int | None
    offset: int = 0
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Union(Operator):
    """All rows of all children, by position, under the attributes given."""

    children: tuple[Operator, ...]
    child_outputs: tuple[tuple[Attribute, ...], ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SetOperation(Operator):
    """intersect or except of whole inputs (equal rows meet in one task), NULL equal to NULL."""

    left: Operator
    right: Operator
    kind: str
    is_all: bool
    left_output: tuple[Attribute, ...]
    right_output: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Recursion(Operator):
    """``left`` once, then ``right`` over the rows of the level before until there are none; see ``plan.recursion``."""

    left: Operator
    right: Operator
    left_output: tuple[Attribute, ...]
    right_output: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]
    loop_id: str
    level_limit: int | None = None
    row_limit: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class RecursionRead(Operator):
    """The rows of the last level of the recursion around it, by position."""

    attributes: tuple[Attribute, ...]
    loop_id: str


@dataclass(frozen=True, slots=True)
class Deduplicate(Operator):
    """The first row for each value of the keys."""

    child: Operator
    keys: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Sample(Operator):
    """A random part of the rows, the same for the same seed and partition."""

    child: Operator
    lower: float
    upper: float
    with_replacement: bool
    seed: int


@dataclass(frozen=True, slots=True)
class CollectMetrics(Operator):
    """Passes rows on; the aggregates over them go into the task's result under ``name``."""

    child: Operator
    name: str
    metrics: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class ShowString(Operator):
    """Draws the child's rows (all strings) as text; see ``logical.ShowString``."""

    child: Operator
    style: str
    num_rows: int
    truncate: int
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    child_output: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class MapInPython(Operator):
    """This task's rows through a user's Python function; ``inputs`` are the columns that it gets."""

    child: Operator
    call: PythonCall
    inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class TableFunctionInPython(Operator):
    """Each row of this task beside those that a user's table function makes of it."""

    child: Operator
    call: PythonCall
    inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]
    child_output: tuple[Attribute, ...] = ()
    partition_indexes: tuple[int, ...] = ()
    analyze_result: bytes | None = None
    table_offsets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PythonPlanning(Operator):
    """One row: a worker's encoded reply to a request."""

    attributes: tuple[Attribute, ...]
    request: PlanningRequest
    python_version: str


@dataclass(frozen=True, slots=True)
class PythonScan(Operator):
    """The rows of some partitions of a user's data source; ``call`` reads one of them."""

    attributes: tuple[Attribute, ...]
    call: PythonCall
    partitions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MapGroupsInPython(Operator):
    """Each group of rows, all of which are here, through a user's Python function."""

    child: Operator
    call: PythonCall
    keys: tuple[Attribute, ...]
    inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class MapCogroupsInPython(Operator):
    """Each pair of groups with one key, all of whose rows are here, through a user's Python function."""

    left: Operator
    right: Operator
    call: PythonCall
    left_keys: tuple[Attribute, ...]
    right_keys: tuple[Attribute, ...]
    left_inputs: tuple[Attribute, ...]
    right_inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class AggregateInPython(Operator):
    """Group-by with users' Python functions; rows of a group are all here."""

    child: Operator
    groups: tuple[Attribute, ...]
    aggregates: tuple[Alias, ...]


def children_of(operator: Operator) -> tuple[Operator, ...]:
    """The direct inputs of an operator."""
    if isinstance(operator, Union):
        return operator.children
    if hasattr(operator, "left"):
        return (operator.left, operator.right)  # type: ignore[attr-defined]
    return (operator.child,) if hasattr(operator, "child") else ()


def with_children(operator: Operator, children: tuple[Operator, ...]) -> Operator:
    """The operator over other inputs."""
    if isinstance(operator, Union):
        return replace(operator, children=children)
    if len(children) == 2:
        return replace(operator, left=children[0], right=children[1])  # type: ignore[call-arg]
    return replace(operator, child=children[0]) if children else operator  # type: ignore[call-arg]


def walk(operator: Operator) -> Iterator[Operator]:
    """Every operator, the root first."""
    stack = [operator]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children_of(node)))
