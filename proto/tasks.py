"""What a scheduler sends to an executor for one task, and what the executor answers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from voltray.proto.expressions import Attribute
from voltray.proto.key_summaries import KeySummary
from voltray.proto.operators import BloomFilter, LocalScan, Operator, children_of, with_children
from voltray.proto.session_files import PythonReport
from voltray.proto.stages import CacheOutput, Exchange, ResultOutput, WriteOutput

BY_PARTITION = "partition"
BY_MAP = "map"


@dataclass(frozen=True, slots=True)
class PartitionKey:
    """What a PartitionRead reads of a stage or cache: partitions, or the outputs of single map tasks (both ends in).

    ``maps``: of partitions, only what those tasks wrote.
    """

    source: str
    mode: str
    first: int
    last: int
    maps: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The key of a PartitionRead."""
        maps = "" if self.maps is None else f"@{self.maps[0]}-{self.maps[1]}"
        return f"{self.source}/{self.mode}/{self.first}-{self.last}{maps}"

    @classmethod
    def parse(cls, text: str) -> PartitionKey:
        """Read a key back."""
        source, mode, span = text.rsplit("/", 2)
        span, _, maps = span.partition("@")
        first, last = span.split("-")
        low, _, high = maps.partition("-")
        return cls(source, mode, int(first), int(last), (int(low), int(high)) if maps else None)


class BufferAttribute(Attribute):
    """A buffer column of a partial aggregate: named ``#<id>.<buffer>``, not by an id of its own."""

    __slots__ = ()

    @property
    def column(self) -> str:
        """The column's name as it is."""
        return self.name


class PieceSlice(NamedTuple):  # there are thousands in a task: dataclasses take five times as long to pickle
    """A part of one stored piece: the argument that holds it and the partitions to take (None: all)."""

    argument: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class TableArgument:
    """Stands for a LocalScan's table that travels as an argument of the call."""

    argument: int


@dataclass(frozen=True, slots=True)
class Task:
    """One partition's work of a stage."""

    query_id: str
    stage_id: int
    partition: int
    operator: Operator
    output: Exchange | ResultOutput | CacheOutput | WriteOutput
    attributes: tuple[Attribute, ...]
    context: Any
    """An ``EvaluationContext``, with this task's partition id."""
    pieces: tuple[tuple[str, tuple[PieceSlice, ...]], ...] = ()
    """For each PartitionRead key, what it reads."""
    destinations: int = 1
    """Number of objects into which an exchange's partitions are put."""
    streaming: bool = False
    """Whether the input is large: Polars' streaming engine, rather than its in-memory one."""
    spill_bytes: int = 0
    """For an exchange: more output than this goes to files rather than to the object store; 0: all to the store."""
    chunk_bytes: int = 0
    """About how much of the output is held at a time where it may go to files."""
    memory_bytes: int = 0
    """About how much memory the task takes, for its admission."""
    gated: bool = False
    """Whether the leaves look at the cancel flag as they go; it costs short tasks more than it is worth."""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What a task answers beside its data."""

    failure: str | None = None
    """The text of a SparkError."""
    rows: tuple[int, ...] = ()
    """Rows of each partition of an exchange."""
    bytes: tuple[int, ...] = ()
    """Bytes of each partition of an exchange."""
    metrics: tuple[tuple[str, Any], ...] = ()
    """Rows of partial buffers of each CollectMetrics node, as Arrow tables."""
    sample: Any = None
    """For an exchange that is to be range partitioned next: a sample of the sort keys, as an Arrow table."""
    summaries: tuple[KeySummary, ...] = ()
    """For an exchange that asks for them: what the task's rows have in some columns."""
    written: Any = None
    """The writer's report."""
    python: PythonReport | None = None
    """What Python workers said."""
    input_bytes: int = 0
    lost: str | None = None
    """A file of exchanged rows that is gone; the task that wrote it is to run again."""
    spilled: str | None = None
    """The file into which the task's output went."""
    began: float = 0.0
    """When the executor began it (seconds of the epoch, by its own clock)."""
    seconds: float = 0.0
    """How long the executor was at it."""


@dataclass(frozen=True, slots=True)
class ResultReply:
    """The start of a result task's answer: first batches, and where to get the rest of them."""

    batches: tuple[tuple[int, Any], ...] = ()
    """(row count, Arrow IPC stream) of each batch."""
    stream_id: str | None = None
    report: TaskReport = field(default_factory=TaskReport)


@dataclass(frozen=True, slots=True)
class _Flat:
    """A task whose operator tree is a list in post-order, so that no depth of a plan is too deep to pickle."""

    task: Task
    operators: tuple[tuple[Operator, int], ...]


_HOLE = Operator()


def encode_task(task: Task) -> bytes:
    """A task as bytes."""
    return pickle.dumps(_Flat(replace(task, operator=_HOLE), _flatten(task.operator)), protocol=5)


def decode_task(data: bytes) -> Task:
    """A task from :func:`encode_task`."""
    flat: _Flat = pickle.loads(data)
    built: list[Operator] = []
    for operator, count in flat.operators:
        inputs = tuple(built[len(built) - count :])
        del built[len(built) - count :]
        built.append(with_children(operator, inputs))
    return replace(flat.task, operator=built[0])


def _flatten(root: Operator) -> tuple[tuple[Operator, int], ...]:
    order: list[tuple[Operator, int]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        inputs = children_of(node)
        order.append((with_children(node, tuple([_HOLE] * len(inputs))), len(inputs)))
        stack.extend(inputs)
    order.reverse()
    return tuple(order)


def with_tables(operator: Operator, arguments: tuple[Any, ...]) -> Operator:
    """The tree with every TableArgument replaced by the argument it stands for."""
    memo: dict[int, Operator] = {}
    stack: list[tuple[Operator, bool]] = [(operator, False)]
    while stack:
        node, expanded = stack.pop()
        inputs = children_of(node)
        if not expanded:
            stack.append((node, True))
            stack.extend((child, False) for child in inputs)
        else:
            built = tuple([memo[id(child)] for child in inputs])
            same = all(a is b for a, b in zip(built, inputs, strict=True))
            made = node if same else with_children(node, built)
            if isinstance(made, LocalScan | BloomFilter) and isinstance(made.data, TableArgument):
                made = replace(made, data=arguments[made.data.argument])
            memo[id(node)] = made
    return memo[id(operator)]
