"""TPC-H data as Parquet files, made by DuckDB's tpch extension, and DuckDB's answers to compare with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import duckdb
import duckdb_extension_tpch

DATA = Path(__file__).parent / "data"
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with the tpch extension of the installed package."""
    folder = Path(duckdb_extension_tpch.__file__).parent / "extensions"
    [extension] = folder.rglob("tpch.duckdb_extension*")
    database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    database.execute(f"LOAD '{extension}'")
    return database


def tables(scale: float) -> Path:
    """Return the folder with one Parquet file a table, making it where it is missing."""
    folder = DATA / f"tpch-{scale:g}"
    if not (folder / "_SUCCESS").exists():
        folder.mkdir(parents=True, exist_ok=True)
        database = connection()
        database.execute(f"CALL dbgen(sf={scale})")
        for table in TABLES:
            database.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet, COMPRESSION zstd)")
            database.execute(f"DROP TABLE {table}")
        (folder / "_SUCCESS").touch()
    return folder


def duckdb_answer(number: int, scale: float) -> list[tuple[object, ...]]:
    """Return DuckDB's rows for a TPC-H query over the same files."""
    folder, database = tables(scale), connection()
    for table in TABLES:
        database.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM '{folder / table}.parquet'")
    [text] = database.execute("SELECT query FROM tpch_queries() WHERE query_nr = ?", [number]).fetchone() or ("",)
    rows = database.execute(text).fetchall()
    for table in TABLES:
        database.execute(f"DROP VIEW {table}")
    return rows
