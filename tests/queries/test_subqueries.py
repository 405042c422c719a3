"""Subqueries wherever Spark takes them, and names above groups; answers recorded from Spark 4.1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyspark.errors import PySparkException

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLES = (
    "WITH t1(c1, c2) AS (VALUES (0, 1), (1, 2)), t2(c1, c2) AS (VALUES (0, 2), (0, 3), (2, 2)), "
    "n(c) AS (VALUES (1), (NULL)), e AS (SELECT 1 AS e WHERE false) "
)
ANSWERS = {
    "SELECT * FROM t1 LEFT JOIN t2 ON t1.c1 = t2.c1 AND EXISTS (SELECT 1 FROM n WHERE c = t1.c2)":
        [(0, 1, 0, 2), (0, 1, 0, 3), (1, 2, None, None)],
    "SELECT * FROM t1 FULL JOIN t2 ON t1.c1 = t2.c1 AND t2.c2 NOT IN (SELECT c1 + 3 FROM t1)":
        [(0, 1, 0, 2), (1, 2, None, None), (None, None, 0, 3), (None, None, 2, 2)],
    "SELECT * FROM t1 LEFT ANTI JOIN t2 ON t1.c1 = t2.c1 OR t1.c2 IN (SELECT c FROM n)": [(1, 2)],
    "SELECT c1, c1 IN (SELECT count(*) + 1 FROM t2 WHERE t2.c1 = t1.c1) FROM t1": [(0, False), (1, True)],
    "SELECT c1 FROM t1 WHERE EXISTS (SELECT max(c1) FROM t2 WHERE t2.c1 = t1.c1)": [(0,), (1,)],
    "SELECT NULL IN (SELECT e FROM e), NULL NOT IN (SELECT e FROM e), 2 NOT IN (SELECT c FROM n)":
        [(False, True, False)],
    "SELECT c FROM n WHERE (c, 1) NOT IN (SELECT 1, 2)": [(1,), (None,)],
    "SELECT * FROM t1 WHERE (c1, c2) NOT IN (SELECT c1, c2 FROM t2 WHERE t2.c1 = t1.c1 ORDER BY c1)": [(0, 1), (1, 2)],
    "SELECT c1, max(c2) FROM t1 GROUP BY c1 HAVING EXISTS (SELECT 1 FROM t2 WHERE t2.c2 > max(t1.c2))":
        [(0, 1), (1, 2)],
    "SELECT (SELECT max(c2) FROM t2 WHERE t2.c1 = t1.c1) x, count(*) FROM t1 GROUP BY "
    "(SELECT max(c2) FROM t2 WHERE t2.c1 = t1.c1)": [(3, 1), (None, 1)],
    "SELECT c1, count(*) OVER () FROM t2 GROUP BY c1 HAVING c1 > 0": [(2, 1)],
    "SELECT c1 + 1 AS b, sum(count(*)) OVER () FROM t2 GROUP BY c1 HAVING b > 2": [(3, 1)],
    "SELECT count(*) FROM t2 GROUP BY c1 HAVING max(c1) >= 0 ORDER BY c1": [(1,), (2,)],
    "SELECT 1 FROM t1 HAVING true": [(1,)],
    "SELECT 5 AS c1, c1 + 1 AS c1 FROM t1 ORDER BY c1 DESC": [(5, 1), (5, 2)],
    "SELECT c1, c2, count(*) FROM t2 GROUP BY c1, GROUPING SETS ((c1, c2), ())":
        [(0, 2, 1), (0, 3, 1), (0, None, 2), (2, 2, 1), (2, None, 1)],
    "SELECT c1, sum(c2), rank() OVER (ORDER BY sum(c2)) FROM t2 GROUP BY ROLLUP(c1) ORDER BY grouping(c1), c1 LIMIT 1":
        [(0, 5, 2)],
    "SELECT named_struct('a', 1) AS c FROM VALUES ('a') t(c) GROUP BY c HAVING c.a > 0": [((1,),)],
}  # fmt: skip


@pytest.mark.parametrize("query", list(ANSWERS))
def test_answers(each_spark: SparkSession, query: str) -> None:
    found = [tuple(row) for row in each_spark.sql(TABLES + query).collect()]
    assert sorted(found, key=str) == sorted(ANSWERS[query], key=str)


_CATEGORY = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY."
ERRORS = {
    "SELECT * FROM t1 JOIN t2 ON t1.c1 IN (SELECT c FROM n WHERE c = t2.c2)":
        _CATEGORY + "UNSUPPORTED_CORRELATED_EXPRESSION_IN_JOIN_CONDITION",
    "SELECT * FROM t1 LEFT JOIN t2 ON t1.c1 = (SELECT max(c) FROM n WHERE c = t1.c1)":
        _CATEGORY + "UNSUPPORTED_CORRELATED_SCALAR_SUBQUERY",
    "SELECT c1 FROM t1 ORDER BY c1 IN (SELECT c1 FROM t2)": _CATEGORY + "UNSUPPORTED_IN_EXISTS_SUBQUERY",
    "SELECT (SELECT max(t1.c1) FROM t2) FROM t1": _CATEGORY + "CORRELATED_REFERENCE",
    "SELECT (SELECT max(t1.c1 + t2.c1) FROM t2) FROM t1": _CATEGORY + "AGGREGATE_FUNCTION_MIXED_OUTER_LOCAL_REFERENCES",
    "SELECT c1 FROM t1 GROUP BY c1 HAVING EXISTS (SELECT 1 FROM t2 WHERE t2.c2 > t1.c2)":
        "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_MISSING_FROM_INPUT",
    "SELECT c1, (SELECT count(*) FROM t2 WHERE EXISTS (SELECT 1 FROM t1 b WHERE b.c1 = t1.c1)) FROM t1":
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
    "SELECT count(*) FROM t2 GROUP BY c1 HAVING max(c1) > 1 ORDER BY count(*)": "UNSUPPORTED_EXPR_FOR_OPERATOR",
    "SELECT c1 FROM t1 HAVING c1 > 0": "MISSING_GROUP_BY",
    "SELECT c1 AS a, c1 + 1 AS a FROM t1 ORDER BY a": "UNRESOLVED_COLUMN.WITH_SUGGESTION",
}  # fmt: skip


@pytest.mark.parametrize("query", list(ERRORS))
def test_errors(spark: SparkSession, query: str) -> None:
    with pytest.raises(PySparkException) as caught:
        spark.sql(TABLES + query).collect()
    assert caught.value.getCondition() == ERRORS[query]
