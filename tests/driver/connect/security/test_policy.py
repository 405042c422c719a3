"""What users may read and write, on a real server with real files: every way to name a file or a table."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.connect.session import SparkSession

TOKENS = """
[[tokens]]
token = "t-root"
user = "root"
[[tokens]]
token = "t-ada"
user = "ada"
groups = ["analysts"]
[[tokens]]
token = "t-eve"
user = "eve"
"""
REFUSED = "INSUFFICIENT_PERMISSIONS"


def policy(folder: Path, more: str = "") -> str:
    return f"""
[default]
read_paths = ["{folder}/public"]
python = false

[users.root]
read_paths = ["/"]
write_paths = ["/"]
read_tables = ["*.*"]
write_tables = ["*.*"]

[groups.analysts]
write_paths = ["{folder}/scratch/{{user}}"]
read_tables = ["sales.*"]
write_tables = ["lab_{{user}}.*"]
python = true
{more}
"""


class World:
    """A server with two tables, some folders, and sessions of three users."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tokens.toml").write_text(TOKENS)
        (folder / "policy.toml").write_text(policy(folder))
        command = [sys.executable, "-m", "voltray.driver.main", "serve", "--port", "0", "--executor-cpus", "2"]
        command += ["--executor-memory", "1g", "--object-store-memory", "100m", "--graceful-stop-seconds", "1"]
        command += ["--auth-tokens", f"{folder}/tokens.toml", "--policy", f"{folder}/policy.toml"]
        command += ["--warehouse-dir", f"{folder}/warehouse"]
        with (folder / "server.log").open("wb") as log:
            self.server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder)
        assert self.server.stdout is not None
        for line in self.server.stdout:
            if match := re.search(r"listening on sc://\S+:(\d+)", line):
                self.port = match[1]
                break
        else:
            raise RuntimeError((folder / "server.log").read_text()[-4000:])
        self.root, self.ada, self.eve = (self.session(f"t-{name}") for name in ("root", "ada", "eve"))
        for name in ("public", "secret", "scratch/ada", "scratch/eve"):
            (folder / name).mkdir(parents=True)
        for name in ("public", "secret"):
            self.root.range(3).write.parquet(f"{folder}/{name}/numbers")
            (folder / name / "text.txt").write_text(f"{name}\n")
        os.symlink(folder / "secret", folder / "public" / "link")
        os.symlink(folder / "secret" / "text.txt", folder / "public" / "file.txt")
        os.symlink(folder / "secret", folder / "scratch" / "ada" / "out")
        for database in ("sales", "hidden", "lab_ada"):
            self.root.sql(f"create database {database}")
        for table in ("sales.orders", "hidden.orders"):
            self.root.range(5).write.saveAsTable(table)
        self.root.sql("create view sales.peek as select * from hidden.orders")

    def session(self, token: str) -> SparkSession:
        return SparkSession.builder.remote(f"sc://localhost:{self.port}/;token={token}").create()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.server.terminate()
    made.server.wait(30)


def refused(action: Callable[[], Any]) -> None:
    with pytest.raises(PySparkException) as caught:
        result = action()
        if hasattr(result, "collect"):
            result.collect()
    assert caught.value.getCondition() == REFUSED, caught.value
    assert caught.value.getSqlState() == "42501"


def test_files(world: World):
    ada, folder = world.ada, world.folder
    assert ada.read.parquet(f"{folder}/public/numbers").count() == 3
    assert ada.read.parquet(f"file:{folder}/secret/../public/num*").count() == 3
    assert ada.read.text(f"{folder}/public/text.txt").collect()[0][0] == "public"
    for path in (
        "/etc/passwd",
        "file:/etc/passwd",
        "file:///etc/%70asswd",
        "/etc/pass*",
        "/",
        "/nowhere/at/all",
        f"{folder}/secret/text.txt",
        f"{folder}/public/../secret/text.txt",
        f"{folder}/public-not/x",
        f"{folder}/public/link/text.txt",
        f"{folder}/public/li*/text.txt",
        f"{folder}/public/file.txt",
        f"{folder}/public/fi*.txt",
        f"{folder}/{{public,secret}}/text.txt",
        f"{folder}/*/text.txt",
        f"{folder}/public/[f]ile.txt",
    ):
        refused(lambda path=path: ada.read.text(path))
        refused(lambda path=path: ada.sql(f"select * from text.`{path}`"))
    refused(lambda: ada.read.text([f"{folder}/public/text.txt", f"{folder}/secret/text.txt"]))
    refused(lambda: ada.read.option("path", "/etc/passwd").format("text").load())
    refused(lambda: ada.read.format("binaryFile").load(f"{folder}/secret"))
    refused(lambda: ada.read.option("recursiveFileLookup", "true").text(f"{folder}/public"))
    refused(lambda: ada.sql(f"create temp view v using text options (path '{folder}/secret/text.txt')"))
    refused(lambda: ada.readStream.schema("value string").text(f"{folder}/secret"))
    refused(lambda: ada.sql(f"add file '{folder}/secret/text.txt'"))


def test_writes(world: World):
    ada, eve, folder = world.ada, world.eve, world.folder
    frame = ada.range(2)
    frame.write.parquet(f"{folder}/scratch/ada/mine")
    assert ada.read.parquet(f"{folder}/scratch/ada/mine").count() == 2
    for path in (
        f"{folder}/scratch/eve/x",
        f"{folder}/scratch/ada/../eve/x",
        f"{folder}/scratch/ada/out/x",
        f"{folder}/public/x",
        f"{folder}/scratch/adam",
    ):
        refused(lambda path=path: frame.write.parquet(path))
        refused(lambda path=path: ada.sql(f"insert overwrite directory '{path}' using parquet select 1 a"))
        refused(lambda path=path: frame.write.option("path", path).saveAsTable("lab_ada.t"))
        refused(lambda path=path: ada.sql(f"create table lab_ada.t (a int) using parquet location '{path}'"))
        refused(lambda path=path: ada.sql(f"create database lab_ada2 location '{path}'"))
        assert not os.path.exists(path)
    refused(lambda: eve.range(1).write.parquet(f"{folder}/scratch/ada/eves"))
    refused(lambda: eve.read.parquet(f"{folder}/scratch/ada/mine"))
    stream = ada.readStream.format("rate").load().writeStream
    away = stream.option("checkpointLocation", f"{folder}/secret/c").format("parquet")
    refused(lambda: away.start(f"{folder}/scratch/ada/s"))
    inside = stream.option("checkpointLocation", f"{folder}/scratch/ada/c").format("parquet")
    refused(lambda: inside.start(f"{folder}/secret/s"))


def test_tables(world: World):
    ada, eve, root, folder = world.ada, world.eve, world.root, world.folder
    assert ada.table("sales.orders").count() == 5
    assert [r.tableName for r in ada.sql("show tables in hidden").collect()] == []
    assert [t.name for t in eve.catalog.listTables("sales")] == []
    for session, table in ((ada, "hidden.orders"), (eve, "sales.orders"), (ada, "sales.peek")):
        for action in (
            lambda s=session, t=table: s.table(t),
            lambda s=session, t=table: s.sql(f"select * from {t}"),
            lambda s=session, t=table: s.sql(f"select * from {t.upper()}"),
            lambda s=session, t=table: s.sql(f"create temp view v as select 1 from {t}"),
            lambda s=session, t=table: s.sql(f"select (select max(id) from {t})"),
        ):
            refused(action)
    for statement in (
        "describe extended hidden.orders",
        "show create table hidden.orders",
        "insert into sales.orders values (1)",
        "insert into hidden.orders values (1)",
        "truncate table sales.orders",
        "drop table sales.orders",
        "drop table hidden.orders",
        "alter table sales.orders rename to sales.mine",
        f"alter table sales.orders set location '{folder}/scratch/ada/o'",
        "alter table sales.orders set tblproperties ('a' = 'b')",
        "drop database sales cascade",
        "drop database hidden cascade",
        "create database other",
        "create table sales.new as select 1 a",
        "create view sales.v as select 1 a",
        "create function sales.f(x int) returns int return x",
        "create or replace table sales.orders (a int) using parquet",
    ):
        with pytest.raises(PySparkException) as caught:
            ada.sql(statement).collect()
        assert caught.value.getCondition() == REFUSED or "replace table" in statement, (statement, caught.value)
    refused(lambda: ada.range(1).write.mode("overwrite").saveAsTable("sales.orders"))
    refused(lambda: ada.range(1).write.insertInto("sales.orders"))
    refused(lambda: ada.read.parquet(f"{folder}/warehouse/sales.db/orders"))
    refused(lambda: ada.range(1).write.parquet(f"{folder}/warehouse/lab_ada.db/x"))
    ada.sql("create table lab_ada.own as select * from sales.orders")
    ada.sql("insert into lab_ada.own values (9)")
    assert ada.table("lab_ada.own").count() == 6
    ada.sql("alter table lab_ada.own rename to lab_ada.renamed")
    ada.sql("drop table lab_ada.renamed")
    for table in ("sales.orders", "hidden.orders"):
        assert root.table(table).count() == 5


@pytest.mark.parametrize("name", ["`../../public/x`", "`a/b`", "`..`", "`a b`"])
def test_names_of_tables_lead_nowhere(world: World, name: str):
    for statement in (f"create table lab_ada.{name} (a int) using parquet", f"create database {name}"):
        with pytest.raises(PySparkException) as caught:
            world.ada.sql(statement)
        assert caught.value.getCondition() in ("INVALID_SCHEMA_OR_RELATION_NAME", REFUSED)


def test_python_functions(world: World):
    double = F.udf(lambda x: x * 2, "long")
    assert [r[0] for r in world.ada.range(3).select(double("id")).collect()] == [0, 2, 4]
    refused(lambda: world.eve.range(3).select(double("id")))
    refused(lambda: world.eve.range(3).select(double("id")).schema)
    refused(lambda: world.eve.udf.register("double", double))
    refused(lambda: world.eve.range(3).mapInPandas(lambda batches: batches, "id long"))


def test_batches_of_streams_come_back_to_their_session(world: World):
    ada, folder = world.ada, world.folder

    def keep(frame: Any, number: int) -> None:
        frame.write.mode("append").parquet(f"{folder}/scratch/ada/batches")

    reader = ada.readStream.schema("id long").parquet(f"{folder}/public/numbers")
    query = reader.writeStream.foreachBatch(keep).trigger(availableNow=True).start()
    assert query.awaitTermination(60)
    assert query.exception() is None
    assert ada.read.parquet(f"{folder}/scratch/ada/batches").count() == 3


def test_views_and_caches_are_a_users_own(world: World):
    ada, eve = world.ada, world.eve
    ada.range(4).createOrReplaceTempView("mine")
    ada.range(4).createOrReplaceGlobalTempView("ours")
    ada.catalog.cacheTable("mine")
    again = SparkSession.builder.remote(
        f"sc://localhost:{world.port}/;token=t-eve;session_id={ada.session_id}"
    ).create()
    for session in (eve, again):
        for name in ("mine", "global_temp.ours"):
            with pytest.raises(PySparkException) as caught:
                session.table(name).collect()
            assert caught.value.getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    assert world.session("t-ada").table("global_temp.ours").count() == 4
    assert ada.sql("select current_user()").collect()[0][0] == "ada"


def test_secrets_are_shown_nowhere(world: World, capsys: pytest.CaptureFixture[str]):
    ada, path = world.ada, f"{world.folder}/public/numbers"
    for mode in ("simple", "extended", "cost", "formatted"):
        ada.read.option("password", "hunter2").option("fs.azure.account.key", "hunter2").parquet(path).explain(mode)
    ada.sql(f"create temp view w using parquet options (path '{path}', apiKey 'hunter2')")
    ada.table("w").explain("extended")
    ada.conf.set("spark.my.password", "hunter2")
    shown = str(ada.sql("set").collect()) + str(ada.sql("set spark.my.password").collect())
    assert "hunter2" not in capsys.readouterr().out + shown + (world.folder / "server.log").read_text()
    assert "t-ada" not in (world.folder / "server.log").read_text()


def test_the_policy_changes_with_its_file(world: World):
    eve, folder = world.eve, world.folder
    refused(lambda: eve.read.text(f"{folder}/secret/text.txt"))
    (folder / "policy.toml").write_text(policy(folder, f'[users.eve]\nread_paths = ["{folder}/secret"]\n'))
    time.sleep(1.2)
    assert eve.read.text(f"{folder}/secret/text.txt").collect()[0][0] == "secret"
    (folder / "policy.toml").write_text("[users.eve]\nnonsense = 1")
    time.sleep(1.2)
    assert eve.read.text(f"{folder}/secret/text.txt").count() == 1
    (folder / "policy.toml").write_text(policy(folder))
    time.sleep(1.2)
    refused(lambda: eve.read.text(f"{folder}/secret/text.txt"))
