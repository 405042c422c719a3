"""Users' Python data sources: read by partitions, filters pushed down, written with commit and abort."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyspark.sql.functions as F
import pytest
from pyspark import cloudpickle
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import Row, SparkSession
from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceWriter,
    EqualTo,
    InputPartition,
    WriterCommitMessage,
)

# Workers cannot import this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Part(InputPartition):
    def __init__(self, start: int) -> None:
        self.start = start


class Reader(DataSourceReader):
    def __init__(self, options: Any) -> None:
        self.options = options

    def partitions(self) -> list[Part]:  # type: ignore[override]
        return [Part(3 * i) for i in range(int(self.options.get("parts", 2)))]

    def read(self, partition: Any) -> Iterator[Any]:
        for i in range(partition.start, partition.start + 3):
            yield i, None if i % 2 else f"s{i}", partition.start


class Numbers(DataSource):
    @classmethod
    def name(cls) -> str:
        return "numbers"

    def schema(self) -> str:
        return "i int, s string, p int"

    def reader(self, schema: Any) -> Reader:
        return Reader(self.options)


class PushingReader(DataSourceReader):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def pushFilters(self, filters: Any) -> Iterator[Any]:
        for item in filters:
            self.seen.append(repr(item))
            if not isinstance(item, EqualTo):
                yield item

    def read(self, partition: Any) -> Iterator[Any]:
        for i in range(4):
            yield i, " & ".join(sorted(self.seen))


class Pushing(DataSource):
    @classmethod
    def name(cls) -> str:
        return "pushing"

    def schema(self) -> str:
        return "id int, note string"

    def reader(self, schema: Any) -> PushingReader:
        return PushingReader()


@dataclass
class Written(WriterCommitMessage):
    count: int


class Writer(DataSourceWriter):
    def __init__(self, path: str, overwrite: bool) -> None:
        self.path, self.overwrite = path, overwrite

    def write(self, iterator: Iterator[Any]) -> Written:
        count = 0
        for row in iterator:
            if row[0] == 99:
                raise ValueError("bad row 99")
            count += 1
        return Written(count)

    def _note(self, text: str) -> None:
        with open(self.path + "/log", "w", encoding="utf-8") as log:
            log.write(text)

    def commit(self, messages: Any) -> None:
        self._note(f"commit {sum(m.count for m in messages if m)} {self.overwrite}")

    def abort(self, messages: Any) -> None:
        self._note("abort")


class Sink(DataSource):
    @classmethod
    def name(cls) -> str:
        return "sink"

    def writer(self, schema: Any, overwrite: bool) -> Writer:
        return Writer(self.options["path"], overwrite)


def test_partitions_are_read(each_spark: SparkSession) -> None:
    each_spark.dataSource.register(Numbers)
    rows = each_spark.read.format("Numbers").load()
    expected = [(i, None if i % 2 else f"s{i}", i // 3 * 3) for i in range(6)]
    assert sorted(tuple(r) for r in rows.collect()) == expected
    many = each_spark.read.format("numbers").option("parts", 5).load()
    assert sorted(tuple(r) for r in many.groupBy("p").count().collect()) == [(3 * i, 3) for i in range(5)]
    joined = rows.alias("a").join(many.alias("b"), "i").filter("a.s is not null").select("b.p")
    assert sorted(r.p for r in joined.collect()) == [0, 0, 3]
    each_spark.sql("create or replace temp view numbers_view using numbers options (parts 1)")
    assert each_spark.sql("select sum(i) from numbers_view").collect()[0][0] == 3


def test_filters_are_pushed_down(each_spark: SparkSession) -> None:
    each_spark.dataSource.register(Pushing)
    rows = each_spark.read.format("pushing").load()
    with pytest.raises(AnalysisException, match="DATA_SOURCE_PUSHDOWN_DISABLED"):
        rows.collect()
    each_spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    try:
        # The source says that it applies equality itself, and does not.
        seen = rows.filter("id = 2 and note is not null").collect()
        assert [r.id for r in seen] == [0, 1, 2, 3]
        assert seen[0].note == (
            "EqualTo(attribute=('id',), value=2) & IsNotNull(attribute=('id',)) & IsNotNull(attribute=('note',))"
        )
        assert [r.id for r in rows.filter("id in (1, 2) and id >= 2").collect()] == [2]
    finally:
        each_spark.conf.unset("spark.sql.python.filterPushdown.enabled")


def source(name: str, read: Any, **methods: Any) -> type[DataSource]:
    reader = type("MadeReader", (DataSourceReader,), {"read": read})
    body = {"schema": lambda self: "a int, b string", "reader": lambda self, schema: reader(), **methods}
    return type(name, (DataSource,), body)


def test_kinds_of_rows(spark: SparkSession) -> None:
    batch = pa.RecordBatch.from_pydict({"a": pa.array([1], pa.int32()), "b": pa.array([None], pa.utf8())})
    made: list[tuple[str, Any, Any]] = [
        ("tuples", lambda self, p: iter([(1, "x"), (None, None)]), [(1, "x"), (None, None)]),
        ("named_rows", lambda self, p: iter([Row(b="x", a=1)]), [(1, "x")]),
        ("batches", lambda self, p: iter([batch]), [(1, None)]),
        ("nothing", lambda self, p: iter(()), []),
    ]
    for name, read, expected in made:
        spark.dataSource.register(source(name, read))
        assert [tuple(r) for r in spark.read.format(name).load().collect()] == expected


def raising(*_: Any) -> Any:
    raise ValueError("raised")


def test_failures_of_sources(spark: SparkSession) -> None:
    failing: list[tuple[type[DataSource], type[Exception], str]] = [
        (source("f1", raising), PythonException, "ValueError: raised"),
        (source("f2", lambda self, p: iter([(1,)])), PythonException, "DATA_SOURCE_RETURN_SCHEMA_MISMATCH"),
        (source("f3", lambda self, p: iter([1])), PythonException, "DATA_SOURCE_INVALID_RETURN_TYPE"),
        (source("f4", None, schema=raising), AnalysisException, "PYTHON_DATA_SOURCE_ERROR"),
        (source("f5", None, reader=lambda self, schema: 1), AnalysisException, "DATA_SOURCE_TYPE_MISMATCH"),
    ]
    for made, kind, shown in failing:
        spark.dataSource.register(made)
        with pytest.raises(kind, match=shown):
            spark.read.format(made.__name__).load().collect()
    with pytest.raises(AnalysisException, match="DATA_SOURCE_ALREADY_EXISTS"):
        spark.dataSource.register(type("X", (DataSource,), {"name": classmethod(lambda cls: "parquet")}))


def test_rows_are_written(each_spark: SparkSession, tmp_path: Path) -> None:
    each_spark.dataSource.register(Sink)
    rows = each_spark.range(5).repartition(3).withColumn("s", F.lit("a"))
    log = tmp_path / "log"
    rows.write.format("sink").mode("append").save(str(tmp_path))
    assert log.read_text() == "commit 5 False"
    rows.write.format("sink").mode("overwrite").option("path", str(tmp_path)).save()
    assert log.read_text() == "commit 5 True"
    with pytest.raises(PythonException, match="bad row 99"):
        each_spark.range(95, 100).write.format("sink").mode("append").save(str(tmp_path))
    assert log.read_text() == "abort"
    with pytest.raises(AnalysisException, match="UNSUPPORTED_DATA_SOURCE_SAVE_MODE"):
        rows.write.format("sink").save(str(tmp_path))
