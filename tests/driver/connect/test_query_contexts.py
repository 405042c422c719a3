"""Where errors at run time say they were written, as Spark 4.1.1 tells it."""

from __future__ import annotations

import pickle

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from voltray.driver.connect.places import summary_of
from voltray.proto.expressions import Call, Literal
from voltray.proto.failures import QueryContext
from voltray.proto.types import INTEGER

# (statement, condition, start, stop, fragment); no place where Spark tells none.
RECORDED = (
    ("select id, 1/(id-1) from range(3)", "DIVIDE_BY_ZERO", 11, 18, "1/(id-1)"),
    ("select abs(id), cast(concat('a', id) as int) from range(2)", "CAST_INVALID_INPUT", 16, 43,
     "cast(concat('a', id) as int)"),
    ("select 'abc' + 1", "CAST_INVALID_INPUT", 7, 15, "'abc' + 1"),
    ("select id + 9223372036854775807 from range(3)", "ARITHMETIC_OVERFLOW", 7, 30, "id + 9223372036854775807"),
    ("select array(1)[id+3] from range(1)", "INVALID_ARRAY_INDEX", 7, 20, "array(1)[id+3]"),
    ("select element_at(array(1), 0)", "INVALID_INDEX_OF_ZERO", 7, 29, "element_at(array(1), 0)"),
    ("select cast(12345.6 as decimal(3,1))", "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", 7, 35,
     "cast(12345.6 as decimal(3,1))"),
    ("select id from range(3) where 1/id > 0", "DIVIDE_BY_ZERO", 30, 33, "1/id"),
    ("select avg(1/id) from range(3)", "DIVIDE_BY_ZERO", 11, 14, "1/id"),
    ("select transform(array(0), x -> 1/x)", "DIVIDE_BY_ZERO", 32, 34, "1/x"),
    ("select * from places where id < 1", "DIVIDE_BY_ZERO", 14, 19, "places"),
    ("select sum(v) from values (9223372036854775807), (1) t(v)", "ARITHMETIC_OVERFLOW", -1, -1, ""),
    ("select abs(-9223372036854775808)", "ARITHMETIC_OVERFLOW", None, None, None),
    ("select raise_error('x')", "USER_RAISED_EXCEPTION", None, None, None),
)  # fmt: skip


def test_sql_says_where_it_failed(spark):
    spark.sql("create or replace temp view places as select id, 1/id as x from range(2)")
    for statement, condition, start, stop, fragment in RECORDED:
        with pytest.raises(PySparkException) as caught:
            spark.sql(statement).collect()
        error = caught.value
        contexts = error.getQueryContext()
        assert error.getCondition() == condition, statement
        if fragment is None:
            assert not contexts, statement
            continue
        (context,) = contexts
        assert (context.startIndex(), context.stopIndex(), context.fragment()) == (start, stop, fragment), statement
        assert (f"== SQL (line 1, position {start + 1}) ==" in str(error)) == bool(fragment), statement


def test_data_frames_say_which_call_failed(spark, monkeypatch):
    monkeypatch.setattr("pyspark.errors.utils._enable_debugging_cache", True)  # kept from another test's session
    with pytest.raises(PySparkException) as caught:
        spark.range(2).select(F.col("id") % 0).collect()
    (context,) = caught.value.getQueryContext()
    assert context.fragment() == "__mod__"
    assert "test_query_contexts.py" in context.callSite()
    assert '== DataFrame ==\n"__mod__" was called from\n' in str(caught.value)


def test_a_place_is_shown_in_its_lines():
    text = "with c as (select\n  id,\n 5 %\n id from range(1)) select * from c"
    shown = summary_of(QueryContext("5 %\n id", 25, 31, text=text))
    assert shown == "== SQL (line 3, position 2) ==\n 5 %\n ^^^\n id from range(1)) select * from c\n^^^\n"
    text = "select * from range(2) a join range(2) b on 1/a.id = b.id"
    shown = summary_of(QueryContext("1/a.id", 44, 49, text=text))
    assert shown.split("\n")[1] == "...m range(2) a join range(2) b on 1/a.id = b.id"


def test_a_place_is_no_part_of_what_a_call_means():
    plain = Call("+", (Literal(1, INTEGER), Literal(2, INTEGER)), INTEGER)
    placed = Call("+", plain.args, INTEGER, origin=QueryContext("1 + 2", 0, 4))
    assert plain == placed and hash(plain) == hash(placed)
    assert pickle.loads(pickle.dumps(placed)).origin == placed.origin
