"""The stored catalog: it survives a restart and many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from voltray.driver.catalog.records import Database, StoredFunction, Table
from voltray.driver.catalog.store import CatalogStore
from voltray.proto.types import LONG, STRING, ArrayType, StructField, StructType

SCHEMA = StructType([StructField("id", LONG, False), StructField("Tags", ArrayType(STRING), True, {"comment": "x"})])


def table(name: str, database: str = "default") -> Table:
    return Table(database, name, "MANAGED", SCHEMA, "parquet", "/tmp/t", ("Tags",), options=(("a", "b"),))


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path / "meta.sqlite", tmp_path / "warehouse")
    assert store.create_database(Database("Sales", "/w/sales.db", "note", (("k", "v"),)))
    assert store.create_table(table("Orders", "sales"))
    assert store.create_function(StoredFunction("sales", "Twice", "org.example.Twice", (("p", "q"),)))
    store.close()

    again = CatalogStore(tmp_path / "meta.sqlite", tmp_path / "warehouse")
    assert [d.name for d in again.databases()] == ["default", "sales"]
    assert again.database("SALES") == Database("sales", "/w/sales.db", "note", (("k", "v"),))
    found = again.table("sales", "ORDERS")
    assert found is not None
    assert found.schema == SCHEMA
    assert found.schema["Tags"].metadata == {"comment": "x"}
    assert (found.name, found.partition_columns, found.options) == ("orders", ("Tags",), (("a", "b"),))
    assert again.function("sales", "twice") == StoredFunction("sales", "twice", "org.example.Twice", (("p", "q"),))
    again.close()


def test_names_are_taken_once(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path / "meta.sqlite", tmp_path)
    assert store.create_table(table("t"))
    assert not store.create_table(table("T"))
    assert store.create_table(table("T"), replacing=True)
    store.drop_table("default", "t")
    assert store.table("default", "t") is None
    assert store.create_table(table("t"))


def test_one_of_many_threads_makes_the_table(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path / "meta.sqlite", tmp_path)
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda i: store.create_table(table(f"t{i % 10}")), range(200)))
    assert sum(made) == 10
    assert len(store.tables("default")) == 10


def test_dropping_a_database_drops_what_it_holds(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path / "meta.sqlite", tmp_path)
    store.create_database(Database("d", "/w/d"))
    store.create_table(table("t", "d"))
    store.drop_database("d")
    store.create_database(Database("d", "/w/d"))
    assert store.tables("d") == []
