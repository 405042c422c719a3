"""Users' aggregate functions over windows and groups; answers recorded from Spark."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.functions as F
import pytest
from pyspark import cloudpickle
from pyspark.errors import AnalysisException, PythonException
from pyspark.errors.exceptions.connect import IllegalArgumentException, SparkException, UnsupportedOperationException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql.types import DoubleType

# Workers cannot import this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
ROWS = [(1, 1.0, "a"), (1, 2.0, None), (2, 3.0, "c"), (2, 5.0, "d"), (None, 10.0, "e")]


def rows_of(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, "id long, v double, s string")


@F.pandas_udf(DoubleType())  # type: ignore[call-overload]
def mean(v: pd.Series) -> float:
    return float(v.mean())


@F.arrow_udf(DoubleType())
def arrow_mean(v: pa.Array) -> float:
    return pa.scalar(float(pc.mean(v).as_py()))  # type: ignore[return-value, no-any-return]


@F.pandas_udf(DoubleType())  # type: ignore[call-overload]
def weighted(v: pd.Series, w: pd.Series) -> float:
    return float((v * w).sum())


BY_ID = Window.partitionBy("id")
FRAMES: list[tuple[Callable[[], Any], list[float]]] = [
    (lambda: mean("v").over(BY_ID), [1.5, 1.5, 4.0, 4.0, 10.0]),
    (lambda: arrow_mean("v").over(BY_ID), [1.5, 1.5, 4.0, 4.0, 10.0]),
    (lambda: mean("v").over(BY_ID.orderBy("v")), [1.0, 1.5, 3.0, 4.0, 10.0]),
    (lambda: arrow_mean("v").over(BY_ID.orderBy("v")), [1.0, 1.5, 3.0, 4.0, 10.0]),
    (lambda: mean("v").over(Window.orderBy("v").rowsBetween(-1, 1)), [1.5, 2.0, 10 / 3, 6.0, 7.5]),
    (lambda: mean("v").over(Window.orderBy("v").rangeBetween(-1, 1)), [1.5, 2.0, 2.5, 5.0, 10.0]),
    (lambda: mean(F.col("v") * 2).over(BY_ID) + 1, [4.0, 4.0, 9.0, 9.0, 21.0]),
    (lambda: weighted(w=F.lit(2.0), v=F.col("v")).over(BY_ID), [6.0, 6.0, 16.0, 16.0, 20.0]),
]


@pytest.mark.parametrize(("column", "expected"), FRAMES)
def test_functions_over_frames(each_spark: SparkSession, column: Callable[[], Any], expected: list[float]) -> None:
    made = rows_of(each_spark).select("v", column().alias("m")).sort("v")
    assert [r.m for r in made.collect()] == pytest.approx(expected)


def test_windows_of_functions_beside_others(each_spark: SparkSession) -> None:
    made = rows_of(each_spark).select(
        "v", F.sum("v").over(BY_ID).alias("a"), mean("v").over(BY_ID.orderBy("v")).alias("b"),
        F.row_number().over(BY_ID.orderBy("v")).alias("c"),
    )  # fmt: skip
    assert [tuple(r) for r in made.sort("v").collect()][:2] == [(1.0, 3.0, 1.0, 1), (2.0, 3.0, 1.5, 2)]
    assert rows_of(each_spark).filter("id > 9").select(mean("v").over(BY_ID)).collect() == []


def test_windows_from_sql_and_of_nested_types(each_spark: SparkSession) -> None:
    @F.pandas_udf("array<double>")  # type: ignore[call-overload]
    def all_of(v: pd.Series) -> list[float]:
        return sorted(v.tolist())

    each_spark.udf.register("all_of", all_of)
    rows_of(each_spark).createOrReplaceTempView("window_rows")
    made = each_spark.sql("select v, all_of(v) over (partition by id order by v desc) m from window_rows order by v")
    assert [r.m for r in made.collect()] == [[1.0, 2.0], [2.0], [3.0, 5.0], [5.0], [10.0]]
    with pytest.raises(AnalysisException, match="UNSUPPORTED_EXPR_FOR_WINDOW"):
        _ = rows_of(each_spark).select(F.udf(lambda x: x, "double")("v").over(BY_ID)).columns


def test_exceptions_in_windows(spark: SparkSession) -> None:
    @F.pandas_udf("double")  # type: ignore[call-overload]
    def broken(v: pd.Series) -> float:
        raise ValueError("boom")

    with pytest.raises(PythonException, match="ValueError: boom"):
        rows_of(spark).select(broken("v").over(BY_ID)).collect()


def test_where_functions_are_refused(spark: SparkSession) -> None:
    rows = rows_of(spark)
    spark.udf.register("mean_of", mean)
    spark.udf.register("plus", lambda x, y=1: x + y, "long")
    chance = F.udf(lambda: 1.0, "double").asNondeterministic()
    same = F.udf(lambda a, b: a == b, "boolean")
    uncertain = F.udf(lambda a, b: a == b, "boolean").asNondeterministic()
    a, b = rows.alias("a"), rows.alias("b")
    both = (F.col("a.v"), F.col("b.v"))
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: rows.groupBy("id").pivot("s").agg(mean("v")), "UNSUPPORTED_FEATURE.PANDAS_UDAF_IN_PIVOT"),
        (lambda: spark.sql("select mean_of(distinct 1d)"), "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX"),
        (
            lambda: spark.sql("select transform(array(1L), x -> plus(x))"),
            "UNSUPPORTED_FEATURE.LAMBDA_FUNCTION_WITH_PYTHON_UDF",
        ),
        (lambda: rows.agg(F.sum(chance())), "AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION"),
        (lambda: a.join(b, uncertain(*both)), "INVALID_NON_DETERMINISTIC_EXPRESSIONS"),
        (lambda: a.join(b, same(*both), "left"), "UNSUPPORTED_FEATURE.PYTHON_UDF_IN_ON_CLAUSE"),
        (lambda: spark.sql("select plus(x => 1, 2)"), "UNEXPECTED_POSITIONAL_ARGUMENT"),
        (
            lambda: spark.sql("select plus(x => 1, x => 2)"),
            "DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.DOUBLE_NAMED_ARGUMENT_REFERENCE",
        ),
        (lambda: spark.udf.registerJavaFunction("java", "com.example.Function"), "_LEGACY_ERROR_TEMP_1329"),
    ]
    for query, condition in refused:
        with pytest.raises(AnalysisException) as caught:
            query().collect()
        assert caught.value.getCondition() == condition


def test_no_rows_are_no_group(each_spark: SparkSession) -> None:
    assert rows_of(each_spark).filter("id > 9").agg(mean("v")).collect() == []


def test_cogroups_on_many_tasks(each_spark: SparkSession) -> None:
    left = each_spark.range(100).select((F.col("id") % 10).alias("k"), "id").repartition(4)
    right = each_spark.range(50).select((F.col("id") % 20).alias("k"), "id").repartition(3)

    def sizes(key: Any, a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([(key[0], len(a), len(b))])

    made = left.groupBy("k").cogroup(right.groupBy("k")).applyInPandas(sizes, "k long, a long, b long")
    expected = [(k, 10 if k < 10 else 0, 3 if k < 10 else 2) for k in range(20)]
    assert sorted(tuple(r) for r in made.collect()) == expected
    made = left.groupBy("k").cogroup(right.groupBy("k")).applyInArrow(
        lambda a, b: pa.table({"n": [a.num_rows + b.num_rows]}), "n long"
    )  # fmt: skip
    assert sum(r.n for r in made.collect()) == 150
    with pytest.raises(IllegalArgumentException, match="Cogroup keys must have same size: 1 != 2"):
        left.groupBy("k").cogroup(right.groupBy("k", "id")).applyInPandas(sizes, "k long, a long, b long").collect()


def test_columns_that_map_in_arrow_gives(each_spark: SparkSession) -> None:
    rows = each_spark.range(3)

    def columns(**made: Any) -> Callable[[Any], Any]:
        def mapped(parts: Any) -> Any:
            for part in parts:
                yield pa.RecordBatch.from_pydict({n: pa.array([v] * part.num_rows) for n, v in made.items()})

        return mapped

    made = rows.mapInArrow(columns(z=7, surplus="x"), "id long").collect()
    assert [r.id for r in made] == [7, 7, 7]
    with pytest.raises(UnsupportedOperationException, match="getLong"):
        rows.mapInArrow(columns(id="x"), "id long").collect()
    with pytest.raises(SparkException, match="out of bounds"):
        rows.mapInArrow(columns(id=7), "id long, more long").collect()


def test_rows_are_numbered_for_pandas(each_spark: SparkSession) -> None:
    made = each_spark.range(20).repartition(3).pandas_api().reset_index().to_spark()
    assert sorted(r["index"] for r in made.collect()) == list(range(20))


def test_variants_are_given_and_taken(spark: SparkSession) -> None:
    rows = spark.sql("""select parse_json('{"a":1}') v""")
    made = rows.select(F.udf(lambda v: str(v), "string")("v"), F.udf(lambda v: v, "variant")("v").cast("string"))
    assert tuple(made.collect()[0]) == ('{"a":1}', '{"a":1}')
