"""Frames leave as Arrow of exactly the types that Spark sends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from voltray.executors.results import ResultEncoder
from voltray.proto.expressions import Attribute
from voltray.proto.stages import ResultOutput
from voltray.proto.types import (
    BINARY,
    CALENDAR_INTERVAL,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    NULL,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    ArrayType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    MapType,
    StructField,
    StructType,
    TimeType,
    arrow_schema,
    carrier,
)

NESTED = StructType(
    [StructField("a", ArrayType(STRING, True)), StructField("m", MapType(STRING, ArrayType(INTEGER, False), True))]
)

CASES: list[tuple[DataType, list[Any], list[Any]]] = [
    (INTEGER, [1, None], [1, None]),
    (STRING, ["a", None], ["a", None]),
    (BINARY, [b"a", None], [b"a", None]),
    (DecimalType(10, 2), [Decimal("1.20"), None], [Decimal("1.20"), None]),
    (NULL, [None, None], [None, None]),
    (ArrayType(STRING), [["a", None], None], [["a", None], None]),
    (ArrayType(ArrayType(LONG)), [[[1], None], []], [[[1], None], []]),
    (
        StructType([StructField("x", LONG), StructField("y", STRING)]),
        [{"x": 1, "y": "b"}, None],
        [{"x": 1, "y": "b"}, None],
    ),
]


def encoded(frame: pl.DataFrame, schema: StructType, time_zone: str = "UTC", rows: int = 100) -> list[pa.Table]:
    """The tables that a client reads."""
    attributes = tuple([Attribute(i, f.name, f.dataType, f.nullable) for i, f in enumerate(schema.fields)])
    encoder = ResultEncoder(ResultOutput(attributes, schema, time_zone, rows))
    streams = list(encoder.encode(frame)) or [encoder.empty()]
    tables = [pa.ipc.open_stream(data).read_all() for _, data in streams]
    assert [t.num_rows for t in tables] == [count for count, _ in streams]
    for table in tables:
        table.validate(full=True)
        if schema.fields:
            assert table.schema == arrow_schema(schema, time_zone)
    return tables


@pytest.mark.parametrize(("dtype", "values", "expected"), CASES, ids=lambda v: str(v)[:30])
def test_values_keep_their_exact_type(dtype: DataType, values: list[Any], expected: list[Any]) -> None:
    frame = pl.DataFrame({"#0": pl.Series(values, dtype=carrier(dtype))})
    (table,) = encoded(frame, StructType([StructField("c", dtype)]))
    assert table.column("c").to_pylist() == expected


@pytest.mark.parametrize("dtype", [DATE, TIMESTAMP, TIMESTAMP_NTZ, DayTimeIntervalType(), TimeType()])
def test_times_keep_their_exact_type(dtype: DataType) -> None:
    frame = pl.DataFrame({"#0": pl.Series([0, 1_000_000, None], dtype=pl.Int64).cast(carrier(dtype))})
    (table,) = encoded(frame, StructType([StructField("c", dtype)]), "Europe/Berlin")
    assert table.column("c").null_count == 1


def test_a_timestamp_carries_the_time_zone() -> None:
    frame = pl.DataFrame({"#0": pl.Series([0], dtype=pl.Datetime("us", "UTC"))})
    (table,) = encoded(frame, StructType([StructField("t", TIMESTAMP)]), "Asia/Tokyo")
    assert table.schema.field("t").type == pa.timestamp("us", "Asia/Tokyo")
    assert table.column("t").cast(pa.int64()).to_pylist() == [0]


def test_slices_of_nested_values_are_right() -> None:
    cells = pa.array([[("k", [i])] if i % 3 else None for i in range(10)], pa.map_(pa.string(), pa.list_(pa.int32())))
    frame = pl.DataFrame({"#0": pl.Series(cells)})
    frame = frame.select(pl.struct(a=pl.lit(["x"], dtype=pl.List(pl.String)), m=pl.col("#0")).alias("#0"))
    tables = encoded(frame, StructType([StructField("s", NESTED)]), rows=4)
    assert [t.num_rows for t in tables] == [4, 4, 2]
    values = [row["m"] for t in tables for row in t.column("s").to_pylist()]
    assert values == [[("k", [i])] if i % 3 else None for i in range(10)]


def test_calendar_intervals() -> None:
    cells = [{"months": 1, "days": 2, "microseconds": 3}, None]
    frame = pl.DataFrame({"#0": pl.Series(cells, dtype=carrier(CALENDAR_INTERVAL))})
    (table,) = encoded(frame, StructType([StructField("i", CALENDAR_INTERVAL)]))
    assert table.column("i").to_pylist() == [pa.MonthDayNano([1, 2, 3000]), None]


def test_flags_of_columns_without_nulls_are_kept() -> None:
    frame = pl.DataFrame({"#0": [1], "#1": [[1]]}, schema={"#0": pl.Int64, "#1": pl.List(pl.Int32)})
    schema = StructType([StructField("a", LONG, False), StructField("b", ArrayType(INTEGER, False), False)])
    (table,) = encoded(frame, schema)
    assert not table.schema.field("a").nullable and not table.schema.field("b").type.value_field.nullable


def test_a_column_may_come_twice_and_names_too() -> None:
    schema = StructType([StructField("x", LONG), StructField("x", LONG)])
    output = ResultOutput((Attribute(7, "x", LONG), Attribute(7, "x", LONG)), schema, "UTC", 10)
    ((_, data),) = ResultEncoder(output).encode(pl.DataFrame({"#7": [1, 2]}))
    assert pa.ipc.open_stream(data).read_all().column_names == ["x", "x"]


def test_rows_without_columns_are_counted() -> None:
    (table,) = encoded(pl.DataFrame({"#": [None, None, None]}), StructType([]))
    assert table.num_rows == 3


def test_no_rows_still_tell_the_schema() -> None:
    frame = pl.DataFrame({"#0": []}, schema={"#0": pl.Float64})
    (table,) = encoded(frame, StructType([StructField("d", DOUBLE)]))
    assert table.num_rows == 0


def test_wide_rows_make_small_batches() -> None:
    frame = pl.DataFrame({"#0": ["x" * (5 << 20)] * 8})
    assert len(encoded(frame, StructType([StructField("s", STRING)]))) >= 2
