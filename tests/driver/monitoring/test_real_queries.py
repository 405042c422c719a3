"""The status page of a real server with three executors, read by a program and by a browser."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.connect.session import SparkSession
from sites import wait_until

pytestmark = pytest.mark.cluster
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ATTACK = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"


def newest(page: str, text: str, state: str) -> dict[str, Any]:
    """The newest operation with a text, whole, once it is in a state and has run something."""

    def look() -> Any:
        found = requests.get(f"{page}/api/status", params={"text": text}, timeout=30).json()["operations"]
        return next((o for o in found if o["state"] == state and o["stages"]), None)

    number = wait_until(look)["number"]
    whole: dict[str, Any] = requests.get(f"{page}/api/operations/{number}", timeout=30).json()
    return whole


def shuffle(spark: SparkSession) -> None:
    spark.addTag("shuffled")
    try:
        ids = spark.range(0, 40_000, numPartitions=4).withColumn("k", F.col("id") % 7)
        skewed = ids.withColumn("k", F.when(F.col("id") < 30_000, 0).otherwise(F.col("k"))).repartition(4, "k")
        assert len(skewed.groupBy("k").agg(F.count("*").alias(ATTACK)).collect()) == 7
    finally:
        spark.removeTag("shuffled")


def test_stages_are_told_with_tasks_rows_bytes_and_what_they_read(spark3: SparkSession, spark3_page: str):
    shuffle(spark3)
    operation = newest(spark3_page, "shuffled", "finished")
    assert operation["rows"] == 7 and operation["tasks"] == operation["tasks_done"] > 1
    (query,) = operation["queries"]
    first, last = query["stages"][0], query["stages"][-1]
    assert first["kind"] == "hash" and first["rows"] == 40_000 and first["bytes"] > 40_000 and first["tasks"] > 1
    assert first["longest_seconds"] >= first["median_seconds"] > 0 and any("Range" in o for o in first["operators"])
    assert last["kind"] == "result" and last["rows"] == 7 and last["inputs"]
    assert all(s["began"] <= s["ended"] for s in query["stages"])
    executors = requests.get(f"{spark3_page}/api/status", timeout=30).json()["executors"]
    assert [e["index"] for e in executors] == [0, 1, 2] and all(e["is_up"] and e["node"] for e in executors)
    assert all(e["memory_used"] > 1 << 20 and e["python_workers"] is not None for e in executors)
    families = text_string_to_metric_families(requests.get(f"{spark3_page}/metrics", timeout=30).text)
    found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["voltray_executor_up", "2"] == 1 and found["voltray_executor_resident_bytes", "0"] > 1 << 20
    assert found["voltray_tasks_total",] >= operation["tasks"] and found["voltray_stages_total",] >= 2


def test_a_running_query_is_cancelled(spark3: SparkSession, spark3_page: str):
    told: list[str] = []

    def run() -> None:
        try:
            spark3.sql("select sum(a.id * b.id) from range(900001) a cross join range(100001) b").collect()
        except PySparkException as error:
            told.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    operation = newest(spark3_page, "900001", "running")
    assert operation["ended"] is None and operation["tasks"] > operation["tasks_done"]
    url = f"{spark3_page}/api/operations/{operation['number']}/cancel"
    assert requests.post(url, headers={"X-Voltray": "1"}, timeout=30).json() == {"cancelled": True}
    thread.join(60)
    assert "OPERATION_CANCELED" in told[0]
    assert newest(spark3_page, "900001", "cancelled")["ended"]


def test_a_failure_tells_its_condition(spark3: SparkSession, spark3_page: str):
    with pytest.raises(PySparkException):
        spark3.sql("select 1 / (id - 3) as failing_column from range(10)").collect()
    operation = newest(spark3_page, "failing_column", "failed")
    assert operation["condition"] == "DIVIDE_BY_ZERO" and operation["message"]


def browse(*words: str, folder: Path) -> str:
    """Run a headless browser with a fresh profile; what it prints."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    command = [browser, *quiet, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_a_browser_shows_the_stages_and_runs_nothing_of_a_statement(
    spark3: SparkSession, spark3_page: str, tmp_path: Path
):
    shuffle(spark3)
    operation = newest(spark3_page, "shuffled", "finished")
    url, shot = f"{spark3_page}/operations/{operation['number']}", tmp_path / "operation.png"
    shown = browse("--dump-dom", "--window-size=1400,1200", f"--screenshot={shot}", url, folder=tmp_path)
    assert "<title>Operation" in shown and "hacked'" in shown and "<title>hacked" not in shown
    assert shown.count('class="node done"') == len(operation["queries"][0]["stages"])
    assert shot.stat().st_size > 20_000  # a page without its style or its drawing has a fraction of that
    overview = browse("--dump-dom", spark3_page, folder=tmp_path)
    assert "shuffled" in overview and "Refresh by itself" in overview and "<title>hacked" not in overview
