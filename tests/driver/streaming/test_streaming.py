"""Streams on a real server: sources, sinks, state, restarts, and what is asked of queries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.errors import AnalysisException, StreamingQueryException
from pyspark.errors.exceptions.base import IllegalArgumentException
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQueryListener

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.connect.streaming.query import StreamingQuery

SCHEMA = "a int, b string"
FIRST = "0,a\n1,b\n"


class Folder:
    """A folder into which files come whole, in an order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        path.mkdir()
        self.put(FIRST)

    def put(self, text: str) -> None:
        self.count += 1
        made = self.path / ".new"
        made.write_text(text)
        made.rename(self.path / f"{self.count}.csv")
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a folder with a file in it."""
    return Folder(tmp_path / "in")


@pytest.fixture(autouse=True)
def _none_left(spark: SparkSession) -> Iterator[None]:
    yield
    for query in spark.streams.active:
        query.stop()
    spark.streams.resetTerminated()


def stream(spark: SparkSession, folder: Folder, **options: Any) -> DataFrame:
    return spark.readStream.schema(SCHEMA).options(**options).csv(str(folder.path))


def run(frame: DataFrame, mode: str = "append", format_: str = "memory", **options: Any) -> StreamingQuery:
    writer = frame.writeStream.outputMode(mode).format(format_).options(**options).trigger(availableNow=True)
    query = writer.queryName(f"q{time.time_ns()}").start()
    assert query.awaitTermination(60)
    return query


def rows(frame: DataFrame, mode: str = "append", **options: Any) -> list[tuple[Any, ...]]:
    query = run(frame, mode, **options)
    assert query.name is not None
    return sorted(map(tuple, frame.sparkSession.table(query.name).collect()))


def condition(frame: DataFrame, mode: str = "append", **options: Any) -> str | None:
    with pytest.raises((AnalysisException, IllegalArgumentException)) as caught:
        run(frame, mode, "noop", **options)
    return caught.value.getCondition()


def test_files_are_read_once_and_written_once_over_restarts(
    spark: SparkSession, folder: Folder, tmp_path: Path
) -> None:
    out, checkpoint = str(tmp_path / "out"), str(tmp_path / "checkpoint")
    ids, found = set(), []
    for text in ("10,x\n", "20,y\n", ""):
        query = run(stream(spark, folder), format_="parquet", path=out, checkpointLocation=checkpoint)
        ids.add(query.id)
        found.append(sorted(r.a for r in spark.read.parquet(out).collect()))
        if text:
            folder.put(text)
    assert found == [[0, 1], [0, 1, 10], [0, 1, 10, 20]]
    assert len(ids) == 1
    # A batch whose end was not logged is run again, and does not write again.
    last = max(int(p.name) for p in (tmp_path / "checkpoint" / "commits").iterdir())
    (tmp_path / "checkpoint" / "commits" / str(last)).unlink()
    run(stream(spark, folder), format_="parquet", path=out, checkpointLocation=checkpoint)
    assert sorted(r.a for r in spark.read.parquet(out).collect()) == [0, 1, 10, 20]
    # Files of a batch that did not end are replaced.
    (tmp_path / "checkpoint" / "commits" / str(last)).unlink()
    (tmp_path / "out" / "_spark_metadata" / str(last)).unlink()
    run(stream(spark, folder), format_="parquet", path=out, checkpointLocation=checkpoint)
    assert sorted(r.a for r in spark.read.parquet(out).collect()) == [0, 1, 10, 20]


def test_aggregates_go_on_after_a_restart(spark: SparkSession, folder: Folder, tmp_path: Path) -> None:
    frame = (
        stream(spark, folder)
        .groupBy("b")
        .agg(F.count("*"), F.sum("a"), F.avg("a"), F.max("a"), F.sort_array(F.collect_list("a")), F.stddev("a"))
    )
    checkpoint = str(tmp_path / "checkpoint")
    assert rows(frame, "complete", checkpointLocation=checkpoint) == [
        ("a", 1, 0, 0.0, 0, [0], None), ("b", 1, 1, 1.0, 1, [1], None)
    ]  # fmt: skip
    folder.put("4,a\n5,c\n")
    assert rows(frame, "complete", checkpointLocation=checkpoint) == [
        ("a", 2, 4, 2.0, 4, [0, 4], pytest.approx(2.8284271247461903)),
        ("b", 1, 1, 1.0, 1, [1], None),
        ("c", 1, 5, 5.0, 5, [5], None),
    ]


def test_output_modes(spark: SparkSession, folder: Folder) -> None:
    folder.put("2,a\n")
    counts = stream(spark, folder, maxFilesPerTrigger=1).groupBy("b").count()
    assert rows(counts, "update") == [("a", 1), ("a", 2), ("b", 1)]
    assert rows(counts.orderBy(F.desc("count")).limit(1), "complete") == [("a", 2)]
    total = stream(spark, folder, maxFilesPerTrigger=1).agg(F.count("*"), F.sum("a"))
    assert rows(total, "update") == [(2, 1), (3, 3)]


def test_a_watermark_lets_groups_out_and_late_rows_go(spark: SparkSession, folder: Folder) -> None:
    for text in ("20,a\n", "1,late\n60,a\n", "61,b\n3,late\n", "2,x\n100,y\n"):
        folder.put(text)
    frame = stream(spark, folder, maxFilesPerTrigger=1).withColumn("t", F.timestamp_seconds("a"))
    windows = frame.withWatermark("t", "5 seconds").groupBy(F.window("t", "10 seconds")).agg(F.count("*").alias("n"))
    done = windows.select(F.unix_timestamp("window.start"), "n")
    # As recorded from Spark: rows are late once the watermark of the batch before has passed their window.
    assert rows(done) == [(0, 3), (20, 1), (60, 2)]
    assert rows(done, "update") == [(0, 2), (0, 3), (20, 1), (60, 1), (60, 2), (100, 1)]
    assert rows(done, "complete") == [(0, 5), (20, 1), (60, 2), (100, 1)]
    again = windows.groupBy(F.window("window", "20 seconds")).agg(F.sum("n").alias("n"))
    assert rows(again.select(F.unix_timestamp("window.start"), "n")) == [(0, 3), (20, 1), (60, 2)]
    query = run(frame.withWatermark("t", "5 seconds").dropDuplicates(["b", "t"]), format_="noop")
    figures = []
    for progress in query.recentProgress:
        (state,) = progress.stateOperators
        counts = (state.numRowsTotal, state.numRowsUpdated, state.numRowsRemoved, state.numRowsDroppedByWatermark)
        figures.append((progress.eventTime["watermark"][14:19], *counts))
    assert figures == [
        ("00:00", 1, 1, 0, 1),
        ("00:00", 2, 1, 0, 0),
        ("00:15", 2, 2, 2, 0),
        ("00:55", 2, 1, 1, 1),
        ("00:56", 3, 1, 0, 1),
        ("01:35", 1, 0, 2, 0),
    ]


def test_sessions_close(spark: SparkSession, folder: Folder) -> None:
    for text in ("4,a\n20,a\n", "1,a\n60,a\n", "61,b\n3,a\n", "2,x\n100,y\n"):
        folder.put(text)
    frame = stream(spark, folder, maxFilesPerTrigger=1).withColumn("t", F.timestamp_seconds("a"))
    sessions = frame.withWatermark("t", "5 seconds").groupBy(F.session_window("t", "5 seconds"), "b").count()
    shown = sessions.select(*[F.unix_timestamp(f"session_window.{c}") for c in ("start", "end")], "b", "count")
    closed = [(0, 9, "a", 3), (1, 6, "b", 1), (20, 25, "a", 1), (60, 65, "a", 1), (61, 66, "b", 1)]
    assert rows(shown) == closed
    assert rows(shown, "complete")[0] == (0, 9, "a", 4)
    assert condition(sessions, "update") == "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"


def test_duplicates_limits_and_joins(spark: SparkSession, folder: Folder) -> None:
    folder.put("5,a\n6,c\n")
    frame = stream(spark, folder, maxFilesPerTrigger=1)
    assert rows(frame.select("b").dropDuplicates()) == [("a",), ("b",), ("c",)]
    assert len(rows(frame.limit(3))) == 3
    within = frame.withColumn("t", F.timestamp_seconds("a")).withWatermark("t", "1 minute")
    assert rows(within.dropDuplicatesWithinWatermark(["b"]).select("b")) == [("a",), ("b",), ("c",)]
    static = spark.createDataFrame([("a", 7)], ["b", "k"])
    assert rows(frame.join(static, "b", "left")) == [("a", 0, 7), ("a", 5, 7), ("b", 1, None), ("c", 6, None)]
    other = stream(spark, folder, maxFilesPerTrigger=1).withColumnRenamed("a", "other")
    pairs = frame.join(other, "b").select("a", "other")
    assert rows(pairs) == [(0, 0), (0, 5), (1, 1), (5, 0), (5, 5), (6, 6)]


def test_tables_and_views(spark: SparkSession, folder: Folder) -> None:
    name = f"streamed_{time.time_ns()}"
    try:
        query = stream(spark, folder).writeStream.trigger(availableNow=True).options(
            checkpointLocation=str(folder.path.parent / "checkpoint")
        ).partitionBy("b").toTable(name)  # fmt: skip
        assert query.awaitTermination(60)
        assert sorted(map(tuple, spark.table(name).collect())) == [(0, "a"), (1, "b")]
        assert rows(spark.readStream.table(name).groupBy("b").count(), "complete") == [("a", 1), ("b", 1)]
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")
    assert rows(stream(spark, folder).select("_metadata.file_name", "a")) == [("1.csv", 0), ("1.csv", 1)]
    stream(spark, folder).createOrReplaceTempView("streaming_view")
    frame = spark.sql("SELECT b, sum(a) FROM streaming_view GROUP BY b")
    assert frame.isStreaming
    assert rows(frame, "complete") == [("a", 0), ("b", 1)]


def test_functions_over_batches_and_rows(spark: SparkSession, folder: Folder, tmp_path: Path) -> None:
    out, lines = str(tmp_path / "batches"), str(tmp_path / "lines")

    def save(frame: Any, number: int) -> None:
        assert frame.count() == frame.sparkSession.sql("SELECT 2").head()[0]
        frame.selectExpr("a", f"{number} AS batch").write.mode("append").parquet(out)

    class Writer:
        def open(self, partition: int, epoch: int) -> bool:
            self.file = open(lines, "a")  # noqa: SIM115
            return epoch == 0

        def process(self, row: Any) -> None:
            self.file.write(f"{row.a}{row.b};")

        def close(self, error: Exception | None) -> None:
            self.file.close()

    def fail(frame: Any, number: int) -> None:
        raise ValueError("no good")

    def started(writer: Any) -> StreamingQuery:
        query: StreamingQuery = writer.trigger(availableNow=True).start()
        return query

    assert started(stream(spark, folder).writeStream.foreachBatch(save)).awaitTermination(60)
    assert sorted(map(tuple, spark.read.parquet(out).collect())) == [(0, 0), (1, 0)]
    assert started(stream(spark, folder).writeStream.foreach(Writer())).awaitTermination(60)
    assert sorted(Path(lines).read_text().split(";")) == ["", "0a", "1b"]
    query = started(stream(spark, folder).writeStream.foreachBatch(fail))
    with pytest.raises(StreamingQueryException, match="ValueError: no good"):
        query.awaitTermination(60)
    failure = query.exception()
    assert failure is not None
    assert "FOREACH_BATCH_USER_FUNCTION_ERROR" in str(failure)
    assert query.status["message"].startswith("Terminated with exception: ")


def test_rates(spark: SparkSession) -> None:
    fixed = spark.readStream.format("rate-micro-batch").options(rowsPerBatch=4, startTimestamp=5000).load()
    assert rows(fixed.select("value", F.unix_millis("timestamp"))) == [(i, 5000) for i in range(4)]
    rate = spark.readStream.format("rate").option("rowsPerSecond", 100).load()
    assert rate.dtypes == [("timestamp", "timestamp"), ("value", "bigint")]
    query = rate.writeStream.format("memory").queryName("rates").start()
    deadline = time.monotonic() + 30
    while spark.table("rates").count() < 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    query.stop()
    assert not query.isActive
    found = spark.table("rates")
    assert found.count() == found.select("value").distinct().count() == found.agg(F.max("value")).head()[0] + 1  # type: ignore[index]


def test_what_queries_are_asked(spark: SparkSession, folder: Folder) -> None:
    frame = stream(spark, folder).observe("seen", F.count("*").alias("n"), F.max("a").alias("most"))
    query = frame.writeStream.format("memory").queryName("asked").start()
    query.processAllAvailable()
    folder.put("9,z\n")
    query.processAllAvailable()
    assert spark.table("asked").count() == 3
    progress = [p for p in query.recentProgress if p.numInputRows]
    assert [(p.batchId, p.numInputRows, p.sink.numOutputRows) for p in progress] == [(0, 2, 2), (1, 1, 1)]
    assert progress[1].observedMetrics["seen"].asDict() == {"n": 1, "most": 9}
    assert query.isActive
    assert [q.id for q in spark.streams.active] == [query.id]
    found = spark.streams.get(query.id)
    assert found is not None
    assert found.name == "asked"
    assert not query.awaitTermination(1)
    with pytest.raises(IllegalArgumentException, match="already active"):
        stream(spark, folder).writeStream.format("memory").queryName("asked").start()
    query.stop()
    assert query.status == {"message": "Stopped", "isDataAvailable": False, "isTriggerActive": False}
    assert query.exception() is None
    assert spark.streams.awaitAnyTermination(5)
    assert spark.streams.get(query.id) is None


def test_listeners_hear_of_everything(spark: SparkSession, folder: Folder) -> None:
    heard: list[tuple[Any, ...]] = []

    class Listener(StreamingQueryListener):
        def onQueryStarted(self, event: Any) -> None:
            heard.append(("started", event.name))

        def onQueryProgress(self, event: Any) -> None:
            heard.append(("progress", event.progress.numInputRows))

        def onQueryTerminated(self, event: Any) -> None:
            heard.append(("terminated", event.exception))

    listener = Listener()
    spark.streams.addListener(listener)
    query = run(stream(spark, folder), format_="noop")
    deadline = time.monotonic() + 10
    while len(heard) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    spark.streams.removeListener(listener)
    assert heard == [("started", query.name), ("progress", 2), ("terminated", None)]


def test_what_spark_refuses(spark: SparkSession, folder: Folder, tmp_path: Path) -> None:
    frame = stream(spark, folder)
    counts = frame.groupBy("b").count()
    static = spark.range(3).withColumnRenamed("id", "a")
    general = "_LEGACY_ERROR_TEMP_3102"
    assert condition(spark.range(3)) == "WRITE_STREAM_NOT_ALLOWED"
    assert condition(counts) == "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"
    assert condition(frame, "complete") == "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"
    assert condition(frame, "other") == "STREAMING_OUTPUT_MODE.INVALID"
    assert condition(frame.orderBy("a")) == general
    assert condition(frame.groupBy("b").agg(F.countDistinct("a")), "update") == general
    assert condition(frame.join(stream(spark, folder), "b", "left")) == general
    assert condition(static.join(frame, "a", "left")) == general
    assert condition(frame.select("a").union(static)) == general
    assert condition(frame.sample(0.5)) == general
    late = frame.withColumn("t", F.timestamp_seconds("a")).groupBy("t").count().withWatermark("t", "1 second")
    assert condition(late) == "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"
    assert condition(frame.dropDuplicatesWithinWatermark(["a"])) == general
    assert condition(frame.selectExpr("row_number() over (order by a)")) == "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING"
    for action, expected in (
        (frame.collect, general),
        (lambda: frame.write.format("noop").mode("append").save(), "CALL_ON_STREAMING_DATASET_UNSUPPORTED"),
        (lambda: frame.withWatermark("a", "1 second").schema, "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE"),
        (lambda: frame.writeStream.format("parquet").start(str(tmp_path / "x")), "_LEGACY_ERROR_TEMP_1298"),
        (lambda: frame.writeStream.format("memory").start(), "_LEGACY_ERROR_TEMP_1194"),
    ):
        with pytest.raises(AnalysisException) as caught:
            action()
        assert caught.value.getCondition() == expected


def test_queries_end_with_their_session(spark: SparkSession, spark_remote: str) -> None:
    other = type(spark).builder.remote(spark_remote).create()
    other.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load().writeStream.format("noop").start()
    started = time.monotonic()
    other.stop()
    assert time.monotonic() - started < 30


@pytest.mark.cluster
def test_three_executors_give_the_same(spark3: SparkSession, folder: Folder) -> None:
    folder.put("2,a\n3,c\n")
    frame = stream(spark3, folder, maxFilesPerTrigger=1)
    assert rows(frame.groupBy("b").agg(F.sum("a"), F.avg("a")), "complete") == [
        ("a", 2, 1.0), ("b", 1, 1.0), ("c", 3, 3.0)
    ]  # fmt: skip
    assert rows(frame.select("b").dropDuplicates()) == [("a",), ("b",), ("c",)]
