"""How long planning takes: analysis of a 1,000-column select, a 100-way union and a 30-table join.

usage: planning.py REMOTE [--limit SECONDS]

Each query is analysed (its schema) and explained (its physical plan) without being run; the best of three counts.
Ends with status 1 where one takes longer than the limit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from pyspark.sql import SparkSession

LIMIT = 2.0


def queries() -> Iterator[tuple[str, str]]:
    """Names and texts of the queries."""
    wide = ", ".join([f"id * {i} + {i} as column_{i}" for i in range(1000)])
    yield "1,000-column select", f"select {wide} from range(10)"
    nested = ", ".join([f"column_{i} + 1 as wider_{i}" for i in range(1000)])
    yield "1,000 columns twice", f"select {nested} from (select {wide} from range(10)) where column_7 > 3"
    arms = " union all ".join([f"select id + {i} as id, 'arm {i}' as arm from range({i})" for i in range(100)])
    yield "100-way union", f"select arm, count(*) from ({arms}) group by arm"
    tables = " ".join([f"join range(10) t{i} on t{i}.id = t{i - 1}.id" for i in range(1, 30)])
    yield "30-table join", f"select t0.id, t29.id as last from range(10) t0 {tables} where t3.id > 2"
    commas = ", ".join([f"range(10) t{i}" for i in range(30)])
    equal = " and ".join([f"t{i}.id = t{i - 1}.id" for i in range(1, 30)])
    yield "30-table join by WHERE", f"select count(*) from {commas} where {equal}"


def best(session: SparkSession, text: str) -> tuple[float, float]:
    """Seconds for the schema and for the physical plan, each the best of three."""
    schema, plan = [], []
    for _ in range(3):
        start = time.perf_counter()
        _ = session.sql(text).schema
        between = time.perf_counter()
        session.sql(f"explain {text}").collect()
        schema.append(between - start)
        plan.append(time.perf_counter() - between)
    return min(schema), min(plan)


def main() -> int:
    """Run all; print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("remote")
    arguments.add_argument("--limit", type=float, default=LIMIT)
    given = arguments.parse_args()
    session = SparkSession.builder.remote(given.remote).create()
    slow = 0
    print(f"{'query':28}{'schema':>10}{'plan':>10}")
    for name, text in queries():
        schema, plan = best(session, text)
        slow += max(schema, plan) > given.limit
        print(f"{name:28}{schema:9.2f}s{plan:9.2f}s")
    session.stop()
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
