"""Executors come with new nodes, and leave drained ones once their work is done."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pyspark.sql.connect.session import SparkSession
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.cluster
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
COMMAND = "serve --port 0 --executors 1 --max-executors 2 --executor-cpus 1 --single-stage-bytes 0 --log-level info"
DRAIN = "drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message leaving --deadline-remaining-seconds 300"


def said(log: Path, text: str, seconds: float = 60.0) -> bool:
    """Whether the server's log says something in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if text in log.read_text():
            return True
        time.sleep(0.2)
    return False


def test_executors_follow_the_nodes(tmp_path: Path) -> None:
    nodes = Cluster(initialize_head=True, head_node_args=NODE)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "voltray.driver.main", *COMMAND.split(), "--ray-address", nodes.address]
    with log.open("wb") as target:
        server = subprocess.Popen(
            [*command, "--warehouse-dir", str(tmp_path / "w")], stdout=subprocess.PIPE, stderr=target, text=True
        )
    try:
        assert server.stdout is not None
        address = next(m[1] for line in server.stdout if (m := re.search(r"listening on (sc://\S+)", line)))
        spark = SparkSession.builder.remote(address).create()
        node = nodes.add_node(**NODE)
        assert said(log, "executor 1 is up")
        answers: list[int] = []
        query = threading.Thread(
            target=lambda: answers.append(
                spark.range(20_000_000).selectExpr("id % 1000003 as k").groupBy("k").count().count()
            )
        )
        query.start()
        ray = Path(sys.executable).with_name("ray")
        subprocess.run(
            [str(ray), *DRAIN.split(), "--address", nodes.address, "--node-id", node.node_id],
            check=True,
            capture_output=True,
        )
        assert said(log, "executor 1 is drained")
        query.join(120)
        assert answers == [1_000_003]
        assert spark.range(10).count() == 10
        assert "was lost" not in log.read_text()
        spark.stop()
    finally:
        server.terminate()
        server.wait(60)
        nodes.shutdown()
