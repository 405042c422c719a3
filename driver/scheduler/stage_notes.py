"""What the pages tell of a stage, taken from the stage itself and from its tasks' reports."""

from __future__ import annotations

from collections.abc import Iterable

from voltray.driver.monitoring.stages import QueryNotes, StageNotes
from voltray.driver.planning.explain import operator_line
from voltray.driver.scheduler.lineage import CACHE_PREFIX, StoredStage
from voltray.proto import operators
from voltray.proto.operators import Operator
from voltray.proto.stages import CacheOutput, Exchange, WriteOutput
from voltray.proto.tasks import TaskReport

_MOST_LINES = 60
_LONGEST_LINE = 400


def begin_notes(query: QueryNotes, stored: StoredStage) -> StageNotes:
    """Begin a stage's notes; its inputs are known by now."""
    stage = stored.stage
    caches = tuple([s.removeprefix(CACHE_PREFIX) for s in stored.inputs if s.startswith(CACHE_PREFIX)])
    stages = tuple([int(s) for s in stored.inputs if not s.startswith(CACHE_PREFIX)])
    return query.stage(
        stage.stage_id,
        kind_of(stored),
        len(stage.tasks),
        partitions=stored.num_partitions,
        inputs=stages,
        caches=caches,
        file_bytes=_file_bytes(stage.tasks),
        operators=_Operators(stage.tasks[0]) if stage.tasks else _no_operators,
    )


def kind_of(stored: StoredStage) -> str:
    """What becomes of a stage's rows."""
    match stored.stage.output:
        case Exchange(kind=kind):
            return kind
        case CacheOutput():
            return "cache"
        case WriteOutput():
            return "write"
    return "result"


def note_done(stored: StoredStage, index: int, executor: int, report: TaskReport, seconds: float) -> None:
    """Note a task's output that stays in the cluster; ``seconds`` is what it took as seen from here."""
    if (notes := stored.notes) is not None:
        notes.task_done(
            index,
            executor,
            report.began,
            report.seconds or seconds,
            sum(report.rows),
            sum(report.bytes),
            spilled=report.spilled is not None,
        )


class _Operators:
    """The lines of a stage's tree, written once somebody looks or the query is over."""

    def __init__(self, root: Operator) -> None:
        self._root: Operator | None = root
        self._lines: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        if (root := self._root) is not None:
            self._lines, self._root = _lines(root), None
        return self._lines


def _no_operators() -> tuple[str, ...]:
    return ()


def _lines(root: Operator) -> tuple[str, ...]:
    found: list[str] = []
    stack: list[tuple[Operator, int]] = [(root, 0)]
    while stack and len(found) < _MOST_LINES:
        node, depth = stack.pop()
        line = operator_line(node)
        found.append("  " * depth + (line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…"))
        children = operators.children_of(node)
        # Only what has several inputs indents them: plans are much deeper than they are wide.
        deeper = depth + (len(children) > 1)
        stack.extend((child, deeper) for child in reversed(children))
    return tuple(found)


def _file_bytes(tasks: Iterable[Operator]) -> int:
    return sum(
        f.block_length
        for task in tasks
        for node in operators.walk(task)
        if isinstance(node, operators.FileScan)
        for f in node.files
    )
