"""Servers over a fake backend, their status pages, and clients of both."""

from __future__ import annotations

import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import requests
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import base_pb2_grpc, relations_pb2

sys.path.insert(0, str(Path(__file__).parents[1] / "connect"))

from connect_fakes import FakeBackend

from voltray.driver.connect.server import RunningServer, start_server
from voltray.driver.settings import load_settings

TOKENS = "".join(
    f'[[tokens]]\ntoken = "t-{user}"\nuser = "{user}"\ngroups = {groups}\n'
    for user, groups in (("ada", []), ("eve", []), ("root", ["operators"]))
)
POLICY = "[groups.operators]\nadmin = true\n"


def free_port() -> int:
    """Return a port that is free now; the page takes the next one if it is not any more."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """A server, its page and clients of both."""

    def __init__(self, server: RunningServer, backend: FakeBackend) -> None:
        self.server = server
        self.backend = backend
        assert server.page_address is not None
        self.url = server.page_address
        self.channel = grpc.insecure_channel(server.address)
        self.stub: Any = base_pb2_grpc.SparkConnectServiceStub(self.channel)
        self.session_id = str(uuid.uuid4())

    def run(self, plan: pb.Plan, user: str = "ada", **more: Any) -> Any:
        """Start an operation; its responses."""
        who = {"session_id": self.session_id, "user_context": pb.UserContext(user_id=user)}
        request = pb.ExecutePlanRequest(**who, plan=plan, **more)
        return self.stub.ExecutePlan(request, metadata=[("authorization", f"Bearer t-{user}")], timeout=60)

    def get(self, path: str, user: str | None = None, **more: Any) -> requests.Response:
        """Ask the page."""
        headers = {**({} if user is None else {"Authorization": f"Bearer t-{user}"}), **more.pop("headers", {})}
        return requests.get(self.url + path, headers=headers, timeout=20, **more)

    def post(self, path: str, user: str | None = None, **more: Any) -> requests.Response:
        """Send something to the page."""
        headers = {**({} if user is None else {"Authorization": f"Bearer t-{user}"}), **more.pop("headers", {})}
        return requests.post(self.url + path, headers=headers, timeout=20, **more)

    def operations(self, user: str | None = None, query: str = "") -> list[dict[str, Any]]:
        """What the API tells of operations, the newest first."""
        found: list[dict[str, Any]] = self.get(f"/api/status{query}", user).json()["operations"]
        return found

    def wait_for(self, state: str, user: str | None = None) -> dict[str, Any]:
        """The newest operation, once it is in a state."""
        return wait_until(lambda: next((o for o in self.operations(user)[:1] if o["state"] == state), None))


def wait_until(look: Callable[[], Any]) -> Any:
    """What is looked for, once it is there."""
    until = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return found


def sql_plan(query: str) -> pb.Plan:
    """A plan of one SQL text."""
    return pb.Plan(root=relations_pb2.Relation(sql=relations_pb2.SQL(query=query)))


def serve(folder: Path, settings: dict[str, Any]) -> Iterator[Site]:
    """Serve until the test is over."""
    loaded = load_settings({"port": 0, "ui_port": free_port(), "warehouse_dir": folder / "warehouse", **settings})
    backend = FakeBackend(loaded)
    server = start_server(loaded, backend)
    made = Site(server, backend)
    yield made
    made.channel.close()
    server.stop(0)
