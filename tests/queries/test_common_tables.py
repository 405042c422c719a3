"""WITH and WITH RECURSIVE, in one task and by stages; answers recorded from Spark 4.1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyspark.errors import PySparkException

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COUNTED = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) "
ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
ANSWERS = {
    COUNTED + "SELECT * FROM r": [(1,), (2,), (3,)],
    COUNTED + "SELECT a.n, b.n FROM r a LEFT JOIN r b ON a.n = b.n + 1": [(1, None), (2, 1), (3, 2)],
    COUNTED + "SELECT n FROM r WHERE n = (SELECT count(*) FROM r)": [(3,)],
    COUNTED + ", s AS (SELECT n * 10 AS m FROM r) SELECT m FROM s WHERE m IN (SELECT n * 5 FROM r)": [(10,)],
    ENDLESS + "SELECT n + 1, 5 FROM r LIMIT 4": [(2, 5), (3, 5), (4, 5), (5, 5)],
    ENDLESS + "SELECT n FROM r LIMIT 4 OFFSET 2": [(3,), (4,), (5,), (6,)],
    "WITH RECURSIVE r(n) MAX RECURSION LEVEL 4 AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT sum(n) "
    "FROM r": [(10,)],
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 5 UNION ALL SELECT n + 10 FROM r WHERE n < 30) SELECT * FROM r":
        [(1,), (5,), (11,), (15,), (21,), (25,), (31,), (35,)],
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r CROSS JOIN range(2) WHERE n < 3) "
    "SELECT n, count(*) FROM r GROUP BY n": [(1, 1), (2, 2), (3, 4)],
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r a WHERE n < 3 AND EXISTS "
    "(SELECT 1 FROM r WHERE r.n = a.n)) SELECT * FROM r": [(1,), (2,), (3,)],
    "WITH RECURSIVE o AS (WITH RECURSIVE i AS (SELECT 0 AS x UNION ALL SELECT x + 1 FROM i WHERE x < 3) "
    "SELECT 0 AS y, x FROM i UNION ALL SELECT y + 1, x FROM o WHERE y < 3) SELECT count(*), max(y) FROM o": [(16, 3)],
    "WITH RECURSIVE r(n) AS (SELECT id FROM range(0) UNION ALL SELECT n + 1 FROM r) SELECT * FROM r": [],
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT x FROM t LATERAL VIEW explode(array(n + 1)) AS x WHERE n < 3) "
    "SELECT * FROM t": [(1,), (2,), (3,)],
    "WITH q AS (SELECT rand() AS x FROM range(5)) SELECT count(*) FROM (SELECT * FROM q UNION SELECT * FROM q)": [(5,)],
}  # fmt: skip


@pytest.mark.parametrize("query", list(ANSWERS))
def test_answers(each_spark: SparkSession, query: str) -> None:
    found = [tuple(row) for row in each_spark.sql(query).collect()]
    assert sorted(found, key=str) == sorted(ANSWERS[query], key=str)


ERRORS = {
    ENDLESS + "SELECT * FROM r": "RECURSION_LEVEL_LIMIT_EXCEEDED",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r, range(40)) SELECT * FROM r":
        "RECURSION_ROW_LIMIT_EXCEEDED",
    "WITH RECURSIVE r(n) AS (SELECT n FROM r) SELECT * FROM r": "INVALID_RECURSIVE_CTE",
    "WITH RECURSIVE r(n) AS (SELECT 1 INTERSECT SELECT n FROM r) SELECT n FROM r": "INVALID_RECURSIVE_CTE",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n FROM r) SELECT * FROM r": "UNION_NOT_SUPPORTED_IN_RECURSIVE_CTE",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT max(n) FROM r) SELECT * FROM r":
        "INVALID_RECURSIVE_REFERENCE.PLACE",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT r.n FROM range(2) LEFT JOIN r ON id = n) SELECT * FROM r":
        "INVALID_RECURSIVE_REFERENCE.PLACE",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1L FROM r) SELECT * FROM r":
        "CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE",
    "WITH r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT * FROM r": "TABLE_OR_VIEW_NOT_FOUND",
    "WITH r(n) MAX RECURSION LEVEL 5 AS (SELECT 1) SELECT * FROM r": "_LEGACY_ERROR_TEMP_0035",
    "WITH t AS (SELECT 1), t AS (SELECT 2) SELECT * FROM t": "DUPLICATED_CTE_NAMES",
    "WITH t AS (SELECT 1 FROM no_such_table) SELECT 2": "TABLE_OR_VIEW_NOT_FOUND",
}  # fmt: skip


@pytest.mark.parametrize("query", list(ERRORS))
def test_errors(spark: SparkSession, query: str) -> None:
    with pytest.raises(PySparkException) as caught:
        spark.sql(query).collect()
    assert caught.value.getCondition() == ERRORS[query]
