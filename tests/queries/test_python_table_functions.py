"""Users' table functions: arguments, tables among them, analyze, lateral joins; answers recorded from Spark."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.functions as F
import pytest
from pyspark import cloudpickle
from pyspark.errors import AnalysisException, ParseException, PythonException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.functions import OrderingColumn, PartitioningColumn, SelectedColumn, SkipRestOfInputTableException
from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType
from pyspark.sql.udtf import AnalyzeArgument, AnalyzeResult

# Workers cannot import this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
ROWS = [(1, 1.0, "a"), (1, 2.0, None), (2, 3.0, "c"), (2, 5.0, "d"), (None, 10.0, "e")]


@F.udtf(returnType="a: long, n: long")  # type: ignore[arg-type]
class Counted:
    def __init__(self) -> None:
        self.count, self.key = 0, None

    def eval(self, row: Row) -> None:
        self.count += 1
        self.key = row["id"]

    def terminate(self) -> Iterator[Any]:
        yield self.key, self.count


@F.udtf(returnType="a: int, b: string")  # type: ignore[arg-type]
class Repeated:
    def eval(self, n: int | None, s: str = "z") -> Iterator[Any]:
        for i in range(n or 0):
            yield i, s


@F.udtf(returnType="a: string")  # type: ignore[arg-type]
class Skipping:
    def __init__(self) -> None:
        self.count = 0

    def eval(self, row: Row) -> Iterator[Any]:
        self.count += 1
        if self.count > 1:
            raise SkipRestOfInputTableException("enough")
        yield (str(row["v"]),)

    def terminate(self) -> Iterator[Any]:
        yield (f"n{self.count}",)


@F.udtf
class Analyzed:
    def __init__(self, result: AnalyzeResult) -> None:
        self.result = result

    @staticmethod
    def analyze(x: AnalyzeArgument, **others: AnalyzeArgument) -> AnalyzeResult:
        return AnalyzeResult(StructType().add(f"c_{x.value}", x.dataType))

    def eval(self, x: Any, **others: Any) -> Iterator[Any]:
        yield (x,)


@F.udtf
class Spread:
    def __init__(self) -> None:
        self.values: list[Any] = []

    @staticmethod
    def analyze(row: AnalyzeArgument) -> AnalyzeResult:
        schema = StructType().add("k", LongType()).add("vs", StringType())
        order = [OrderingColumn("v", ascending=False)]
        return AnalyzeResult(schema, partitionBy=[PartitioningColumn("id")], orderBy=order)

    def eval(self, row: Row) -> None:
        self.values.append(row.v)
        self.key, self.fields = row.id, row.__fields__

    def terminate(self) -> Iterator[Any]:
        yield self.key, f"{self.values} {self.fields}"


@F.udtf
class Selecting:
    @staticmethod
    def analyze(row: AnalyzeArgument) -> AnalyzeResult:
        select = [SelectedColumn("v"), SelectedColumn("id + 1", "next")]
        return AnalyzeResult(StructType().add("s", StringType()), withSinglePartition=True, select=select)

    def eval(self, row: Row) -> Iterator[Any]:
        yield (str(row),)


@F.arrow_udtf(returnType="k bigint, n bigint")
class ArrowCounted:
    def __init__(self) -> None:
        self.count, self.key = 0, None

    def eval(self, table: pa.RecordBatch) -> Iterator[pa.Table]:
        self.count += table.num_rows
        self.key = table.column("id")[0].as_py()
        return iter(())

    def terminate(self) -> Iterator[pa.Table]:
        yield pa.table({"k": pa.array([self.key], pa.int64()), "n": pa.array([self.count], pa.int64())})


@F.arrow_udtf(returnType="x bigint")
class Doubled:
    def eval(self, a: pa.Array) -> Iterator[pa.Table]:
        yield pa.table({"x": pc.multiply(a.cast(pa.int64()), 2)})


FUNCTIONS: dict[str, Any] = {
    "counted": Counted, "repeated": Repeated, "skipping": Skipping, "analyzed": Analyzed, "spread": Spread,
    "selecting": Selecting, "arrow_counted": ArrowCounted, "doubled": Doubled,
}  # fmt: skip


def rows_of(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, "id long, v double, s string")


def prepared(spark: SparkSession) -> SparkSession:
    for name, function in FUNCTIONS.items():
        spark.udtf.register(name, function)
    rows_of(spark).createOrReplaceTempView("udtf_rows")
    return spark


def answers(frame: DataFrame) -> list[tuple[Any, ...]]:
    return sorted([tuple(r) for r in frame.collect()], key=repr)


GROUPS = [(1, 2), (2, 2), (None, 1)]
QUERIES: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("repeated(s => 'q', n => 2)", [(0, "q"), (1, "q")]),
    ("repeated(2) as t(x, y) where x > 0", [(1, "z")]),
    ("counted(TABLE(udtf_rows) PARTITION BY id)", GROUPS),
    ("counted(row => TABLE(select * from udtf_rows) WITH SINGLE PARTITION ORDER BY v DESC)", [(1, 5)]),
    ("counted(TABLE(select * from udtf_rows where id > 9))", []),
    ("counted(TABLE(select * from udtf_rows where id > 9) WITH SINGLE PARTITION)", []),
    ("counted(TABLE(udtf_rows) PARTITION BY (id, v > 100) ORDER BY v)", GROUPS),
    (
        "skipping(TABLE(udtf_rows) PARTITION BY id ORDER BY v)",
        [("1.0",), ("10.0",), ("3.0",), ("n1",), ("n2",), ("n2",)],
    ),
    ("skipping(TABLE(udtf_rows) WITH SINGLE PARTITION ORDER BY v)", [("1.0",), ("n2",)]),
    ("analyzed('hello')", [("hello",)]),
    ("analyzed(x => 1 + 2, other => 3)", [(3,)]),
    ("values ('p'), ('q') t(y), lateral analyzed(y)", [("p", "p"), ("q", "q")]),
    (
        "spread(TABLE(udtf_rows))",
        [
            (1, "[2.0, 1.0] ['id', 'v', 's']"),
            (2, "[5.0, 3.0] ['id', 'v', 's']"),
            (None, "[10.0] ['id', 'v', 's']"),
        ],
    ),
    (
        "selecting(TABLE(select * from udtf_rows where id is null))",
        [("Row(v=10.0, next=None)",)],
    ),
    ("values (0), (1), (2) t(x), lateral repeated(x)", [(1, 0, "z"), (2, 0, "z"), (2, 1, "z")]),
    ("values (0), (1) t(x) left join lateral repeated(x)", [(1, 0, "z")]),
    ("values (1), (2) t(x), lateral repeated(x) u, lateral repeated(u.a) w", [(2, 1, "z", 0, "z")]),
    ("values (1) t(x) join lateral repeated(2) on a = x", [(1, 1, "z")]),
    ("values (1) t(x) where x in (select a from repeated(3))", [(1,)]),
    ("arrow_counted(TABLE(udtf_rows) PARTITION BY id ORDER BY v)", GROUPS),
    ("doubled(2)", [(4,)]),
]


@pytest.fixture(scope="module")
def known() -> dict[int, SparkSession]:
    return {}


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_table_functions_in_sql(
    each_spark: SparkSession, known: dict[int, SparkSession], query: str, expected: list[tuple[Any, ...]]
) -> None:
    spark = known.setdefault(id(each_spark), each_spark) if id(each_spark) in known else prepared(each_spark)
    known[id(each_spark)] = spark
    assert answers(spark.sql(f"select * from {query}")) == expected


def test_table_functions_on_data_frames(spark: SparkSession) -> None:
    table = rows_of(spark).asTable()  # type: ignore[attr-defined]
    assert answers(Counted(table.partitionBy("id").orderBy("v"))) == GROUPS  # type: ignore[operator]
    assert answers(Counted(row=table.partitionBy(F.col("id")))) == GROUPS  # type: ignore[operator]
    assert answers(ArrowCounted(table.partitionBy("id"))) == GROUPS  # type: ignore[operator]
    assert answers(Counted(table.withSinglePartition()))[0][1] == 5  # type: ignore[operator]
    lateral = rows_of(spark).lateralJoin(Repeated(F.col("id").cast("int").outer(), F.lit("p")))  # type: ignore[operator, attr-defined]
    assert answers(lateral.select("v", "a")) == [(1.0, 0), (2.0, 0), (3.0, 0), (3.0, 1), (5.0, 0), (5.0, 1)]


def test_what_is_given_at_the_end_stands_beside_the_last_row(spark: SparkSession) -> None:
    for arrow in (False, True):

        @F.udtf(returnType="a: int", useArrow=arrow)  # type: ignore[arg-type]
        class Summed:
            def __init__(self) -> None:
                self.total = 0

            def eval(self, n: int) -> Iterator[Any]:
                self.total += n
                yield (n,)

            def terminate(self) -> Iterator[Any]:
                yield (self.total + 100,)

        spark.udtf.register("summed", Summed)  # type: ignore[arg-type]
        made = spark.sql("select * from (select 1 x) t, lateral summed(x)")
        assert answers(made) == [(1, 1), (1, 101)]


def function(returns: Any, body: Callable[..., Any], **options: Any) -> Any:
    return F.udtf(type("Made", (), {"eval": body}), returnType=returns, **options)


def failing(self: Any, x: int) -> Any:
    raise ValueError("oops")


WRONG: list[tuple[Any, Callable[..., Any], bool, str]] = [
    ("a: int, b: int", lambda self, x: [(1,)], False, "UDTF_RETURN_SCHEMA_MISMATCH"),
    ("a: int", lambda self, x: [1], False, "UDTF_INVALID_OUTPUT_ROW_TYPE"),
    ("a: int", lambda self, x: 1, False, "UDTF_RETURN_NOT_ITERABLE"),
    (StructType([StructField("a", IntegerType(), False)]), lambda self, x: [(None,)], False, "UDTF_EXEC_ERROR"),
    ("a: int", failing, False, "oops"),
    ("a: int", lambda self: [(1,)], False, "UDTF_EVAL_METHOD_ARGUMENTS_DO_NOT_MATCH_SIGNATURE"),
    ("a: int, b: int", lambda self, x: [(1,)], True, "UDTF_RETURN_SCHEMA_MISMATCH"),
    ("a: int", failing, True, "oops"),
]


@pytest.mark.parametrize(("returns", "body", "arrow", "shown"), WRONG)
def test_wrong_results_of_table_functions(
    spark: SparkSession, returns: Any, body: Callable[..., Any], arrow: bool, shown: str
) -> None:
    with pytest.raises(PythonException, match=shown):
        function(returns, body, useArrow=arrow)(F.lit(1)).collect()


RIGHT: list[tuple[str, Callable[..., Any], bool, list[tuple[Any, ...]]]] = [
    ("a: int", lambda self, x: [("s",)], False, [(None,)]),
    ("a: string", lambda self, x: [(1,)], False, [("1",)]),
    ("a: string", lambda self, x: None, False, []),
    ("a: int", lambda self, x: [None], False, [(None,)]),
    ("a: array<int>, s: struct<x:int>", lambda self, x: [([1, None], (1,))], False, [([1, None], Row(x=1))]),
    ("a: int, b: int", lambda self, x: [{"a": 1, "b": 2}], False, [(1, 2)]),
    ("a: string", lambda self, x: [(x,)], True, [("1",)]),
]


@pytest.mark.parametrize(("returns", "body", "arrow", "expected"), RIGHT)
def test_results_of_table_functions(
    spark: SparkSession, returns: str, body: Callable[..., Any], arrow: bool, expected: list[tuple[Any, ...]]
) -> None:
    assert answers(function(returns, body, useArrow=arrow)(F.lit(1))) == expected


REFUSED: list[tuple[str, type[Exception], str]] = [
    (
        "counted(TABLE(udtf_rows), TABLE(udtf_rows))",
        AnalysisException,
        "TABLE_VALUED_FUNCTION_TOO_MANY_TABLE_ARGUMENTS",
    ),
    ("counted(TABLE(udtf_rows) PARTITION BY id, v)", ParseException, "_LEGACY_ERROR_TEMP_0064"),
    ("counted(TABLE(udtf_rows) ORDER BY v)", ParseException, "PARSE_SYNTAX_ERROR"),
    ("analyzed()", AnalysisException, "TABLE_VALUED_FUNCTION_FAILED_TO_ANALYZE_IN_PYTHON"),
    (
        "spread(TABLE(udtf_rows) PARTITION BY v)",
        AnalysisException,
        "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INCOMPATIBLE_WITH_CALL",
    ),
    ("spread(1)", AnalysisException, "TABLE_VALUED_FUNCTION_FAILED_TO_ANALYZE_IN_PYTHON"),
    ("values (1) t(y), lateral doubled(y)", AnalysisException, "LATERAL_JOIN_WITH_ARROW_UDTF_UNSUPPORTED"),
    ("no_such_function(1)", AnalysisException, "UNRESOLVABLE_TABLE_VALUED_FUNCTION"),
]


@pytest.mark.parametrize(("query", "kind", "condition"), REFUSED)
def test_refused_calls(spark: SparkSession, query: str, kind: type[Exception], condition: str) -> None:
    with pytest.raises(kind) as caught:
        prepared(spark).sql(f"select * from {query}").collect()
    assert caught.value.getCondition() == condition  # type: ignore[attr-defined]


def test_rows_on_the_left_stay_where_a_condition_leaves_nothing(spark: SparkSession) -> None:
    class Positive:
        def eval(self, x: int) -> Iterator[tuple[int]]:
            if x > 0:
                yield (x,)

    spark.udtf.register("positive", F.udtf(Positive, returnType="i bigint"))  # type: ignore[arg-type]
    query = "select id, i from range(3) left join lateral positive(id)"
    assert sorted(map(tuple, spark.sql(query).collect())) == [(1, 1), (2, 2)]
    found = sorted(map(tuple, spark.sql(f"{query} on i > 1").collect()))
    assert found == [(0, None), (1, None), (2, 2)]
