"""Exchanged rows in files: written by chunks, read by partition, gone when they are to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.shuffle.pieces import read_pieces
from voltray.executors.shuffle.spilled import LocalFiles, SpillFile, SpillLostError, chunks_of, new_path
from voltray.executors.spill_folders import SpillFolders
from voltray.proto.expressions import Attribute
from voltray.proto.failures import SparkError
from voltray.proto.stages import Exchange
from voltray.proto.tasks import PieceSlice
from voltray.proto.types import STRING

CONTEXT = EvaluationContext()
EXCHANGE = Exchange("hash", 8, (Attribute(1, "k", STRING),))
ROWS = pl.DataFrame({"#1": [None if i % 11 == 0 else f"key {i % 37}" for i in range(1000)], "#2": range(1000)})


def test_partitions_come_back_whole_from_chunks(tmp_path: Path) -> None:
    file = SpillFile(new_path(tmp_path / "query", 1, 2), EXCHANGE, CONTEXT)
    chunks = list(chunks_of(iter([ROWS.slice(i, 50) for i in range(0, 1000, 50)]), 4000))
    assert 1 < len(chunks) < 20
    for chunk in chunks:
        file.write(chunk)
    pieces = file.finish(3, LocalFiles())
    assert len(pieces) == 3 and file.rows.sum() == 1000 and (file.bytes > 0).all()
    parts = [read_pieces([PieceSlice(i, p, p) for i in range(3)], pieces).collect() for p in range(8)]
    assert [p.height for p in parts] == file.rows.tolist()
    assert pl.concat(parts).sort("#2").equals(ROWS)
    assert all(part["#2"].is_sorted() for part in parts)
    Path(pieces[0].path).unlink()
    with pytest.raises(SpillLostError):
        pieces[0].tables(None, None)


def test_chunks_of_nothing_are_one_without_rows() -> None:
    assert [c.height for c in chunks_of(iter([ROWS.clear()]), 100)] == [0]


def test_a_full_disk_is_the_query_s_error() -> None:
    file = SpillFile(Path("/dev/full"), EXCHANGE, CONTEXT)
    with pytest.raises(SparkError) as raised:
        file.write(ROWS)
    assert raised.value.failure.condition == "SPILL_OUT_OF_MEMORY"


@dataclass(frozen=True)
class Elsewhere:
    """Files of another node."""

    folder: Path

    def read(self, path: str, spans: list[tuple[int, int]]) -> list[bytes]:
        return LocalFiles().read(str(self.folder / path), spans)


def test_pieces_ask_those_who_have_the_file(tmp_path: Path) -> None:
    file = SpillFile(tmp_path / "there.arrow", EXCHANGE, CONTEXT)
    file.write(ROWS)
    (piece,) = file.finish(1, Elsewhere(tmp_path))
    assert sum(t.num_rows for t in piece.tables(0, 3)) == file.rows[:4].sum()


def test_folders_go_with_their_queries_and_their_processes(tmp_path: Path) -> None:
    first, second = SpillFolders(tmp_path, "one"), SpillFolders(tmp_path, "two")
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / ".lock").touch()
    first.open()
    assert not (tmp_path / "dead").exists()
    for query in ("a#1", "b#2", "c#3"):
        new_path(first.of_query(query), 0, 0).parent.mkdir()
    first.end_query("a#1")
    first.keep_queries(("c#3",))
    assert [p.name for p in first.path.iterdir() if p.is_dir()] == [first.of_query("c#3").name]
    second.open()
    assert first.path.exists()  # in use
    first.close()
    assert not first.path.exists() and second.path.exists()
