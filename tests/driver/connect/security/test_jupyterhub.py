"""The hook of a JupyterHub against a server that listens with TLS."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from pyspark.sql.connect.client import DefaultChannelBuilder
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import base_pb2_grpc

from voltray.driver.connect.server import start_server
from voltray.driver.jupyterhub import NoToken, SparkRemote
from voltray.driver.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from certificates import Authority
from connect_fakes import FakeBackend

SESSION = "00112233-4455-6677-8899-aabbccddeeff"


def test_each_start_gives_a_user_a_token_of_their_own(tmp_path: Path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("voltray", "server")
    (tmp_path / "tokens.toml").write_text('[[tokens]]\ntoken = "of the hub"\nuser = "hub"\nmay_mint = true\n')
    (tmp_path / "hub-token").write_text("of the hub\n")
    settings = load_settings(
        {"port": 0, "warehouse_dir": tmp_path / "warehouse", "tls_certificate": certificate, "tls_key": key,
         "auth_tokens": tmp_path / "tokens.toml"}
    )  # fmt: skip
    server = start_server(settings, FakeBackend(settings))
    try:
        hook = SparkRemote.from_environment(
            {"VOLTRAY_HUB_ADDRESS": f"localhost:{server.address.rpartition(':')[2]}",
             "VOLTRAY_HUB_TOKEN_FILE": str(tmp_path / "hub-token"), "VOLTRAY_HUB_AUTHORITY": str(authority.path),
             "VOLTRAY_HUB_SECONDS": "600"}
        )  # fmt: skip
        remotes = []
        for name in ("ada", "ada", "o'neil@example.org"):
            user = SimpleNamespace(name=name, groups=[SimpleNamespace(name="analysts")])
            spawner = SimpleNamespace(user=user, environment={})
            asyncio.run(hook(spawner))
            assert spawner.environment.keys() == {"SPARK_REMOTE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"}
            builder = DefaultChannelBuilder(spawner.environment["SPARK_REMOTE"])
            assert builder.secure
            with grpc.secure_channel(
                builder.endpoint, grpc.ssl_channel_credentials(authority.path.read_bytes())
            ) as channel:
                request = pb.ConfigRequest(session_id=SESSION)
                request.operation.get_all.SetInParent()
                stub = base_pb2_grpc.SparkConnectServiceStub(channel)
                stub.Config(request, metadata=[("authorization", f"Bearer {builder.token}")])
            remotes.append(spawner.environment["SPARK_REMOTE"])
        assert {s.user for s in server._sessions.all()} == {"ada", "o'neil@example.org"}
        (tmp_path / "hub-token").write_text("of another\n")
        with pytest.raises(NoToken, match="does not know the hub's token"):
            hook.mint("ada", [])
    finally:
        server.stop(0)
    with pytest.raises(NoToken, match="cannot be reached") as told:
        hook.mint("ada", [])
    assert "of another" not in told.value.jupyterhub_message
    (tmp_path / "hub-token").unlink()
    with pytest.raises(NoToken, match=r"cannot read .*hub-token"):
        hook.mint("ada", [])
