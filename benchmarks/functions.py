"""Functions of each family over a million rows on a running server, beside raw Polars doing the nearest thing.

usage: python benchmarks/functions.py sc://HOST:PORT [rows]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import polars as pl

N, S, D = pl.col("n"), pl.col("s"), pl.col("d")
# family, Spark SQL over columns n (BIGINT), s (STRING), d (DATE), the nearest thing in Polars (None: there is none)
ROWS: tuple[tuple[str, str, pl.Expr | None], ...] = (
    ("arithmetic", "n * 3 + 1", N * 3 + 1),
    ("math", "sqrt(n)", N.sqrt()),
    ("rounding", "round(n / 7, 2)", (N / 7).round(2)),
    ("conditional", "case when n % 2 = 0 then n else -n end", pl.when(N % 2 == 0).then(N).otherwise(-N)),
    ("casts", "cast(s as string) || cast(n as string)", S + N.cast(pl.String)),
    ("string", "upper(s)", S.str.to_uppercase()),
    ("string", "initcap(s)", S.str.to_titlecase()),
    ("string", "translate(s, 'abc', 'xyz')", S.str.replace_many(["a", "b", "c"], ["x", "y", "z"])),
    ("string", "levenshtein(s, 'value 500')", None),
    ("string", "soundex(s)", None),
    ("regex", "regexp_replace(s, '[0-9]+', 'x')", S.str.replace_all("[0-9]+", "x")),
    ("regex", "regexp_extract(s, '([0-9]+)', 1)", S.str.extract("([0-9]+)", 1)),
    ("format", "format_number(n, 2)", None),
    ("hash", "hash(n, s)", N.hash()),
    ("hash", "md5(s)", None),
    ("hash", "sha2(s, 256)", None),
    ("date_time", "date_add(d, 3)", D.dt.offset_by("3d")),
    ("date_format", "date_format(d, 'yyyy-MM-dd')", D.dt.strftime("%Y-%m-%d")),
    ("array", "array_contains(array(n, n + 1), 5L)", pl.concat_list(N, N + 1).list.contains(5)),
    ("higher_order", "aggregate(array(n, n + 1), 0L, (a, x) -> a + x)", pl.concat_list(N, N + 1).list.sum()),
    (
        "json",
        "get_json_object(concat('{\"a\":', n, '}'), '$.a')",
        pl.concat_str(pl.lit('{"a":'), N, pl.lit("}")).str.json_path_match("$.a"),
    ),
)
_SOURCE = "select id as n, concat('value ', id % 1000000) as s, date_add(date'2020-01-01', cast(id % 1000 as int)) as d"


def _best(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print a row a function: its milliseconds here, what a plain count costs, and Polars' own."""
    from pyspark.sql import SparkSession

    remote, rows = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    spark = SparkSession.builder.remote(remote).create()
    spark.sql(f"{_SOURCE} from range({rows})").createOrReplaceTempView("benchmark")
    spark.sql("cache table functions_benchmark as select * from benchmark").collect()
    frame = spark.table("functions_benchmark").toArrow()
    table = pl.DataFrame(frame)

    def server(text: str) -> float:
        return _best(lambda: spark.sql(f"select max(x) from (select {text} as x from functions_benchmark)").collect())

    floor = server("n")
    print(f"max(n) alone: {floor * 1000:.0f} ms for {rows:,} rows")
    print(f"{'family':<14}{'function':<58}{'here, ms':>10}{'Polars, ms':>12}")
    for family, text, nearest in ROWS:
        ours = max(server(text) - floor, 0.0) * 1000
        theirs = "" if nearest is None else f"{_best(lambda e=nearest: table.select(e)) * 1000:.0f}"  # type: ignore[misc]
        print(f"{family:<14}{text:<58}{ours:>10.0f}{theirs:>12}", flush=True)
    spark.sql("uncache table functions_benchmark")
    spark.stop()


if __name__ == "__main__":
    main()
