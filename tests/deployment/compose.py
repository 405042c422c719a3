"""docker-compose.yml for real: `make compose-test`. Needs root, dockerd and debootstrap; pulls nothing.

Builds the images, starts the services, uses them from outside as a user would, scales, kills an executor, stops.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from answers import same_rows
from compose_engine import (
    BASE,
    PROMETHEUS_BASE,
    ROOT,
    TAG,
    WHEELS,
    build_images,
    compose_command,
    engine,
    is_there,
    make_base_images,
    make_wheels,
    remove_images,
    run,
)
from data import TABLES, duckdb_answer, spark_texts, tables

SCALE = 0.1
PORTS = ("VOLTRAY_PORT", "VOLTRAY_UI_PORT", "JUPYTER_PORT", "PROMETHEUS_PORT")
SETTINGS = {
    "VOLTRAY_TAG": TAG,
    "VOLTRAY_NODE_MEMORY": "1200m",
    "VOLTRAY_EXECUTOR_MEMORY": "500m",
    "VOLTRAY_OBJECT_STORE_MEMORY": "200m",
    "COMPOSE_PROJECT_NAME": "voltray-compose-test",
}
NOTEBOOK = "notebooks/quickstart.ipynb"


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    print(f"{text} ...", flush=True)
    started = time.monotonic()
    yield
    print(f"    done in {time.monotonic() - started:.0f} s", flush=True)


def free_ports() -> dict[str, str]:
    """Choose a free port for each that is published."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    found = {name: str(s.getsockname()[1]) for name, s in zip(PORTS, sockets, strict=True)}
    for opened in sockets:
        opened.close()
    return found


def fetch(port: str, path: str) -> Any:
    """Ask a service on loopback for JSON."""
    with urllib.request.urlopen(f"http://127.0.0.1:{os.environ[port]}{path}", timeout=30) as answer:
        return json.load(answer)


def eventually(what: str, ask: Callable[[], bool], seconds: float = 300) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ask():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"not seen in {seconds} s: {what}")
        time.sleep(3)


def session() -> Any:
    """Return a session of a stock client on the published port."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.remote(f"sc://localhost:{os.environ['VOLTRAY_PORT']}").create()


def load_tables(spark: Any) -> None:
    """Send TPC-H's tables from here into the server's warehouse."""
    import pyarrow.parquet as pq

    folder = tables(SCALE)
    for table in TABLES:
        spark.createDataFrame(pq.read_table(folder / f"{table}.parquet")).write.saveAsTable(table)


def run_all_queries(spark: Any, threads: int, killed: Callable[[], None] | None = None) -> None:
    """Run the 22 queries, several at a time; something may be killed once a few have ended."""
    texts = spark_texts()
    expected = {number: duckdb_answer(number, SCALE) for number in texts}  # before: its connection is for one thread
    with ThreadPoolExecutor(threads) as pool:
        answers = {number: pool.submit(spark.sql(text).collect) for number, text in texts.items()}
        if killed is not None:
            answers[3].result()
            killed()
        wrong = [number for number, answer in answers.items() if not same_rows(answer.result(), expected[number])]
    assert not wrong, f"these answers differ from DuckDB's: {wrong}"
    print(f"    {len(answers)} answers as DuckDB's", flush=True)


def hosts_in_use(spark: Any) -> set[str]:
    """Return the containers in which the tasks of queries ran that came at the same time."""

    def name_of_host(batches: Any) -> Any:
        import socket
        import time

        import pandas as pd

        for _ in batches:
            time.sleep(2)
            yield pd.DataFrame({"host": [socket.gethostname()]})

    with ThreadPoolExecutor(8) as pool:
        queries = [spark.range(1).mapInPandas(name_of_host, "host string") for _ in range(8)]
        return {row.host for rows in pool.map(lambda query: query.collect(), queries) for row in rows}


def metric(query: str) -> float:
    """Return the value that Prometheus has for a query; 0 for none."""
    found = fetch("PROMETHEUS_PORT", "/api/v1/query?query=" + urllib.parse.quote(query))["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def targets_are_up(nodes: int) -> bool:
    """Whether Prometheus reaches the server and that many nodes of Ray."""
    targets = fetch("PROMETHEUS_PORT", "/api/v1/targets?state=active")["data"]["activeTargets"]
    up = [t["labels"]["job"] for t in targets if t["health"] == "up"]
    return up.count("voltray") == 1 and up.count("ray") == nodes == len(up) - 1


def check(compose: Path) -> None:
    """Use the services that are up."""
    with step("The quickstart, from outside"):
        remote = {**os.environ, "SPARK_REMOTE": f"sc://localhost:{os.environ['VOLTRAY_PORT']}"}
        print(run(sys.executable, ROOT / "examples/quickstart.py", env=remote), end="")
    spark = session()
    with step(f"TPC-H at scale {SCALE:g}, sent from outside"):
        load_tables(spark)
    with step("Its queries on one executor"):
        run_all_queries(spark, 1)
    with step("The notebook in JupyterLab's container"):
        assert fetch("JUPYTER_PORT", "/api")["version"]
        run(compose, "exec", "-T", "jupyter", "jupyter", "execute", NOTEBOOK, cwd=ROOT)
    with step("Prometheus"):
        eventually("all targets up", lambda: targets_are_up(3))
        eventually("the server's metrics", lambda: metric("voltray_queries_total") > 20)
        eventually("Ray's metrics", lambda: metric("count(ray_node_mem_total)") == 3)
    with step("Scale to three executors"):
        run(compose, "up", "-d", "--no-build", "--no-recreate", "--scale", "executor=3", cwd=ROOT)
        eventually("three executors", lambda: metric("sum(voltray_executor_up)") == 3)
        eventually("tasks in three containers", lambda: len(hosts_in_use(spark)) == 3, 120)
        eventually("all targets up", lambda: targets_are_up(5))
    with step("Kill one executor while queries run"):
        name = f"{SETTINGS['COMPOSE_PROJECT_NAME']}-executor-2"
        run_all_queries(spark, 3, lambda: print("   ", "killed", run("docker", "kill", name), end=""))
        eventually("two executors", lambda: metric("sum(voltray_executor_up)") == 2)
        run_all_queries(spark, 3)
    spark.stop()


def show_logs(compose: Path) -> None:
    """Print what the services said last."""
    done = subprocess.run([compose, "logs", "--tail=40", "--no-color"], cwd=ROOT, capture_output=True, text=True)
    print(done.stdout[-8000:], flush=True)


def make_images(keep: bool) -> None:
    """Make bases, wheels and images; those that an earlier run kept are taken as they are."""
    if not (keep and is_there(BASE) and is_there(PROMETHEUS_BASE)):
        with step("Base images by debootstrap"):
            make_base_images()
    if not (keep and WHEELS.exists()):
        with step("Wheels"):
            make_wheels()
    with step("Images, built without a network"):
        for image, size in build_images().items():
            print(f"    {image}: {size / 1e6:.0f} MB")


def main() -> None:
    """Do it all, and leave nothing behind; with --keep, and an engine in DOCKER_HOST, images stay for the next run."""
    keep = "--keep" in sys.argv
    os.environ.update({**SETTINGS, **free_ports()})
    with engine():
        compose = compose_command()
        print(run(compose, "version"), end="")
        print("engine", run("docker", "version", "--format={{.Server.Version}}"), end="")
        try:
            make_images(keep)
            with step("docker compose up"):
                run(compose, "up", "-d", "--no-build", "--wait", cwd=ROOT)
                print(run(compose, "ps", "--format={{.Service}}: {{.Status}}", cwd=ROOT), end="")
            check(compose)
        except BaseException:
            show_logs(compose)
            raise
        finally:
            with step("docker compose down"):
                run(compose, "down", "--volumes", cwd=ROOT)
                left = run(compose, "ps", "-aq", cwd=ROOT)
                if not keep:
                    remove_images()
            assert not left, left
    print("All of it works.")


if __name__ == "__main__":
    main()
