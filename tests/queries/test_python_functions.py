"""Users' Python functions of every kind, from the client to worker processes and back."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyspark.sql.functions as F
import pytest
from pyspark import cloudpickle
from pyspark.errors import AnalysisException, PythonException
from pyspark.errors.exceptions.connect import PickleException, SparkException
from pyspark.sql import DataFrame, Row, SparkSession

# Workers do not have this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    data = [(1, 1.0, "a"), (1, 2.0, None), (2, 3.0, "c"), (2, 5.0, "d"), (None, 10.0, "e")]
    return spark.createDataFrame(data, "id long, v double, s string")


def values(frame: DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(r) for r in frame.collect()]


RETURNED: list[tuple[Callable[..., Any], str, Any]] = [
    (lambda x: 1, "string", "1"),
    (lambda x: 1, "double", None),
    (lambda x: True, "string", "true"),
    (lambda x: [1, "a"], "string", "[1, a]"),
    (lambda x: "x", "int", None),
    (lambda x: 1.5, "string", "1.5"),
    (lambda x: {"a": None}, "string", "{a=null}"),
    (lambda x: 2**40, "int", 0),
    (lambda x: True, "int", None),
    (lambda x: None, "int", None),
    (lambda x: [1, None], "array<int>", [1, None]),
    (lambda x: {"k": 2}, "map<string,int>", {"k": 2}),
    (lambda x: (1, "z"), "struct<a:int,b:string>", Row(a=1, b="z")),
    (lambda x: datetime.date(2024, 1, 2), "date", datetime.date(2024, 1, 2)),
    (lambda x: Decimal("1.25"), "decimal(5,2)", Decimal("1.25")),
    (lambda x: b"ab", "binary", bytearray(b"ab")),
]


@pytest.mark.parametrize(("function", "dtype", "expected"), RETURNED)
def test_a_function_gives_what_spark_makes_of_its_value(
    spark: SparkSession, function: Callable[..., Any], dtype: str, expected: Any
) -> None:
    assert values(spark.range(1).select(F.udf(function, dtype)("id"))) == [(expected,)]


GIVEN: list[tuple[str, str]] = [
    ("date'2024-01-02'", "datetime.date(2024, 1, 2)"),
    ("1.25bd", "Decimal('1.25')"),
    ("array(1, null)", "[1, None]"),
    ("map('k', 2)", "{'k': 2}"),
    ("named_struct('p', 1, 'q', 'z')", "Row(p=1, q='z')"),
    ("binary('ab')", "b'ab'"),
    ("cast(null as int)", "None"),
    ("interval 1 day", "datetime.timedelta(days=1)"),
]


@pytest.mark.parametrize(("value", "expected"), GIVEN)
def test_a_function_gets_python_values(spark: SparkSession, value: str, expected: str) -> None:
    shown = F.udf(lambda v: repr(v), "string")
    assert values(spark.range(1).select(shown(F.expr(value)))) == [(expected,)]


def test_functions_in_filters_joins_groups_and_sorts(rows: DataFrame) -> None:
    is_one = F.udf(lambda x: x == 1, "boolean")
    assert values(rows.filter(is_one("id")).select("v")) == [(1.0,), (2.0,)]
    others = rows.select(F.col("id").alias("other"))
    assert rows.join(others, F.udf(lambda a, b: a == b, "boolean")("id", "other")).count() == 9
    grouped = rows.groupBy(F.udf(lambda x: str(x), "string")("id").alias("k")).agg(F.sum("v"))
    assert sorted(values(grouped)) == [("1", 3.0), ("2", 8.0), ("None", 10.0)]
    assert values(rows.sort(F.udf(lambda x: -x, "double")("v")).select("v").limit(1)) == [(10.0,)]


def test_functions_of_functions_and_of_constants(spark: SparkSession) -> None:
    plus, twice = F.udf(lambda x: x + 1, "long"), F.udf(lambda x: x * 2, "long")
    assert values(spark.range(3).select(plus(twice("id")))) == [(1,), (3,), (5,)]
    assert values(spark.range(2).select(plus(F.lit(1)), F.udf(lambda: 7, "int")())) == [(2, 7), (2, 7)]


def test_names_and_named_arguments(spark: SparkSession) -> None:
    def minus(a: int, b: int) -> int:
        return a - b

    frame = spark.range(1).select(F.udf(minus, "long")("id", b=F.lit(3)))
    assert frame.columns == ["minus(id, b => 3)"]
    assert values(frame) == [(-3,)]


def test_registered_functions_are_known_to_sql(spark: SparkSession) -> None:
    spark.udf.register("plus_two", lambda x: x + 2, "int")
    query = "select plus_two(3), plus_two(id) from range(2) where plus_two(id) > 2"
    assert values(spark.sql(query)) == [(5, 3)]


def test_pandas_and_arrow_functions(spark: SparkSession) -> None:
    @F.pandas_udf("long")  # type: ignore[call-overload]
    def pandas_plus(v: pd.Series) -> pd.Series:
        return v + 1

    @F.pandas_udf("long")  # type: ignore[call-overload]
    def pandas_each(parts: Iterator[pd.Series]) -> Iterator[pd.Series]:
        for part in parts:
            yield part * 2

    @F.arrow_udf("long")
    def arrow_plus(v: pa.Array) -> pa.Array:
        return pa.compute.add(v, 1)

    frame = spark.range(3).select(pandas_plus("id"), pandas_each("id"), arrow_plus("id"))
    assert values(frame) == [(1, 0, 1), (2, 2, 2), (3, 4, 3)]


def test_arrow_optimised_functions(spark: SparkSession) -> None:
    assert values(spark.range(2).select(F.udf(lambda x: x + 1, "long", useArrow=True)("id"))) == [(1,), (2,)]


def test_partitions_are_mapped(rows: DataFrame) -> None:
    def first_id(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for part in parts:
            yield part[part.id == 1]

    def same(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from parts

    assert values(rows.mapInPandas(first_id, rows.schema)) == [(1, 1.0, "a"), (1, 2.0, None)]
    assert values(rows.mapInArrow(same, rows.schema)) == values(rows)
    rows.foreach(lambda row: None)
    rows.foreachPartition(lambda part: None)


def test_groups_are_mapped(rows: DataFrame) -> None:
    def centred(part: pd.DataFrame) -> pd.DataFrame:
        return part.assign(v=part.v - part.v.mean())

    def mean_of(key: Any, part: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([(*key, part.v.mean())])

    made = rows.groupBy("id").applyInPandas(centred, rows.schema)
    assert sorted(v for _, v, _ in values(made)) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    means = rows.groupBy("id").applyInPandas(mean_of, "id long, m double")
    assert set(values(means)) == {(None, 10.0), (1, 1.5), (2, 4.0)}
    arrow = rows.groupBy("id").applyInArrow(lambda table: table.slice(0, 1), rows.schema)
    assert arrow.count() == 3
    assert values(rows.filter("v < 0").groupBy("id").applyInPandas(centred, rows.schema)) == []


def test_pairs_of_groups_are_mapped(spark: SparkSession, rows: DataFrame) -> None:
    def sizes(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([(len(left), len(right))])

    others = spark.createDataFrame([(1, "x"), (7, "y")], "id long, t string")
    made = rows.groupBy("id").cogroup(others.groupBy("id")).applyInPandas(sizes, "a long, b long")
    assert sorted(values(made)) == [(0, 1), (1, 0), (2, 0), (2, 1)]


def test_aggregates_in_pandas(rows: DataFrame) -> None:
    @F.pandas_udf("double")  # type: ignore[call-overload]
    def mean(v: pd.Series) -> float:
        return float(v.mean())

    made = rows.groupBy("id").agg(mean("v"), mean(rows.v * 2))
    assert made.columns == ["id", "mean(v)", "mean((v * 2))"]
    assert set(values(made)) == {(None, 10.0, 20.0), (1, 1.5, 3.0), (2, 4.0, 8.0)}
    assert values(rows.agg(mean("v"))) == [(4.2,)]
    with pytest.raises(AnalysisException, match="INVALID_PANDAS_UDF_PLACEMENT"):
        rows.groupBy("id").agg(mean("v"), F.sum("v")).collect()


def test_table_functions(spark: SparkSession) -> None:
    @F.udtf(returnType="n: int, s: string")  # type: ignore[arg-type]
    class Repeated:
        def eval(self, count: int, text: str) -> Iterator[tuple[int, str]]:
            for number in range(count):
                yield number, text * number

        def terminate(self) -> Iterator[tuple[int, str]]:
            yield -1, "end"

    assert values(Repeated(F.lit(2), F.lit("x"))) == [(0, ""), (1, "x"), (-1, "end")]  # type: ignore[operator]
    spark.udtf.register("repeated", Repeated)  # type: ignore[arg-type]
    assert values(spark.sql("select s from repeated(2, text => 'y') where n = 1")) == [("y",)]


def test_registered_functions_are_called_by_name(spark: SparkSession) -> None:
    spark.udf.register("times_two", lambda x: x * 2, "int")
    frame = spark.range(2).select(F.call_udf("times_two", "id"), F.call_function("times_two", "id"))
    assert values(frame) == [(0, 0), (2, 2)]


def test_the_users_traceback_reaches_the_client(spark: SparkSession) -> None:
    def broken(x: int) -> float:
        return 1 / x

    with pytest.raises(PythonException) as caught:
        spark.range(1).select(F.udf(broken, "double")("id")).collect()
    text = str(caught.value)
    assert "ZeroDivisionError: division by zero" in text
    assert "in broken" in text
    assert "pyspark/worker.py" not in text


def _exits(x: int) -> int:
    import os

    os._exit(3)


def _segfaults(x: int) -> int:
    import ctypes

    ctypes.string_at(0)
    return x


@pytest.mark.parametrize(("function", "how"), [(_exits, "exit status 3"), (_segfaults, "SIGSEGV")])
def test_a_dead_worker_fails_its_query_alone(spark: SparkSession, function: Any, how: str) -> None:
    with pytest.raises(SparkException, match=f"exited unexpectedly.*{how}"):
        spark.range(1).select(F.udf(function, "long")("id")).collect()
    assert spark.range(1).count() == 1


def test_too_much_memory_is_the_users_error(spark: SparkSession) -> None:
    with pytest.raises(PythonException, match="MemoryError"):
        spark.range(1).select(F.udf(lambda x: len(bytearray(20 << 30)), "long")("id")).collect()


@pytest.mark.parametrize(
    ("value", "dtype", "named"),
    [
        (lambda: __import__("numpy").int64(3), "long", "numpy.dtype"),
        (lambda: [__import__("numpy").float64(3)], "array<double>", "numpy.dtype"),
        (lambda: Row(a=1), "string", "pyspark.sql.types._create_row"),
        (lambda: datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), "int", "datetime.timezone"),
    ],
)
def test_values_that_spark_cannot_read_are_refused(
    spark: SparkSession, value: Callable[[], Any], dtype: str, named: str
) -> None:
    with pytest.raises(PickleException, match=f"ClassDict \\(for {named}\\)"):
        spark.range(1).select(F.udf(lambda _: value(), dtype)("id")).collect()


def test_a_pandas_function_that_loses_digits_is_refused(spark: SparkSession) -> None:
    @F.pandas_udf("long")  # type: ignore[call-overload]
    def halves(v: pd.Series) -> pd.Series:
        return v + 0.5

    with pytest.raises(PythonException, match="convertToArrowArraySafely"):
        spark.range(1).select(halves("id")).collect()


def test_aggregates_of_users_in_having_order_by_and_filter(spark: SparkSession) -> None:
    @F.pandas_udf("double")  # type: ignore[call-overload]
    def middle(v: pd.Series) -> float:
        return float(v.mean())

    spark.udf.register("middle", middle)
    grouped = "select id % 2 k from range(6) group by id % 2"
    assert values(spark.sql(f"{grouped} having middle(id) > 2")) == [(1,)]
    assert values(spark.sql(f"{grouped} order by middle(id) desc")) == [(1,), (0,)]
    with pytest.raises(AnalysisException) as caught:
        spark.sql("select middle(id) filter (where id > 1) from range(3)").collect()
    assert caught.value.getMessageParameters() == {"prettyName": "`pythonudaf`", "syntax": "FILTER CLAUSE"}


def test_grouping_by_a_function_and_selecting_it(spark: SparkSession) -> None:
    spark.udf.register("plus_one", lambda x: x + 1, "long")
    query = "select plus_one(id % 2), count(*) from range(6) group by plus_one(id % 2) having plus_one(count(*)) > 3"
    assert sorted(values(spark.sql(query))) == [(1, 3), (2, 3)]
    twice = F.udf(lambda x: x * 2, "long")
    assert sorted(values(spark.range(2).groupBy(twice("id")).agg(twice("id") + F.count("*")))) == [(0, 1), (2, 3)]


def test_functions_of_lambda_functions_results_and_of_casts(spark: SparkSession) -> None:
    total = F.udf(lambda v: sum(v), "long")
    frame = spark.range(1).select(total(F.transform(F.array("id", "id"), lambda x: x + 1)))
    assert values(frame) == [(2,)]
    with pytest.raises(AnalysisException, match="LAMBDA_FUNCTION_WITH_PYTHON_UDF"):
        spark.range(1).select(F.transform(F.array("id"), lambda x: total(F.lit(1)))).collect()
    shown = F.udf(lambda v: str(v), "string").asNondeterministic()
    cast = spark.range(1).select(shown(F.col("id").cast("decimal(9,2)")))
    assert cast.columns == ["<lambda>(cast(id as decimal(9,2)))"]


def test_rows_of_values_hold_no_functions(spark: SparkSession) -> None:
    spark.udf.register("plus_one", lambda x: x + 1, "long")
    with pytest.raises(AnalysisException, match="CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE"):
        spark.sql("select * from values (plus_one(1))").collect()


def test_stop_iteration_is_the_users_error_with_the_users_frame(spark: SparkSession) -> None:
    def stops(x: int) -> int:
        raise StopIteration("enough")

    with pytest.raises(PythonException, match=r"in stops(?s:.)*STOP_ITERATION_OCCURRED(?s:.)*enough"):
        spark.range(1).select(F.udf(stops, "long")("id")).collect()


def test_groups_need_names_and_pairs_need_no_keys(spark: SparkSession, rows: DataFrame) -> None:
    twice = rows.select("id", "v", F.col("s").alias("v"))
    with pytest.raises(AnalysisException) as caught:
        twice.groupBy("id").applyInPandas(lambda part: part, "id long").collect()
    assert caught.value.getMessageParameters() == {"name": "`v`", "referenceNames": "[`v`, `v`]"}

    def sizes(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([(len(left), len(right))])

    pairs = rows.groupBy().cogroup(spark.range(2).groupBy())
    assert values(pairs.applyInPandas(sizes, "a long, b long")) == [(5, 2)]
