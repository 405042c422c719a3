"""Users' Python functions: Voltray beside another Spark Connect server, each query in turn on both.

``python benchmarks/python_functions.py voltray=sc://localhost:15002 sail=sc://localhost:50051``
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf, udf
from pyspark.sql.types import LongType

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession as ConnectSession

ROWS_PICKLED = 1_000_000
ROWS_PANDAS = 20_000_000


@udf(LongType())  # type: ignore[untyped-decorator]
def plus_one(value):  # type: ignore[no-untyped-def]
    """One cell."""
    return value + 1


@pandas_udf(LongType())  # type: ignore[call-overload,untyped-decorator]
def plus_one_vectorized(values: pd.Series) -> pd.Series:
    """A batch of cells."""
    return values + 1


def python_udf(spark: ConnectSession) -> object:
    """The sum of a Python function's values."""
    return spark.range(ROWS_PICKLED).select(plus_one("id").alias("v")).agg(F.sum("v")).collect()[0][0]


def vectorized_udf(spark: ConnectSession) -> object:
    """The sum of a vectorized function's values."""
    return spark.range(ROWS_PANDAS).select(plus_one_vectorized("id").alias("v")).agg(F.sum("v")).collect()[0][0]


QUERIES: Mapping[str, tuple[Callable[[ConnectSession], object], int]] = {
    "1M-row Python UDF": (python_udf, ROWS_PICKLED * (ROWS_PICKLED + 1) // 2),
    "20M-row pandas UDF": (vectorized_udf, ROWS_PANDAS * (ROWS_PANDAS + 1) // 2),
}


def main() -> None:
    """Run every query on every server in turn and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers", nargs="+", help="name=sc://host:port")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    sessions = {}
    for entry in options.servers:
        name, _, remote = entry.partition("=")
        sessions[name] = SparkSession.builder.remote(remote).create()
    print(f"{'query':20} {'server':10} {'first':>7} {'median':>7} {'best':>7}")
    for label, (query, expected) in QUERIES.items():
        seconds: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(options.runs + 1):
            for name, session in sessions.items():
                start = time.perf_counter()
                answer = query(session)
                seconds[name].append(time.perf_counter() - start)
                if answer != expected:
                    raise SystemExit(f"{name}: {label}: {answer} instead of {expected}")
        for name, (first, *rest) in seconds.items():
            print(f"{label:20} {name:10} {first:7.2f} {statistics.median(rest):7.2f} {min(rest):7.2f}")


if __name__ == "__main__":
    main()
