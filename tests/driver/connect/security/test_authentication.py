"""Who calls: tokens, JSON web tokens, proxies and certificates against a server that listens."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import logging
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import base_pb2_grpc
from pyspark.sql.connect.session import SparkSession

from voltray.driver.connect.security import jwt_tokens
from voltray.driver.connect.security.identity import Identity
from voltray.driver.connect.security.tokens import digest_of, parse_tokens
from voltray.driver.connect.server import STREAMED_REQUESTS, STREAMED_RESPONSES, UNARY, RunningServer, start_server
from voltray.driver.main import main
from voltray.driver.settings import SettingError, load_settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from certificates import Authority
from connect_fakes import FakeBackend

TOKENS = f"""
[[tokens]]
token = "ada-token"
user = "ada"
groups = ["analysts"]

[[tokens]]
sha256 = "{digest_of("bob-token")}"
user = "bob"

[[tokens]]
token = "hub-token"
user = "hub"
may_mint = true

[[tokens]]
token = "old-token"
user = "ada"
expires = 2020-01-01T00:00:00Z
"""


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[RunningServer]:
    """A server over a fake backend."""
    loaded = load_settings({"port": 0, "warehouse_dir": folder / "warehouse", **settings})
    server = start_server(loaded, FakeBackend(loaded))
    try:
        yield server
    finally:
        server.stop(0)


def tokens_file(folder: Path, text: str = TOKENS) -> Path:
    path = folder / "tokens.toml"
    path.write_text(text)
    return path


def bearer(token: str | None) -> list[tuple[str, str]]:
    return [] if token is None else [("authorization", f"Bearer {token}")]


def user_of(channel: grpc.Channel, server: RunningServer, metadata: list[tuple[str, str]]) -> str:
    """The name under which the server keeps a new session."""
    session_id = str(uuid.uuid4())
    request = pb.ConfigRequest(session_id=session_id, user_context=pb.UserContext(user_id="mallory"))
    request.operation.get_all.SetInParent()
    base_pb2_grpc.SparkConnectServiceStub(channel).Config(request, metadata=metadata)
    (found,) = [s.user for s in server._sessions.all() if s.key.session_id == session_id]
    return found


def refusal_of(channel: grpc.Channel, metadata: list[tuple[str, str]]) -> tuple[grpc.StatusCode, str]:
    request = pb.ConfigRequest(session_id=str(uuid.uuid4()))
    request.operation.get_all.SetInParent()
    with pytest.raises(grpc.RpcError) as caught:
        base_pb2_grpc.SparkConnectServiceStub(channel).Config(request, metadata=metadata)
    return caught.value.code(), caught.value.details()


def test_tokens_of_a_file_name_the_user_and_change_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
):
    monkeypatch.setattr("voltray.driver.connect.security.watched_file.LOOK_SECONDS", 0)
    path = tokens_file(tmp_path)
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    with (
        caplog.at_level(logging.DEBUG),
        serving(tmp_path, auth_tokens=path) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        assert user_of(channel, server, bearer("ada-token")) == "ada"
        assert user_of(channel, server, bearer("bob-token")) == "bob"
        assert refusal_of(channel, []) == (unauthenticated, "This server asks for a token.")
        assert refusal_of(channel, bearer("wrong")) == (unauthenticated, "The token is not known.")
        assert refusal_of(channel, bearer(digest_of("bob-token")))[0] == unauthenticated
        assert refusal_of(channel, bearer("old-token")) == (unauthenticated, "The token has expired.")
        assert refusal_of(channel, [("authorization", "Basic ada-token")])[0] == unauthenticated
        assert refusal_of(channel, 2 * bearer("ada-token"))[0] == unauthenticated
        tokens_file(tmp_path, '[[tokens]]\ntoken = "new-token"\nuser = "eve"\n')
        assert user_of(channel, server, bearer("new-token")) == "eve"
        assert refusal_of(channel, bearer("ada-token"))[0] == unauthenticated
        tokens_file(tmp_path, "[[tokens]]\nnonsense = 1\n")
        assert user_of(channel, server, bearer("new-token")) == "eve"
    assert "what it said before stays in force" in caplog.text
    assert not [t for t in ("ada-token", "bob-token", "new-token", "wrong") if t in caplog.text]


def test_every_call_asks_who_comes(tmp_path: Path):
    with (
        serving(tmp_path, auth_tokens=tokens_file(tmp_path)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        names = [f"/spark.connect.SparkConnectService/{n}" for n in (*UNARY, *STREAMED_RESPONSES, *STREAMED_REQUESTS)]
        names += ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
        names += ["/voltray.Tokens/Mint", "/spark.connect.SparkConnectService/GetStatus", "/no.Such/Method", "/"]
        for name in names:
            for metadata in ([], bearer("wrong"), [("x-forwarded-user", "ada")]):
                with pytest.raises(grpc.RpcError) as caught:
                    list(channel.stream_stream(name)(iter([b"\x0a\x01"]), metadata=metadata, timeout=10))
                assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED, name
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/no.Such/Method")(b"", metadata=bearer("ada-token"))
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_large_request_is_not_read_from_strangers(tmp_path: Path):
    with (
        serving(tmp_path, auth_tokens=tokens_file(tmp_path)) as server,
        grpc.insecure_channel(server.address, [("grpc.max_send_message_length", -1)]) as channel,
    ):
        call = channel.unary_unary("/spark.connect.SparkConnectService/Config")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"x" * (64 << 20), timeout=20)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_health_and_reflection(tmp_path: Path):
    with (
        serving(tmp_path, auth_tokens=tokens_file(tmp_path)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "spark.connect.SparkConnectService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), metadata=bearer("ada-token"))
            assert answer.status == answer.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (told,) = stub.ServerReflectionInfo(iter([asked]), metadata=bearer("ada-token"))
        assert "spark.connect.SparkConnectService" in [s.name for s in told.list_services_response.service]


def test_a_port_for_probes_serves_health_alone(tmp_path: Path):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = serving(tmp_path, auth_tokens=tokens_file(tmp_path), health_port=port)
    with served, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == answer.SERVING
        assert refusal_of(channel, bearer("ada-token"))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_a_service_mints_tokens_for_its_users(tmp_path: Path):
    def mint(channel: grpc.Channel, token: str, **fields: Any) -> dict[str, Any]:
        request = Struct()
        request.update(fields)
        call = channel.unary_unary("/voltray.Tokens/Mint", Struct.SerializeToString, Struct.FromString)
        return dict(call(request, metadata=bearer(token)))

    with (
        serving(tmp_path, auth_tokens=tokens_file(tmp_path), auth_mint_seconds=60) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        minted = mint(channel, "hub-token", user="carol", groups=["analysts"], seconds=10_000)
        assert user_of(channel, server, bearer(minted["token"])) == "carol"
        assert time.time() < minted["expires"] <= time.time() + 60
        brief = mint(channel, "hub-token", user="carol", seconds=1)
        time.sleep(1.5)
        assert refusal_of(channel, bearer(brief["token"]))[1] == "The token has expired."
        for token in ("ada-token", minted["token"]):
            with pytest.raises(grpc.RpcError) as caught:
                mint(channel, token, user="carol")
            assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
        for fields in (
            {},
            {"user": ""},
            {"user": "a\nb"},
            {"user": "a", "groups": [1]},
            {"user": "a", "seconds": -1},
        ):
            with pytest.raises(grpc.RpcError) as caught:
                mint(channel, "hub-token", **fields)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        forged = jwt.encode({"iss": "voltray", "aud": "voltray", "sub": "ada", "exp": time.time() + 9}, "x" * 32)
        assert refusal_of(channel, bearer(forged))[0] == grpc.StatusCode.UNAUTHENTICATED


def signed_by_text(token: str, text: str) -> str:
    """The claims of a token, signed with what everyone knows as if it were a secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one","typ":"JWT"}').rstrip(b"=").decode()
    signed = f"{head}.{token.split('.')[1]}"
    signature = hmac.digest(text.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_json_web_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voltray.driver.connect.security.watched_file.LOOK_SECONDS", 0)
    monkeypatch.setattr(jwt_tokens, "LEEWAY_SECONDS", 0)
    first, second = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    public = {
        "one": json.loads(RSAAlgorithm.to_jwk(first.public_key())),
        "two": json.loads(ECAlgorithm.to_jwk(second.public_key())),
    }
    keys = tmp_path / "keys.json"

    def write(*names: str) -> None:
        keys.write_text(json.dumps({"keys": [{**public[n], "kid": n, "use": "sig"} for n in names]}))

    def token(key: Any = first, algorithm: str = "RS256", kid: str = "one", **changes: Any) -> str:
        claims = {"iss": "https://id", "aud": "voltray", "exp": time.time() + 60, "email": "ada@x.org", "roles": ["a"]}
        claims = {k: v for k, v in {**claims, **changes}.items() if v is not None}
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})

    write("one")
    rules = {"auth_jwt_issuer": "https://id", "auth_jwt_audience": "voltray", "auth_jwt_user_claim": "email"}
    with (
        serving(tmp_path, auth_jwt_keys=keys, auth_jwt_groups_claim="roles", **rules) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        good = token()
        assert user_of(channel, server, bearer(good)) == "ada@x.org"
        assert user_of(channel, server, bearer(good)) == "ada@x.org"
        assert server._sessions.all()[0].groups == {"a"}
        bad = {
            "issuer": token(iss="https://other"),
            "audience": token(aud="other"),
            "expired": token(exp=time.time() - 5),
            "forever": token(exp=None),
            "not yet": token(nbf=time.time() + 50),
            "nobody": token(email=None),
            "number": token(email=7),
            "algorithm": token(algorithm="RS512"),
            "unknown key": token(second, "ES256", "two"),
            "other key": token(rsa.generate_private_key(65537, 2048)),
            "none": jwt.encode({"iss": "https://id", "aud": "voltray", "email": "ada"}, None, algorithm="none"),
            "confusion": signed_by_text(good, json.dumps(public["one"])),
            "cut": good[:-5],
            "changed": good.split(".")[0] + "." + token(email="eve").split(".")[1] + "." + good.split(".")[2],
        }
        for name, text in bad.items():
            assert refusal_of(channel, bearer(text))[0] == grpc.StatusCode.UNAUTHENTICATED, name
        write("two")
        assert user_of(channel, server, bearer(token(second, "ES256", "two"))) == "ada@x.org"
        assert refusal_of(channel, bearer(good))[0] == grpc.StatusCode.UNAUTHENTICATED


def test_keys_behind_a_url_are_fetched_anew_but_not_for_everyone(monkeypatch: pytest.MonkeyPatch):
    served: list[bytes | Exception] = []
    fetches = []

    class Answer(contextlib.AbstractContextManager[Any]):
        def __exit__(self, *error: Any) -> None:
            return None

        def read(self, size: int) -> bytes:
            if isinstance(served[-1], Exception):
                raise served[-1]
            return served[-1]

    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: fetches.append(url) or Answer())
    public = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    served.append(json.dumps({"keys": [{**public, "kid": "one"}]}).encode())
    source = jwt_tokens.KeysFromUrl("https://id/keys")
    assert set(source.get("one")) == {"one"}
    for kid in ("two", "three", "four"):
        source.get(kid)
    assert len(fetches) == 1
    monkeypatch.setattr(jwt_tokens, "LEAST_SECONDS", 0)
    served.append(OSError("away"))
    assert set(source.get("two")) == {"one"}
    served.append(b"{}")
    assert set(source.get("two")) == {"one"}
    served.append(json.dumps({"keys": [{**public, "kid": "two"}]}).encode())
    assert set(source.get("two")) == {"two"}


def test_a_header_is_believed_from_trusted_peers_alone(tmp_path: Path):
    named = [("x-user", "ada"), ("x-groups", "a, b")]
    settings = {"auth_proxy_header": "X-User", "auth_proxy_groups_header": "x-groups"}
    with (
        serving(tmp_path, **settings, auth_proxy_peers="10.0.0.0/8, 127.0.0.1") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        assert user_of(channel, server, [*named, ("authorization", "Bearer of the proxy")]) == "ada"
        assert server._sessions.all()[0].groups == {"a", "b"}
        assert refusal_of(channel, [])[0] == grpc.StatusCode.UNAUTHENTICATED
        assert refusal_of(channel, [*named, ("x-user", "root")])[0] == grpc.StatusCode.UNAUTHENTICATED
    with (
        serving(tmp_path, **settings, auth_proxy_peers="10.0.0.0/8") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        assert refusal_of(channel, named)[0] == grpc.StatusCode.UNAUTHENTICATED


def test_certificates_of_clients_and_renewal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voltray.driver.connect.security.transport.LOOK_SECONDS", 0)
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", "server")
    mine, my_key = authority.issue("ada", "ada")
    root = authority.path.read_bytes()
    settings = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": authority.path}

    def channel(*pair: Path, roots: bytes = root) -> grpc.Channel:
        chain = [p.read_bytes() for p in pair] or [None, None]
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(roots, chain[1], chain[0]))

    with serving(tmp_path, **settings, auth_certificates="true") as server:
        address = f"localhost:{server.port}"
        with channel(mine, my_key) as known:
            assert user_of(known, server, []) == "ada"
            assert refusal_of(known, bearer("wrong"))[0] == grpc.StatusCode.UNAUTHENTICATED
        for stranger in (channel(), grpc.insecure_channel(address)):
            with stranger:
                assert refusal_of(stranger, [])[0] == grpc.StatusCode.UNAVAILABLE
        (tmp_path / "other").mkdir()
        other = Authority(tmp_path / "other")
        renewed, renewed_key = other.issue("server", "server")
        certificate.write_bytes(renewed.read_bytes())
        with channel(mine, my_key) as half_renewed:
            assert user_of(half_renewed, server, []) == "ada"
        key.write_bytes(renewed_key.read_bytes())
        with channel(mine, my_key, roots=other.path.read_bytes()) as after:
            assert user_of(after, server, []) == "ada"


def test_stock_clients_bring_tokens_over_tls(tmp_path: Path):
    import os
    import subprocess

    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", "server")
    tls = {"tls_certificate": certificate, "tls_key": key}
    program = """
import sys
from pyspark.sql.connect.session import SparkSession
session = SparkSession.builder.remote(sys.argv[1]).create()
print(session.version, session.client._user_id)
"""
    with serving(tmp_path, auth_tokens=tokens_file(tmp_path), **tls) as server:
        url = f"sc://localhost:{server.port}/;use_ssl=true;token=ada-token;user_id=mallory"
        environment = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority.path)}
        done = subprocess.run([sys.executable, "-c", program, url], env=environment, capture_output=True, text=True)
        assert done.stdout.split() == ["4.1.1", "mallory"], done.stderr[-2000:]
        assert [s.user for s in server._sessions.all()] in ([], ["ada"])


def test_stock_clients_bring_tokens_to_this_machine_without_tls(tmp_path: Path):
    with serving(tmp_path, auth_tokens=tokens_file(tmp_path)) as server:
        session = SparkSession.builder.remote(f"sc://localhost:{server.port}/;token=ada-token").create()
        assert session.version == "4.1.1"
        assert [s.user for s in server._sessions.all()] == ["ada"]
        own = SparkSession.builder.remote(server._sessions.all()[0].connect_url).create()
        assert own.version == "4.1.1"
        elsewhere = server._sessions.all()[0].connect_url.replace(own.session_id, str(uuid.uuid4()))
        with pytest.raises(Exception, match="The token is for another session"):
            SparkSession.builder.remote(elsewhere).create().version
        session.stop()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"host": "0.0.0.0"}, r"host: 0\.0\.0\.0 lets other machines in, and nothing says who may come"),
        ({"host": "::"}, "--allow-unauthenticated true"),
        ({"auth_tokens": "/no/such/file"}, "auth_tokens: .*No such file"),
        ({"auth_jwt_issuer": "x"}, "auth_jwt_keys: needed"),
        ({"auth_jwt_keys": "x"}, "auth_jwt_issuer: needed"),
        ({"auth_proxy_header": "x"}, "auth_proxy_peers: needed"),
        ({"auth_proxy_header": "x", "auth_proxy_peers": "nowhere"}, "auth_proxy_peers: "),
        ({"auth_certificates": "true"}, "auth_certificates: needs tls_client_ca"),
        ({"tls_key": "x"}, "tls_key: needs tls_certificate"),
        ({"tls_certificate": "x"}, "tls_key: needed"),
        ({"tls_certificate": __file__, "tls_key": __file__}, "tls_certificate: "),
        ({"policy": __file__}, "policy: "),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], told: str, tmp_path: Path):
    with pytest.raises(SettingError, match=told), serving(tmp_path, **settings):
        pass


def test_new_tokens_are_ready_for_the_file():
    done = CliRunner().invoke(main, ["token", "new", "--user", 'a"da', "--group", "x", "--may-mint"])
    ((digest, made),) = parse_tokens(done.stdout.encode()).items()
    assert made.identity == Identity('a"da', frozenset(("x",)), may_mint=True)
    assert digest_of(done.stderr.split()[-1]) == digest


def test_serving_other_machines_unprotected_is_refused_at_once():
    done = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--port", "0"])
    assert done.exit_code == 2
    assert "nothing says who may come" in done.output
