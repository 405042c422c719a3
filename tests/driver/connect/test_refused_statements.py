"""Statements that Spark 4.1.1 refuses, under its conditions."""

from __future__ import annotations

import pytest
from pyspark.errors import PySparkException

REFUSED = (
    ("select k from t having row_number() over (order by k) > 1", "_LEGACY_ERROR_TEMP_1034"),
    ("select k from t where explode(array(k)) > 1", "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT"),
    ("select sum(k) filter (k > 1) from t", "PARSE_SYNTAX_ERROR"),
    ("select mode() from t", "INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING"),
    ("select listagg(distinct s) within group (order by k) from t",
     "INVALID_WITHIN_GROUP_EXPRESSION.MISMATCH_WITH_DISTINCT_INPUT"),
    ("select median(k) over (order by k) from t", "INVALID_WINDOW_SPEC_FOR_AGGREGATION_FUNC"),
    ("select sum(1) over (order by date'2020-01-01' range between interval 1 day preceding and interval 1 month "
     "following)", "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_DIFF_TYPES"),
    ("select * from t a join t b on rand() > 0.5", "INVALID_NON_DETERMINISTIC_EXPRESSIONS"),
    ("select if('a', 1, 2)", "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"),
    ("select cast(1 as int(3))", "UNSUPPORTED_DATATYPE"),
    ("select cast(1 as varchar)", "DATATYPE_MISSING_SIZE"),
    ("values (1/0)", "INVALID_INLINE_TABLE.FAILED_SQL_EXPRESSION_EVALUATION"),
    ("values (rand())", "INVALID_INLINE_TABLE.CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE"),
    ("values (1), (1, 2)", "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH"),
    ("values (1), ('a')", "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE"),
    ("create view refused as select given as v", "INVALID_TEMP_OBJ_REFERENCE"),
    ("create view refused as select 1 + 1", "CREATE_PERMANENT_VIEW_WITHOUT_ALIAS"),
    ("select /*+ COALESCE1) */ 1", "PARSE_SYNTAX_ERROR"),
)  # fmt: skip


def test_what_spark_refuses(spark):
    spark.sql("create or replace temp view t as select * from values (1, 'a'), (2, 'b') t(k, s)")
    spark.sql("declare or replace variable given int default 5")
    for statement, condition in REFUSED:
        with pytest.raises(PySparkException) as caught:
            spark.sql(statement).collect()
        assert caught.value.getCondition() == condition, statement


def test_what_it_takes(spark):
    assert spark.sql("select explode(array(1, 2)) as c, c + 1 as d").collect() == [(1, 2), (2, 3)]
    assert spark.sql("select t.a from values 1, 2 as t(a)").collect() == [(1,), (2,)]
    assert spark.sql("select * from values struct(1, 2) t(a, b)").collect() == [(1, 2)]
    joined = spark.sql("select * from (select 1 a, 2 k) x left semi join (select 2 k) y using (k)")
    assert joined.columns == ["k", "a"]
    assert spark.sql("select * from posexplode(map())").collect() == []
