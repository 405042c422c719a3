"""TPC-H and TPC-DS data as Parquet files, their queries and DuckDB's answers, from DuckDB's extensions."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import duckdb
import duckdb_extension_tpcds
import duckdb_extension_tpch

DATA = Path(__file__).parent / "data"
_PACKAGES = {"tpch": duckdb_extension_tpch, "tpcds": duckdb_extension_tpcds}
_GENERATORS = {"tpch": "dbgen", "tpcds": "dsdgen"}
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


@cache
def connection(suite: str = "tpch") -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with the extension of the installed package."""
    folder = Path(str(_PACKAGES[suite].__file__)).parent / "extensions"
    [extension] = folder.rglob(f"{suite}.duckdb_extension*")
    database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    database.execute(f"LOAD '{extension}'")
    return database


def tables(scale: float, suite: str = "tpch") -> Path:
    """Return the folder with one Parquet file a table, making it where it is missing."""
    folder = DATA / f"{suite}-{scale:g}"
    if not (folder / "_SUCCESS").exists():
        folder.mkdir(parents=True, exist_ok=True)
        database = connection(suite)
        database.execute(f"CALL {_GENERATORS[suite]}(sf={scale})")
        for (table,) in database.execute("SHOW TABLES").fetchall():
            database.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet, COMPRESSION zstd)")
            database.execute(f"DROP TABLE {table}")
        (folder / "_SUCCESS").touch()
    return folder


def table_names(scale: float, suite: str = "tpch") -> list[str]:
    """Return the names of a suite's tables."""
    return sorted(path.stem for path in tables(scale, suite).glob("*.parquet"))


@cache
def query_texts(suite: str = "tpch") -> dict[int, str]:
    """Return the SQL of each query by its number."""
    rows = connection(suite).execute(f"SELECT query_nr, query FROM {suite}_queries() ORDER BY 1").fetchall()
    return {number: text.rstrip().rstrip(";") for number, text in rows}


def spark_texts(suite: str = "tpch") -> dict[int, str]:
    """Return the queries as Spark reads them: a name in double quotes is a text there."""
    return {number: re.sub(r'"([^"]+)"', r"`\1`", text) for number, text in query_texts(suite).items()}


def duckdb_answer(number: int, scale: float, suite: str = "tpch") -> list[tuple[object, ...]]:
    """Return DuckDB's rows for a query over the same files."""
    folder, database, names = tables(scale, suite), connection(suite), table_names(scale, suite)
    for table in names:
        database.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM '{folder / table}.parquet'")
    rows = database.execute(query_texts(suite)[number]).fetchall()
    for table in names:
        database.execute(f"DROP VIEW {table}")
    return rows
