"""Writing a task's rows: into the staging folder, one file, or one for each partition folder."""

from __future__ import annotations

import os
import threading
import uuid
from typing import Any

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options, Source, WriteGroup, WriteReport, WriteSpecification, WrittenFile
from voltray.executors.sources.partitions import partition_folder
from voltray.proto.expressions import Attribute, Call, Cast, Literal
from voltray.proto.types import INTEGER, STRING, StringType


def write_rows(
    source: Source,
    frame: pl.LazyFrame,
    specification: WriteSpecification,
    attributes: tuple[Attribute, ...],
    context: EvaluationContext,
    task_index: int,
) -> WriteReport:
    """Run the frame into files of the staging folder; the report names them for the commit."""
    assert source.writer is not None
    names = _FileNames(source.writer.extension(Options(specification.options)), specification, task_index)
    keys = _key_columns(specification, attributes, context)
    frame = _sorted(frame, specification, attributes).with_columns(keys)
    counts: list[int] = []

    def counted(batch: pl.DataFrame) -> pl.DataFrame:
        counts.append(batch.height)
        return batch

    frame = frame.map_batches(counted, streamable=True, validate_output_schema=False)
    group = WriteGroup(frame, attributes, tuple(k.meta.output_name() for k in keys), specification, context)
    source.writer.sink(group, names.target(len(keys))).collect(engine="streaming")
    num_rows = sum(counts)
    # A task without rows leaves no file, but for the first, whose file keeps the schema.
    paths = names.paths() if num_rows or (task_index == 0 and not keys) else []
    if source.writer.finish is not None:
        for path in paths:
            source.writer.finish(path, group)
    return WriteReport(task_index, names.written(paths), num_rows)


def _sorted(frame: pl.LazyFrame, specification: WriteSpecification, attributes: tuple[Attribute, ...]) -> pl.LazyFrame:
    if not specification.sort_columns:
        return frame
    by_name = {a.name.lower(): a.column for a in attributes}
    order = [by_name[c.lower()] for c in specification.sort_columns]
    return frame.sort(order, nulls_last=False, maintain_order=True)


def _key_columns(
    specification: WriteSpecification, attributes: tuple[Attribute, ...], context: EvaluationContext
) -> list[pl.Expr]:
    """The partition values as texts, and the bucket's number last."""
    by_name = {a.name.lower(): a for a in attributes}
    keys = []
    for name in specification.partition_columns:
        attribute = by_name[name.lower()]
        value: Any = attribute if isinstance(attribute.dtype, StringType) else Cast(attribute, STRING)
        keys.append(compile_expression(value, context))
    if specification.bucket_count:
        columns = tuple(by_name[c.lower()] for c in specification.bucket_columns)
        hashed = Call("hash", columns, INTEGER, False)
        bucket = Call("pmod", (hashed, Literal(specification.bucket_count, INTEGER)), INTEGER, False)
        keys.append(compile_expression(bucket, context).cast(pl.String))
    return [key.alias(f"\0key{i}") for i, key in enumerate(keys)]


class _FileNames:
    """Names the files of one task attempt, and remembers them; Polars asks from several threads."""

    def __init__(self, extension: str, specification: WriteSpecification, task_index: int) -> None:
        self._extension = extension
        self._specification = specification
        self._index = task_index
        self._folder = os.path.join(specification.staging, f"task-{task_index:05d}-{uuid.uuid4().hex[:12]}")
        self._lock = threading.Lock()
        self._counts: dict[tuple[str | None, ...], int] = {}
        self._relative: list[str] = []

    def target(self, num_keys: int) -> Any:
        """Where the sink writes: one file, or a provider of files."""
        limit = self._specification.max_records_per_file
        if not num_keys and not limit:
            return self._add((), 0)
        return pl.PartitionBy(
            self._folder,
            file_path_provider=self._provide,
            key=[f"\0key{i}" for i in range(num_keys)] or None,
            include_key=False if num_keys else None,
            max_rows_per_file=limit or None,
            approximate_bytes_per_file=None,
        )

    def _provide(self, args: Any) -> str:
        values = tuple(args.partition_keys.row(0)) if args.partition_keys.height else ()
        with self._lock:
            count = self._counts.get(values, 0)
            self._counts[values] = count + 1
            return self._add(values, count)

    def _add(self, values: tuple[str | None, ...], count: int) -> str:
        columns = self._specification.partition_columns
        bucket = f"_{int(values[-1] or 0):05d}" if self._specification.bucket_count else ""
        folder = partition_folder(columns, values[: len(columns)]) if columns else ""
        mark = "." if columns or bucket else "-"
        name = f"part-{self._index:05d}-{self._specification.job_id}{bucket}{mark}c{count:03d}{self._extension}"
        relative = os.path.join(folder, name)
        self._relative.append(relative)
        path = os.path.join(self._folder, relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def paths(self) -> list[str]:
        """The staged files, in order."""
        staged = (os.path.join(self._folder, r) for r in sorted(self._relative))
        return [p for p in staged if os.path.exists(p)]

    def written(self, paths: list[str]) -> tuple[WrittenFile, ...]:
        """The files with their final places."""
        return tuple(WrittenFile(p, os.path.relpath(p, self._folder), os.path.getsize(p)) for p in paths)
