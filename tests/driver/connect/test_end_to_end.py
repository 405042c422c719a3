"""The service over real executors, by the stock client."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.errors import AnalysisException, ArithmeticException, PySparkException
from pyspark.sql import Observation
from pyspark.sql import functions as F
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.connect.shell.progress import StageInfo
from pyspark.storagelevel import StorageLevel


def test_results_of_any_size(spark: SparkSession):
    assert spark.range(3).collect() == [(0,), (1,), (2,)]
    assert spark.range(0).collect() == []
    assert spark.range(0).toArrow().schema.names == ["id"]
    assert spark.range(3_000_000).toArrow().num_rows == 3_000_000
    assert [r.id for _, r in zip(range(5), spark.range(10_000_000).toLocalIterator(), strict=False)] == [0, 1, 2, 3, 4]


def test_a_quotient_by_a_constant_is_exact(spark: SparkSession):
    rows = spark.sql("select id / 10D, id % 100 / 10D, id / 10 from range(10)").collect()
    assert rows == [(n / 10, n / 10, n / 10) for n in range(10)]


def test_progress_counts_the_tasks_that_run(spark: SparkSession):
    seen: list[tuple[int, int]] = []

    def note(stages: list[StageInfo], inflight_tasks: int, **_: object) -> None:
        seen.append((sum(stage.num_tasks for stage in stages), inflight_tasks))
        if inflight_tasks:
            spark.interruptAll()

    spark.conf.set("spark.connect.progress.reportInterval", "50ms")
    spark.registerProgressHandler(note)
    try:
        with pytest.raises(PySparkException, match="OPERATION_CANCEL"):
            spark.range(4_000_000_000).selectExpr("sum(sqrt(id) * ln(id + 1))").collect()
    finally:
        spark.clearProgressHandlers()
        spark.conf.unset("spark.connect.progress.reportInterval")
    assert any(0 < running < total for total, running in seen), seen


def test_a_row_larger_than_a_chunk(spark: SparkSession):
    table = spark.range(2).select(F.repeat(F.lit("x"), 70 << 20).alias("text")).toArrow()
    assert [len(v.as_buffer()) for v in table["text"]] == [70 << 20] * 2


def test_a_failure_of_an_executor_reaches_the_client(spark: SparkSession):
    with pytest.raises(ArithmeticException) as caught:
        spark.range(3).select(F.lit(1) / F.col("id")).collect()
    assert caught.value.getCondition() == "DIVIDE_BY_ZERO"
    assert "stacktrace" not in str(caught.value).lower()
    with pytest.raises(AnalysisException) as caught:
        spark.range(3).select("idd").collect()
    assert caught.value.getCondition() == "UNRESOLVED_COLUMN.WITH_SUGGESTION"
    assert caught.value.getMessageParameters() == {"objectName": "`idd`", "proposal": "`id`"}


def test_interrupting_stops_the_work(spark: SparkSession):
    told: list[PySparkException] = []

    def run() -> None:
        spark.addTag("long")
        try:
            spark.range(100_000_000_000).select(F.sum(F.sqrt("id"))).collect()
        except PySparkException as failure:
            told.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(1)
    assert len(spark.interruptTag("long")) == 1
    thread.join(20)
    assert [e.getCondition() for e in told] == ["OPERATION_CANCELED"]
    assert spark.range(1).count() == 1


class TestPersist:
    def test_levels(self, spark: SparkSession):
        frame = spark.range(77)
        assert frame.storageLevel == StorageLevel.NONE
        frame.persist(StorageLevel.MEMORY_ONLY)
        assert spark.range(77).storageLevel == StorageLevel.MEMORY_ONLY
        assert frame.filter("id > 1").storageLevel == StorageLevel.NONE
        frame.unpersist()
        assert frame.storageLevel == StorageLevel.NONE

    def test_what_is_persisted_is_computed_once(self, spark: SparkSession):
        frame = spark.range(10).select("id", F.current_timestamp().alias("at")).cache()
        (first,) = frame.select("at").distinct().collect()
        time.sleep(0.01)
        assert frame.select("at").distinct().collect() == [first]
        assert frame.filter("id < 3").join(frame, "id").count() == 3
        frame.unpersist()
        assert frame.select("at").distinct().collect() != [first]

    def test_tables(self, spark: SparkSession):
        spark.range(5).createOrReplaceTempView("cached_view")
        spark.catalog.cacheTable("cached_view")
        assert spark.catalog.isCached("cached_view")
        assert spark.sql("SELECT sum(id) FROM cached_view").collect() == [(10,)]
        spark.catalog.uncacheTable("cached_view")
        assert not spark.catalog.isCached("cached_view")
        spark.catalog.dropTempView("cached_view")

    def test_checkpoints(self, spark: SparkSession, tmp_path: Path):
        path = tmp_path / "data"
        spark.range(10).write.parquet(str(path))
        kept = spark.read.parquet(str(path)).localCheckpoint()
        for file in path.glob("*.parquet"):
            file.unlink()
        assert kept.count() == 10
        assert kept.union(kept).count() == 20
        assert kept.checkpoint().count() == 10


class TestWrites:
    def test_modes(self, spark: SparkSession, tmp_path: Path):
        path = str(tmp_path / "out")
        spark.range(10).write.parquet(path)
        with pytest.raises(AnalysisException) as caught:
            spark.range(1).write.parquet(path)
        assert caught.value.getCondition() == "PATH_ALREADY_EXISTS"
        spark.range(5).write.mode("ignore").parquet(path)
        spark.range(5).write.mode("append").parquet(path)
        assert spark.read.parquet(path).count() == 15
        spark.range(3).write.mode("overwrite").parquet(path)
        assert spark.read.parquet(path).count() == 3

    def test_a_failed_write_leaves_what_was_there(self, spark: SparkSession, tmp_path: Path):
        path = tmp_path / "out"
        spark.range(10).write.parquet(str(path))
        before = sorted(p.name for p in path.rglob("*"))
        with pytest.raises(ArithmeticException):
            spark.range(10).select(F.lit(1) / (F.col("id") - 5)).write.mode("overwrite").parquet(str(path))
        assert sorted(p.name for p in path.rglob("*")) == before
        with pytest.raises(ArithmeticException):
            spark.range(10).select(F.lit(1) / F.col("id")).write.parquet(str(tmp_path / "new"))
        assert not (tmp_path / "new").exists()

    def test_tables(self, spark: SparkSession):
        spark.sql("DROP TABLE IF EXISTS service_t")
        spark.range(4).write.saveAsTable("service_t")
        spark.range(2).write.insertInto("service_t")
        assert spark.table("service_t").count() == 6
        spark.sql("DROP TABLE service_t")
        spark.range(4).writeTo("service_t").using("parquet").create()
        assert spark.table("service_t").count() == 4
        spark.sql("DROP TABLE service_t")

    def test_observed_while_writing(self, spark: SparkSession, tmp_path: Path):
        seen = Observation("seen")
        frame = spark.range(100).observe(seen, F.max("id").alias("most"), F.count("*").alias("rows"))
        frame.write.parquet(str(tmp_path / "out"))
        assert seen.get == {"most": 99, "rows": 100}

    def test_noop_runs_the_query(self, spark: SparkSession):
        with pytest.raises(ArithmeticException):
            spark.range(10).select(F.lit(1) / F.col("id")).write.format("noop").mode("overwrite").save()


def test_observed_metrics(spark: SparkSession):
    seen = Observation()
    assert spark.range(5).observe(seen, F.sum("id").alias("total"), F.max("id").alias("most")).count() == 5
    assert seen.get == {"total": 10, "most": 4}


class TestAnalysis:
    def test_plain_facts(self, spark: SparkSession, tmp_path: Path):
        assert spark.version == "4.1.1"
        assert spark.createDataFrame([(1,)], ["a"]).isLocal() in (True, False)
        assert not spark.range(3).isLocal()
        assert not spark.range(3).isStreaming
        spark.range(3).write.parquet(str(tmp_path / "out"))
        (file,) = spark.read.parquet(str(tmp_path / "out")).inputFiles()
        assert file.startswith(f"file://{tmp_path}/out/part-")

    def test_semantics(self, spark: SparkSession):
        def renamed(name: str):
            return spark.range(10).select((F.col("id") + 1).alias(name))

        assert renamed("a").sameSemantics(renamed("b"))
        assert not renamed("a").sameSemantics(spark.range(10))
        assert renamed("a").semanticHash() == renamed("b").semanticHash()
        one, two = (spark.createDataFrame([(n,)], ["a"]) for n in (1, 2))
        assert not one.sameSemantics(two)

    def test_print_schema(self, spark: SparkSession, capsys: pytest.CaptureFixture[str]):
        frame = spark.range(1).select("id", F.struct(F.lit(1).alias("a"), F.array(F.lit("x")).alias("b")).alias("s"))
        frame.printSchema()
        assert capsys.readouterr().out == (
            "root\n"
            " |-- id: long (nullable = false)\n"
            " |-- s: struct (nullable = false)\n"
            " |    |-- a: integer (nullable = false)\n"
            " |    |-- b: array (nullable = false)\n"
            " |    |    |-- element: string (containsNull = false)\n\n"
        )
        frame.printSchema(1)
        assert capsys.readouterr().out.count("|--") == 2

    @pytest.mark.parametrize("mode", ["simple", "extended", "codegen", "cost", "formatted"])
    def test_explain(self, spark: SparkSession, capsys: pytest.CaptureFixture[str], mode: str):
        spark.range(10).filter("id > 3").groupBy("id").count().explain(mode=mode)
        text = capsys.readouterr().out
        assert "== Physical Plan ==" in text
        assert ("== Analyzed Logical Plan ==" in text) == (mode == "extended")
        assert ("== Optimized Logical Plan ==" in text) == (mode in ("extended", "cost"))
        assert ("Statistics(" in text) == (mode == "cost")

    def test_schemas_as_text(self, spark: SparkSession):
        frame = spark.range(1).select(F.struct(F.lit(1).alias("a")).alias("s"), F.lit("x").alias("b c"))
        client = spark.client
        ddl = client._analyze(method="json_to_ddl", json_string=frame.schema.json()).ddl_string
        assert ddl == "s STRUCT<a: INT NOT NULL> NOT NULL,`b c` STRING NOT NULL"
        assert client._analyze(method="ddl_parse", ddl_string=ddl).parsed == frame.schema


def test_long_chains(spark: SparkSession):
    frame = spark.range(10)
    for number in range(250):
        frame = frame.withColumn(f"c{number % 7}", F.col("id") + number).filter(F.col("id") >= 0)
    started = time.monotonic()
    assert len(frame.schema) == 8
    assert time.monotonic() - started < 2
    assert frame.count() == 10


def test_a_local_relation_of_many_chunks(spark: SparkSession):
    table = pa.table({"a": pa.array(range(4_000_000)), "b": pa.array(["text"] * 4_000_000)})
    assert spark.createDataFrame(table).agg(F.sum("a"), F.max("b")).collect() == [(7_999_998_000_000, "text")]


def test_sessions_share_global_views_alone(spark: SparkSession, spark_remote: str):
    other = SparkSession.builder.remote(spark_remote).create()
    spark.range(3).createOrReplaceTempView("mine")
    spark.range(4).createOrReplaceGlobalTempView("ours")
    assert other.table("global_temp.ours").count() == 4
    with pytest.raises(AnalysisException) as caught:
        other.table("mine").collect()
    assert caught.value.getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    with pytest.raises(AnalysisException) as caught:
        spark.range(1).createTempView("mine")
    assert caught.value.getCondition() == "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS"
    other.stop()
    assert spark.table("mine").count() == 3
    spark.catalog.dropTempView("mine")
    spark.catalog.dropGlobalTempView("ours")
