"""The resolved logical plan: what analysis makes of a relation, and the optimizer rewrites.

Every node knows its ``output``: attributes under unique ids. Names matter only at the very top. A relation
that occurs twice is resolved twice, under fresh ids, so no id occurs in both inputs of a join.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from voltray.proto.expressions import Alias, Attribute, Call, Expression, PythonCall, SortOrder, to_attribute
from voltray.proto.python_planning import PlanningRequest
from voltray.proto.types import DataType, StructType


@dataclass(frozen=True, slots=True)
class LogicalPlan:
    """Base of all resolved nodes."""

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The columns of the result, in order."""
        raise TypeError(f"{type(self).__name__} has no output")


@dataclass(frozen=True, slots=True)
class Leaf(LogicalPlan):
    """A node without children whose attributes are given."""

    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The attributes given."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class OneRow(Leaf):
    """One row without columns."""

    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalData(Leaf):
    """Rows held as an Arrow table whose columns are named and typed as ``carrier`` has them, under column ids by order.

    ``data`` is a ``pyarrow.Table`` or a handle of one that the scheduler knows (an object reference).
    """

    data: Any = field(compare=False, default=None)
    num_rows: int | None = None


@dataclass(frozen=True, slots=True)
class CachedData(Leaf):
    """Partitions that are kept on the executors (cache, persist, checkpoint), under an id of the session.

    ``column_ids`` are the ids under which the stored columns are named, in the order of ``attributes``.
    """

    cache_id: str = ""
    column_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Range(Leaf):
    """Consecutive integers."""

    start: int = 0
    end: int = 0
    step: int = 1
    num_partitions: int | None = None


@dataclass(frozen=True, slots=True)
class FileScan(Leaf):
    """Files of one format. ``attributes`` are the columns to read: data columns by their names in the files
    (``schema``), then partition columns (``partition_schema``), then ``_metadata`` where asked for.

    ``files`` are ``executors.sources.base.SourceFile`` s; ``predicate`` is what was pushed down (a filter above stays
    unless the scan applies it exactly); ``limit`` a bound on rows that may be read.
    """

    format: str = ""
    files: tuple[Any, ...] = ()
    schema: StructType = field(default_factory=StructType)
    partition_schema: StructType = field(default_factory=StructType)
    options: tuple[tuple[str, str], ...] = ()
    predicate: Expression | None = None
    limit: int | None = None
    runtime_filters: tuple[Expression, ...] = ()
    """Conditions that planning finds from the other sides of joins; the scan applies them exactly."""
    statistics: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """What ANALYZE TABLE found: ``rows``, and ``column.property`` for columns."""
    table: tuple[str, ...] = ()
    table_version: int = 0
    """Counts the changes to a table: what was persisted of an older version is computed anew."""


@dataclass(frozen=True, slots=True)
class Project(LogicalPlan):
    """New columns from each row."""

    child: LogicalPlan
    items: tuple[Alias | Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """One attribute an item."""
        return tuple([to_attribute(i) for i in self.items])


@dataclass(frozen=True, slots=True)
class SameOutput(LogicalPlan):
    """Base of nodes whose output is their child's."""

    child: LogicalPlan

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The child's."""
        return self.child.output


@dataclass(frozen=True, slots=True)
class Filter(SameOutput):
    """Rows for which a condition holds."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class BloomFilter(SameOutput):
    """Rows whose value of ``column`` may, as one of ``dtype``, be in a Bloom filter; planning puts it above a scan."""

    column: Attribute
    dtype: DataType
    data: Any = field(compare=False)
    """The filter's words, as a pyarrow.Table of one column."""


@dataclass(frozen=True, slots=True)
class Join(LogicalPlan):
    """kind: inner, cross, left, right, full, left_semi, left_anti, or existence (``exists`` is then the added
    Boolean attribute) or left_single (a scalar subquery: an error when a left row has two matches).

    ``lateral``: the right side may hold OuterReferences to the left (gone after decorrelation).
    ``null_aware``: NOT IN's anti join.
    """

    left: LogicalPlan
    right: LogicalPlan
    kind: str
    condition: Expression | None = None
    hint: str = ""
    exists: Attribute | None = None
    lateral: bool = False
    null_aware: bool = False

    @property
    def output(self) -> tuple[Attribute, ...]:
        """Left and right attributes, nullable on the side that an outer join may fill with NULLs."""
        left, right = self.left.output, self.right.output
        if self.kind in ("left_semi", "left_anti"):
            return left
        if self.kind == "existence":
            assert self.exists is not None
            return (*left, self.exists)
        if self.kind in ("right", "full"):
            left = tuple([replace(a, nullable=True) for a in left])
        if self.kind in ("left", "full", "left_single"):
            right = tuple([replace(a, nullable=True) for a in right])
        return left + right


@dataclass(frozen=True, slots=True)
class AsOfJoin(LogicalPlan):
    """Each left row with the nearest right row. kind: inner or left; direction: backward, forward, nearest."""

    left: LogicalPlan
    right: LogicalPlan
    left_as_of: Expression
    right_as_of: Expression
    condition: Expression | None
    kind: str
    tolerance: Expression | None
    allow_exact_matches: bool
    direction: str

    @property
    def output(self) -> tuple[Attribute, ...]:
        """Left then right attributes."""
        right = tuple([replace(a, nullable=True) for a in self.right.output])
        return self.left.output + (right if self.kind == "left" else self.right.output)


@dataclass(frozen=True, slots=True)
class Union(LogicalPlan):
    """All rows of all children, by position; ``attributes`` are fresh."""

    children: tuple[LogicalPlan, ...]
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The attributes given."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class SetOperation(LogicalPlan):
    """intersect or except (``is_all``: with multiplicities); output is the left's ids."""

    left: LogicalPlan
    right: LogicalPlan
    kind: str
    is_all: bool

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The left's attributes; those of an intersection are null only where both sides may be."""
        if self.kind == "except":
            return self.left.output
        both = zip(self.left.output, self.right.output, strict=True)
        return tuple([replace(a, nullable=a.nullable and b.nullable) for a, b in both])


@dataclass(frozen=True, slots=True)
class Aggregate(LogicalPlan):
    """Groups and aggregates. ``groups`` are attributes of the child (computed below by a Project);
    ``aggregates`` are aliases of bare AggregateCalls. Arithmetic over them stands in a Project above.
    Without groups there is one row, also for no input.
    """

    child: LogicalPlan
    groups: tuple[Attribute, ...]
    aggregates: tuple[Alias, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """Groups, then aggregates."""
        return self.groups + tuple([to_attribute(a) for a in self.aggregates])


@dataclass(frozen=True, slots=True)
class Expand(LogicalPlan):
    """Each row once for each projection (grouping sets, unpivot); ``attributes`` are the fresh output."""

    child: LogicalPlan
    projections: tuple[tuple[Expression, ...], ...]
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The attributes given."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class Window(LogicalPlan):
    """Adds ``items`` (aliases of WindowCalls that share partitioning and order) to each row.

    Partition and order expressions are attributes of the child.
    """

    child: LogicalPlan
    items: tuple[Alias, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The child's, then the items."""
        return self.child.output + tuple([to_attribute(i) for i in self.items])


@dataclass(frozen=True, slots=True)
class Generate(LogicalPlan):
    """Each row joined with the rows that a generator makes of it (``outer``: at least one)."""

    child: LogicalPlan
    generator: Call
    attributes: tuple[Attribute, ...]
    outer: bool = False

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The child's, then the generator's."""
        return self.child.output + self.attributes


@dataclass(frozen=True, slots=True)
class Sort(SameOutput):
    """Rows in order; within partitions where not ``is_global``."""

    orders: tuple[SortOrder, ...]
    is_global: bool = True


@dataclass(frozen=True, slots=True)
class Limit(SameOutput):
    """At most ``limit`` rows after ``offset``; ``limit`` None: all. From the end where ``tail``."""

    limit: int | None
    offset: int = 0
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Deduplicate(SameOutput):
    """One row (the first met) for each value of ``keys``."""

    keys: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Sample(SameOutput):
    """A random part of the rows."""

    lower: float
    upper: float
    with_replacement: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Repartition(SameOutput):
    """kind: round_robin, coalesce, hash, range or direct; ``expressions`` are SortOrders for range."""

    kind: str
    num_partitions: int | None
    expressions: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectMetrics(SameOutput):
    """Passes rows on and computes aggregates over them, reported under a name."""

    name: str
    metrics: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class ShowString(LogicalPlan):
    """One row with the child drawn as text (style "text", "vertical") or HTML (style "html").

    The child gives strings only, at most ``num_rows`` + 1 of them, and has named them as they are to be shown.
    """

    child: LogicalPlan
    style: str
    num_rows: int
    truncate: int
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The one column of text."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class MapInPython(LogicalPlan):
    """Rows made of each partition by a user's Python function, which gets the columns ``inputs``."""

    child: LogicalPlan
    call: PythonCall
    inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The function's columns."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class TableFunctionInPython(LogicalPlan):
    """Each row joined with those that a user's table function makes of it; ``call`` has its arguments.

    ``keys`` and ``orders`` are how the rows of a table argument are spread and ordered; with ``single`` they all
    go to one task.
    """

    child: LogicalPlan
    call: PythonCall
    attributes: tuple[Attribute, ...]
    keys: tuple[Attribute, ...] = ()
    orders: tuple[SortOrder, ...] = ()
    single: bool = False
    partition_indexes: tuple[int, ...] = ()
    analyze_result: bytes | None = None
    table_offsets: tuple[int, ...] = ()

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The child's, then the function's."""
        return self.child.output + self.attributes


@dataclass(frozen=True, slots=True)
class PythonPlanning(Leaf):
    """One row: a worker's encoded reply to a request."""

    request: PlanningRequest | None = None
    python_version: str = ""


@dataclass(frozen=True, slots=True)
class PythonSource(Leaf):
    """A user's data source (pickled) before it has said how it is read."""

    source: bytes = b""
    schema: StructType = field(default_factory=StructType)
    python_version: str = ""


@dataclass(frozen=True, slots=True)
class PythonScan(Leaf):
    """The rows of a user's data source: ``call`` reads a partition."""

    call: PythonCall | None = None
    partitions: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class MapGroupsInPython(LogicalPlan):
    """Rows made of each group by a user's Python function."""

    child: LogicalPlan
    call: PythonCall
    keys: tuple[Attribute, ...]
    inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The function's columns."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class MapCogroupsInPython(LogicalPlan):
    """Rows made of each pair of groups with one key by a user's Python function."""

    left: LogicalPlan
    right: LogicalPlan
    call: PythonCall
    left_keys: tuple[Attribute, ...]
    right_keys: tuple[Attribute, ...]
    left_inputs: tuple[Attribute, ...]
    right_inputs: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The function's columns."""
        return self.attributes


def children_of(plan: LogicalPlan) -> tuple[LogicalPlan, ...]:
    """The direct inputs of a node (not the plans of its subquery expressions)."""
    match plan:
        case Leaf():
            return ()
        case Join() | AsOfJoin() | SetOperation() | MapCogroupsInPython():
            return (plan.left, plan.right)
        case Union():
            return plan.children
    if hasattr(plan, "left"):
        return (plan.left, plan.right)  # type: ignore[attr-defined]
    return (plan.child,)  # type: ignore[attr-defined]


def with_children(plan: LogicalPlan, children: tuple[LogicalPlan, ...]) -> LogicalPlan:
    """The node over other inputs; itself where they are the same objects."""
    if all(a is b for a, b in zip(children_of(plan), children, strict=True)):
        return plan
    match plan:
        case Join() | AsOfJoin() | SetOperation() | MapCogroupsInPython():
            return replace(plan, left=children[0], right=children[1])
        case Union():
            return replace(plan, children=children)
    if len(children) == 2:
        return replace(plan, left=children[0], right=children[1])  # type: ignore[call-arg]
    return replace(plan, child=children[0])  # type: ignore[call-arg]


def walk(plan: LogicalPlan) -> Iterator[LogicalPlan]:
    """Every node, the plan itself first, without recursion."""
    stack = [plan]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children_of(node)))


def expressions_of(plan: LogicalPlan) -> Iterator[Expression]:
    """The expressions that stand in a node itself."""
    for f in fields(plan):
        value = getattr(plan, f.name)
        if isinstance(value, Expression):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Expression):
                    yield item
                elif isinstance(item, tuple):
                    yield from (part for part in item if isinstance(part, Expression))


def schema_of(plan: LogicalPlan) -> StructType:
    """The Spark schema of a plan's result."""
    from voltray.proto.types import StructField

    return StructType([StructField(a.name, a.dtype, a.nullable, dict(a.metadata)) for a in plan.output])
