"""What a source is: files to read, how to read them, and how a task writes.

A source is one entry of ``executors.sources.catalogue``: its names, how it infers a schema, how it scans
one group of files and how it turns rows into a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.expressions import Attribute
from voltray.proto.types import DataType, StructType

METADATA_COLUMN = "_metadata"
EXISTS_DEFAULT_TEXT = "__EXISTS_DEFAULT_TEXT"
"""Metadata of a column that was added with a default: its value in older files, as text."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, or the bytes ``start`` to ``start + length`` of it where a scan is split (``length`` None: all).

    ``modification_time`` is in microseconds; ``partition_values`` are the unescaped texts of the folders'
    names, in the order of the partition schema, None for the default partition.
    """

    path: str
    size: int
    modification_time: int
    partition_values: tuple[str | None, ...] = ()
    start: int = 0
    length: int | None = None

    @property
    def block_length(self) -> int:
        """The bytes that this part covers."""
        return self.size - self.start if self.length is None else self.length


class Options(Mapping[str, str]):
    """Read or write options; their names have no case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values = {name.lower(): value for name, value in pairs}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def flag(self, name: str, default: bool = False) -> bool:
        """An option that is true or false."""
        value = self.get(name)
        return default if value is None else str(value).strip().lower() == "true"

    def text(self, *names: str, default: str = "") -> str:
        """The first of several spellings that is given."""
        return next((self[n] for n in names if n in self), default)


@dataclass(frozen=True, slots=True)
class ScanColumn:
    """A data column to read: its name in the files, its type, and the column that it becomes."""

    name: str
    dtype: DataType
    column: str
    default: Any = None
    """What rows of files without the column have: an internal value."""


@dataclass(frozen=True, slots=True)
class GroupScan:
    """What a source scans at once: files that share their partition values."""

    files: tuple[SourceFile, ...]
    columns: tuple[ScanColumn, ...]
    schema: StructType
    """All data columns of the files, read or not."""
    options: Options
    context: EvaluationContext
    limit: int | None = None
    row_index: str | None = None
    """A column to add with each row's number in its file; asked for with single files only."""


@dataclass(frozen=True, slots=True)
class WriteSpecification:
    """What every task of a write needs to know. ``staging`` is a folder of this write alone.

    ``schema`` has all columns, partition columns too, in the order of the attributes written.
    """

    format: str
    staging: str
    job_id: str
    schema: StructType
    partition_columns: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    bucket_count: int = 0
    bucket_columns: tuple[str, ...] = ()
    sort_columns: tuple[str, ...] = ()
    max_records_per_file: int = 0


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file in the staging folder and where it belongs below the output folder."""

    staged: str
    relative: str
    size: int


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What one task attempt wrote; the commit moves these files and no others."""

    task_index: int
    files: tuple[WrittenFile, ...]
    num_rows: int = 0


@dataclass(frozen=True, slots=True)
class WriteGroup:
    """What a format's writer gets: the rows, their attributes, and the text columns that spread them over files."""

    frame: pl.LazyFrame
    attributes: tuple[Attribute, ...]
    keys: tuple[str, ...]
    specification: WriteSpecification
    context: EvaluationContext

    @property
    def data_attributes(self) -> tuple[Attribute, ...]:
        """The attributes that go into the files: all but partition columns."""
        folders = {c.lower() for c in self.specification.partition_columns}
        return tuple(a for a in self.attributes if a.name.lower() not in folders)

    @property
    def options(self) -> Options:
        """The write's options."""
        return Options(self.specification.options)


@dataclass(frozen=True, slots=True)
class FileWriter:
    """How rows become files: a lazy sink into a target of Polars, and what is done to each file at the end."""

    extension: Callable[[Options], str]
    check_options: Callable[[Options], None]
    sink: Callable[[WriteGroup, Any], Any]
    finish: Callable[[str, WriteGroup], None] | None = None


InferSchema = Callable[[tuple[SourceFile, ...], Options, EvaluationContext], StructType | None]


@dataclass(frozen=True, slots=True)
class Source:
    """A format: ``title`` is its name in error messages; ``supports`` says which types it can hold."""

    names: tuple[str, ...]
    title: str
    infer: InferSchema
    scan: Callable[[GroupScan], pl.LazyFrame]
    supports: Callable[[DataType], bool]
    writer: FileWriter | None = None
    supports_reading: Callable[[DataType], bool] | None = None
    splittable: bool = False
    row_index: bool = False
    fixed_schema: StructType | None = field(default=None)


def source_context(task: Any) -> EvaluationContext:
    """The evaluation context of a task, given the task or the context itself."""
    if isinstance(task, EvaluationContext):
        return task
    return getattr(task, "context", None) or EvaluationContext()
