"""A query's log in files: which offsets each batch reads, which batches are done, and the state after each.

The layout and the offset and commit files are those of Spark; state is kept as Arrow files of our own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from voltray.driver.temporary import FOLDERS
from voltray.proto.failures import ErrorKind, spark_error

VERSION = "v1"
_KEPT_STATES = 2


@dataclass(frozen=True, slots=True)
class BatchOffsets:
    """Where a batch ends in each source, as JSON texts, and the watermark that it runs with."""

    batch_id: int
    offsets: tuple[str | None, ...]
    watermark_ms: int
    timestamp_ms: int


@dataclass(slots=True)
class Checkpoint:
    """The checkpoint folder of one query; ``temporary`` ones go with it."""

    folder: str
    temporary: bool
    query_id: str = field(default="")

    @classmethod
    def open(cls, location: str | None) -> Checkpoint:
        """The folder given, or a temporary one; the query's id is read from it or written to it."""
        try:
            return cls._opened(location)
        except (OSError, ValueError, KeyError) as error:
            message = f"The checkpoint {location} cannot be read or written: {type(error).__name__}."
            raise spark_error("", ErrorKind.SPARK, message=message) from error

    @classmethod
    def _opened(cls, location: str | None) -> Checkpoint:
        temporary = location is None
        folder = str(FOLDERS.make("voltray-stream-")) if location is None else location
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "metadata")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return cls(folder, temporary, json.load(file)["id"])
        query_id = str(uuid.uuid4())
        _write(path, json.dumps({"id": query_id}))
        return cls(folder, temporary, query_id)

    def close(self) -> None:
        """Remove a temporary folder."""
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- batches ---------------------------------------------------------------------------------------
    def write_offsets(self, batch: BatchOffsets) -> None:
        """Log what a batch is going to read, before it runs."""
        metadata = {"batchWatermarkMs": batch.watermark_ms, "batchTimestampMs": batch.timestamp_ms, "conf": {}}
        lines = [VERSION, json.dumps(metadata), *[o if o is not None else "-" for o in batch.offsets]]
        _write(self._path("offsets", batch.batch_id), "\n".join(lines))

    def last_offsets(self) -> BatchOffsets | None:
        """The batch logged last."""
        last = self._last("offsets")
        return None if last is None else self.offsets(last)

    def offsets(self, batch_id: int) -> BatchOffsets | None:
        """What a batch was going to read."""
        lines = _read(self._path("offsets", batch_id))
        if lines is None:
            return None
        metadata = json.loads(lines[1])
        offsets = tuple([None if line == "-" else line for line in lines[2:]])
        return BatchOffsets(batch_id, offsets, metadata["batchWatermarkMs"], metadata["batchTimestampMs"])

    def write_commit(self, batch_id: int, next_watermark_ms: int) -> None:
        """Log that a batch is done."""
        _write(self._path("commits", batch_id), f'{VERSION}\n{{"nextBatchWatermarkMs":{next_watermark_ms}}}')
        for name in ("offsets", "commits"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._path(name, batch_id - 100))

    def last_commit(self) -> tuple[int, int] | None:
        """The last batch that is done, and the watermark after it."""
        last = self._last("commits")
        if last is None:
            return None
        lines = _read(self._path("commits", last)) or []
        return last, int(json.loads(lines[1])["nextBatchWatermarkMs"]) if len(lines) > 1 else 0

    # ---- sources ---------------------------------------------------------------------------------------
    def write_source_entry(self, source: int, number: int, entries: list[Any]) -> None:
        """Log what one step of a source consists of."""
        lines = [VERSION, *[json.dumps(e, separators=(",", ":")) for e in entries]]
        _write(self._path(os.path.join("sources", str(source)), number), "\n".join(lines))

    def source_entries(self, source: int) -> dict[int, list[Any]]:
        """All that a source has logged."""
        name = os.path.join("sources", str(source))
        numbers = _numbers(os.path.join(self.folder, name))
        return {n: [json.loads(line) for line in (_read(self._path(name, n)) or [""])[1:]] for n in numbers}

    # ---- state -----------------------------------------------------------------------------------------
    def write_state(self, batch_id: int, operator: int, table: pa.Table) -> None:
        """Keep an operator's state after a batch."""
        folder = os.path.join(self.folder, "state", str(operator))
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{batch_id}.arrow")
        plain = table.rename_columns([str(i) for i in range(table.num_columns)])
        with pa.OSFile(f"{path}.tmp", "wb") as sink, pa.ipc.new_file(sink, plain.schema) as writer:
            writer.write_table(plain)
        os.replace(f"{path}.tmp", path)
        for name in os.listdir(folder):
            number = name.partition(".")[0]
            if number.isdigit() and int(number) <= batch_id - _KEPT_STATES:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(folder, name))

    def state(self, batch_id: int, operator: int) -> pa.Table | None:
        """An operator's state after a batch."""
        path = os.path.join(self.folder, "state", str(operator), f"{batch_id}.arrow")
        if not os.path.exists(path):
            return None
        with pa.OSFile(path, "rb") as source, pa.ipc.open_file(source) as reader:
            return reader.read_all()

    def _path(self, name: str, number: int) -> str:
        return os.path.join(self.folder, name, str(number))

    def _last(self, name: str) -> int | None:
        return max(_numbers(os.path.join(self.folder, name)), default=None)


def _numbers(folder: str) -> list[int]:
    if not os.path.isdir(folder):
        return []
    return sorted(int(n) for n in os.listdir(folder) if n.isdigit())


def _read(path: str) -> list[str] | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().split("\n")
    except FileNotFoundError:
        return None


def _write(path: str, text: str) -> None:
    """Put a file there whole or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{uuid.uuid4()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
