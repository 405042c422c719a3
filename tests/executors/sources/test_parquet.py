"""Parquet: parts of files, schemas that differ, columns that are not there, and types from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.executors.sources.reading import CONTEXT, file_scan, read_file
from voltray.executors.sources.catalogue import scan
from voltray.proto.expressions import Call, Literal
from voltray.proto.failures import SparkError
from voltray.proto.types import BOOLEAN, INTEGER


def test_parts_of_a_file_are_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"i": range(10_000), "s": [f"text {i}" for i in range(10_000)]}).write_parquet(
        path, row_group_size=700
    )
    _, whole = file_scan("parquet", str(path))
    (file,) = whole.files
    edges = [file.size * k // 5 for k in range(6)]
    parts = [replace(file, start=a, length=b - a) for a, b in pairwise(edges)]
    frames = [scan(replace(whole, files=(part,)), CONTEXT).collect() for part in parts]
    assert sum(1 for f in frames if f.height) > 1
    assert pl.concat(frames).equals(scan(whole, CONTEXT).collect())


def test_schemas_may_differ(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": ["x"]}, schema={"a": pl.Int32, "b": pl.String}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"B": ["y"], "A": [2]}, schema={"B": pl.String, "A": pl.Int32}).write_parquet(tmp_path / "2.parquet")
    pl.DataFrame({"a": [3]}, schema={"a": pl.Int32}).write_parquet(tmp_path / "3.parquet")
    schema, frame = read_file("parquet", str(tmp_path), "a long, b string, c date")
    assert schema.fieldNames() == ["a", "b", "c"]
    assert sorted(frame.rows()) == [(1, "x", None), (2, "y", None), (3, None, None)]


def test_rows_without_columns_are_counted(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(5)}).write_parquet(tmp_path / "1.parquet")
    _, whole = file_scan("parquet", str(tmp_path))
    for engine in ("streaming", "in-memory"):
        assert scan(replace(whole, attributes=()), CONTEXT).collect(engine=engine).height == 5
        _, missing = file_scan("parquet", str(tmp_path), "z int")
        assert scan(missing, CONTEXT).collect(engine=engine).rows() == [(None,)] * 5


def test_a_partition_is_left_out(tmp_path: Path) -> None:
    for value in ("1", "2"):
        (tmp_path / f"p={value}").mkdir()
        pl.DataFrame({"a": [int(value)]}).write_parquet(tmp_path / f"p={value}" / "f.parquet")
    (tmp_path / "p=2" / "f.parquet").write_bytes(b"no parquet")
    _, whole = file_scan("parquet", str(tmp_path), "a long")
    column = next(a for a in whole.attributes if a.name == "p")
    only = Call("==", (column, Literal(1, INTEGER)), BOOLEAN)
    assert scan(replace(whole, predicate=only), CONTEXT).collect().rows() == [(1, 1)]
    with pytest.raises(SparkError) as caught:
        scan(whole, CONTEXT).collect()
    assert caught.value.condition == "FAILED_READ_FILE.NO_HINT"


def test_types_of_other_writers(tmp_path: Path) -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5, 678000)
    table = pa.table(
        {
            "u8": pa.array([200], pa.uint8()), "u32": pa.array([2**32 - 1], pa.uint32()),
            "u64": pa.array([2**64 - 1], pa.uint64()), "ms": pa.array([moment], pa.timestamp("ms")),
            "utc": pa.array([moment], pa.timestamp("ms", "UTC")), "cat": pa.array(["x"]).dictionary_encode(),
            "fixed": pa.array([b"ab"], pa.binary(2)), "half": pa.array([[1.5]], pa.list_(pa.float32(), 1)),
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    schema, frame = read_file("parquet", str(tmp_path))
    assert schema.simpleString() == (
        "struct<u8:smallint,u32:bigint,u64:decimal(20,0),ms:timestamp_ntz,utc:timestamp,cat:string,fixed:binary,"
        "half:array<float>>"
    )
    row = frame.row(0)
    assert row[:3] == (200, 2**32 - 1, 2**64 - 1)
    assert row[3] == row[4].replace(tzinfo=None) == moment
    assert row[5:] == ("x", b"ab", [1.5])


def test_instants_in_nanoseconds_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": pa.array([1], pa.timestamp("ns"))}), tmp_path / "t.parquet")
    with pytest.raises(SparkError) as caught:
        read_file("parquet", str(tmp_path))
    assert caught.value.condition == "PARQUET_TYPE_ILLEGAL"


def test_old_instants_far_away(tmp_path: Path) -> None:
    moments = [datetime(1, 1, 1), datetime(9999, 12, 31)]
    table = pa.table({"t": pa.array(moments, pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    schema, frame = read_file("parquet", str(tmp_path))
    assert schema.simpleString() == "struct<t:timestamp>"
    assert [t.replace(tzinfo=None) for t in frame["t"]] == moments
