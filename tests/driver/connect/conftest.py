"""A real gRPC server over a fake backend, its stub, and stock clients."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyspark.sql.connect.proto import base_pb2_grpc
from pyspark.sql.connect.session import SparkSession

from voltray.driver.connect.server import start_server
from voltray.driver.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))  # helpers of these tests are modules beside them

from connect_fakes import FakeBackend
from connect_wire import Wire


@pytest.fixture
def server_settings() -> dict[str, Any]:
    """Return the settings of the test's server; modules override it."""
    return {}


@pytest.fixture
def wire(server_settings: dict[str, Any], tmp_path: Any) -> Iterator[Wire]:
    """Return a stub on a fresh server."""
    settings = load_settings({"port": 0, "ui_port": 0, "warehouse_dir": tmp_path / "warehouse", **server_settings})
    backend = FakeBackend(settings)
    server = start_server(settings, backend)
    channel = grpc.insecure_channel(server.address, options=[("grpc.max_send_message_length", -1)])
    stub = base_pb2_grpc.SparkConnectServiceStub(channel)
    yield Wire(server, backend, channel, stub, str(uuid.uuid4()))
    channel.close()
    server.stop(0)


@pytest.fixture
def client(wire: Wire) -> Iterator[SparkSession]:
    """Return a stock client on the same server."""
    session = SparkSession.builder.remote(f"sc://{wire.server.address}").create()
    yield session
    session.stop()
