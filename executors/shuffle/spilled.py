"""Pieces that lie in files beside the object store: written chunk by chunk, read by partition."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.shuffle.partitioner import partition_of_rows
from voltray.executors.shuffle.pieces import compact_table
from voltray.executors.shuffle.writer import destination_spans
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.stages import Exchange

Span = tuple[int, int]
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class SpillLostError(Exception):
    """A file of exchanged rows is gone: the task that wrote it must run again."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class SpillReader(Protocol):
    """Reads parts of a file that another node may have."""

    def read(self, path: str, spans: Sequence[Span]) -> list[bytes]:
        """The bytes at (offset, length) each; SpillLostError where there is no such file."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Files of this node."""

    def read(self, path: str, spans: Sequence[Span]) -> list[bytes]:
        """The bytes at (offset, length) each."""
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise SpillLostError(path) from None
        try:
            return [os.pread(handle, length, offset) for offset, length in spans]
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class SpilledPiece:
    """Rows of some partitions in a file: ``extents`` are (partition, offset, length), in the order written."""

    path: str
    schema: pa.Schema
    extents: tuple[tuple[int, int, int], ...]
    files: SpillReader = field(default_factory=LocalFiles)

    def tables(self, first: int | None, last: int | None) -> list[pa.Table]:
        """The rows of partitions first to last (both in), or of all."""
        spans = [(o, n) for p, o, n in self.extents if first is None or last is None or first <= p <= last]
        if not spans:
            return [self.schema.empty_table()]
        return [pa.ipc.open_stream(pa.py_buffer(data)).read_all() for data in self.files.read(self.path, spans)]


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """What the disk refuses, above all for want of room, as the query's error."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise spark_error(
            "SPILL_OUT_OF_MEMORY",
            ErrorKind.SPARK,
            consumerToSpill="an exchange",
            message=f"{reason} in an executor's spill folder.",
        ) from None


class SpillFile:
    """One task's exchanged rows, written as they come; cut by partition."""

    def __init__(self, path: Path, exchange: Exchange, context: EvaluationContext) -> None:
        self._path = path
        self._exchange = exchange
        self._context = context
        self._extents: list[tuple[int, int, int]] = []
        self._schema: pa.Schema | None = None
        self.rows = np.zeros(exchange.num_partitions, dtype=np.int64)
        self.bytes = np.zeros(exchange.num_partitions, dtype=np.int64)
        with _disk():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(path), "wb")

    def write(self, frame: pl.DataFrame) -> None:
        """Add a chunk of rows."""
        partitions = partition_of_rows(frame, self._exchange, self._context)
        if partitions is None:
            counts = np.array([frame.height])
        else:
            counts = np.bincount(partitions, minlength=self._exchange.num_partitions)
            frame = frame[np.argsort(partitions, kind="stable")]
        table = compact_table(frame)
        self._schema = table.schema
        self.rows += counts
        self.bytes += (counts * (table.nbytes / max(1, frame.height))).astype(np.int64)
        starts = np.cumsum(counts) - counts
        with _disk():
            for partition in np.flatnonzero(counts).tolist():
                self._write_part(partition, table.slice(int(starts[partition]), int(counts[partition])))

    def _write_part(self, partition: int, part: pa.Table) -> None:
        offset = self._sink.tell()
        with pa.ipc.new_stream(self._sink, part.schema, options=_OPTIONS) as stream:
            stream.write_table(part)
        self._extents.append((partition, offset, self._sink.tell() - offset))

    def finish(self, destinations: int, files: SpillReader) -> tuple[SpilledPiece, ...]:
        """Close the file: a piece for each destination, all of them in it."""
        with _disk():
            self._sink.close()
        assert self._schema is not None
        spans = destination_spans(self._exchange.num_partitions, destinations)
        return tuple(
            [
                SpilledPiece(
                    str(self._path), self._schema, tuple([e for e in self._extents if low <= e[0] <= high]), files
                )
                for low, high in spans
            ]
        )

    def discard(self) -> None:
        """Close and remove the file of a task that failed."""
        with contextlib.suppress(OSError):
            self._sink.close()
        self._path.unlink(missing_ok=True)


def chunks_of(frames: Iterator[pl.DataFrame], chunk_bytes: int) -> Iterator[pl.DataFrame]:
    """Frames put together to about ``chunk_bytes``; one at least, without rows where there are none."""
    held: list[pl.DataFrame] = []
    size = 0
    gave = False
    for frame in frames:
        held.append(frame)
        size += int(frame.estimated_size())
        if size >= chunk_bytes:
            yield pl.concat(held, rechunk=False) if len(held) > 1 else held[0]
            held, size, gave = [], 0, True
    if held and (not gave or any(f.height for f in held)):
        yield pl.concat(held, rechunk=False) if len(held) > 1 else held[0]


def new_path(folder: Path, stage_id: int, partition: int) -> Path:
    """A file that no other attempt of the task writes."""
    return folder / f"{stage_id}-{partition}-{uuid.uuid4().hex[:8]}.arrow"


def folder_of(root: Path, query_id: str) -> Path:
    """The folder of a query's files."""
    return root / "".join([c if c.isalnum() or c in "-_" else "_" for c in query_id])


def concatenated(samples: Sequence[Any]) -> Any:
    """One sample of several chunks'."""
    found = [s for s in samples if s is not None]
    return pa.concat_tables(found, promote_options="permissive") if found else None
