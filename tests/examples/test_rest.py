"""`examples/rest`, started as its README says, beside the server of the fixture `spark`."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "rest"
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def service(spark_remote: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The service's address and the number of its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("rest") / "log"
    environment = {**os.environ, "VOLTRAY_ADDRESS": spark_remote.removeprefix("sc://")}
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--log-level", "warning"]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=FOLDER, env=environment, stdout=out, stderr=out)
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                get(f"127.0.0.1:{port}", "/health")
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in log.read_text()


def get(address: str, path: str, accept: str = "*/*") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", headers={"accept": accept})) as told:
        return told.read()


@pytest.mark.slow
def test_it_answers(service: tuple[str, int]):
    address, pid = service
    assert json.loads(get(address, "/health")) == {"spark": "4.1.1"}
    lines = get(address, "/orders?city=Porto&rows=10&least=0.5").decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": n, "city": "Porto", "amount": n / 10} for n in (5, 7, 9)
    ]  # fmt: skip
    table = pa.ipc.open_stream(get(address, "/orders?city=Lisbon&rows=300000", ARROW)).read_all()
    assert (table.num_rows, table.schema.names) == (150_000, ["id", "city", "amount"])
    # As text of SQL, this would have been true of every row.
    assert get(address, "/orders?city=x%27+OR+%27a%27=%27a") == b""
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(address, "/orders?city=Porto&rows=many")
    assert refused.value.code == 422
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 150 << 20


@pytest.mark.slow
def test_a_client_that_leaves_ends_its_query(service: tuple[str, int], executors_busy: Callable[[], bool]):
    connection = http.client.HTTPConnection(service[0])
    # No row comes of it for hours.
    connection.request("GET", "/orders?city=Nowhere&rows=1000000000000")
    wait_until(executors_busy)
    connection.close()
    wait_until(lambda: not executors_busy())
    assert json.loads(get(service[0], "/health")) == {"spark": "4.1.1"}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
