"""Malformed frames, tokens and plans: the server answers with errors, and serves on.

``python tests/driver/connect/security/test_fuzz.py sc://HOST:PORT TOKEN COUNT [SEED]`` does the same to any server.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import base_pb2_grpc, commands_pb2, expressions_pb2, relations_pb2, types_pb2

SERVICE = "/spark.connect.SparkConnectService/"
REQUESTS: dict[str, Any] = {
    "ExecutePlan": pb.ExecutePlanRequest,
    "AnalyzePlan": pb.AnalyzePlanRequest,
    "Config": pb.ConfigRequest,
    "AddArtifacts": pb.AddArtifactsRequest,
    "ArtifactStatus": pb.ArtifactStatusesRequest,
    "Interrupt": pb.InterruptRequest,
    "ReattachExecute": pb.ReattachExecuteRequest,
    "ReleaseExecute": pb.ReleaseExecuteRequest,
    "ReleaseSession": pb.ReleaseSessionRequest,
    "FetchErrorDetails": pb.FetchErrorDetailsRequest,
    "CloneSession": pb.CloneSessionRequest,
}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What makes endless work or talks to the outside; a server under test must come to an end.
_LEFT_OUT = frozenset(
    ("write_operation", "write_operation_v2", "write_stream_operation_start", "streaming_query_command", "read", "sql",
     "sql_command", "parse", "range", "catalog", "checkpoint_command", "streaming_query_manager_command",
     "streaming_query_listener_bus_command", "ml_command", "merge_into_table_command", "save_as_table")
)  # fmt: skip
_TEXTS = ("", "id", "a.b", "`", "\0", "é" * 50, "id long", "9" * 400, "../x", "{", "%s", str(uuid.UUID(int=7)))
_NUMBERS = (0, 1, -1, 2, 7, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))


def fill(message: Any, chance: random.Random, depth: int) -> Any:
    """Give a message random fields, messages in them to a depth."""
    descriptor = message.DESCRIPTOR
    if descriptor.full_name.startswith("google.protobuf."):
        return message
    chosen = {chance.choice(o.fields).name for o in descriptor.oneofs if o.fields}
    for field in descriptor.fields:
        alone = field.containing_oneof is None
        if field.name in _LEFT_OUT or (not alone and field.name not in chosen) or (alone and chance.random() < 0.4):
            continue
        if field.message_type is not None:
            if depth <= 0 or field.message_type.GetOptions().map_entry:
                continue
            many = chance.randint(0, 2) if field.is_repeated else 1
            for _ in range(many):
                place = getattr(message, field.name)
                target = place.add() if field.is_repeated else place
                target.SetInParent()
                fill(target, chance, depth - 1)
        else:
            values = [_scalar(field, chance) for _ in range(chance.randint(0, 2) if field.is_repeated else 1)]
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            elif values:
                setattr(message, field.name, values[0])
    return message


def _scalar(field: Any, chance: random.Random) -> Any:
    kinds = type(field)
    if field.type == kinds.TYPE_STRING:
        return chance.choice(_TEXTS)
    if field.type == kinds.TYPE_BYTES:
        return chance.randbytes(chance.randint(0, 40))
    if field.type == kinds.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type in (kinds.TYPE_DOUBLE, kinds.TYPE_FLOAT):
        return chance.choice((0.0, -1.5, float("nan"), float("inf")))
    if field.enum_type is not None:
        return chance.choice(field.enum_type.values).number
    number = chance.choice(_NUMBERS)
    wide = field.type in (kinds.TYPE_INT64, kinds.TYPE_SINT64, kinds.TYPE_SFIXED64)
    unsigned = field.type in (kinds.TYPE_UINT32, kinds.TYPE_UINT64)
    return abs(number) % 2**31 if unsigned else number if wide else max(-(2**31), min(number, 2**31 - 1))


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes cut, changed, repeated or made up."""
    changed = bytearray(data)
    match chance.randrange(4):
        case 0:
            return bytes(changed[: chance.randint(0, len(changed))])
        case 1:
            for _ in range(chance.randint(1, 8)):
                if changed:
                    changed[chance.randrange(len(changed))] = chance.randrange(256)
            return bytes(changed)
        case 2:
            return bytes(changed) * 2 + chance.randbytes(4)
    return chance.randbytes(chance.randint(0, 200))


def bad_token(good: str, chance: random.Random) -> tuple[str, str | bytes]:
    """A header that looks like a token and is none."""
    parts = [chance.choice(("eyJhbGciOiJub25lIn0", "e30", "", "A" * 300, good)) for _ in range(chance.randint(1, 4))]
    text = ".".join(parts) if len(parts) > 1 or parts[0] != good else good[:-1]
    scheme = chance.choice(("Bearer ", "bearer  ", "Basic ", "", "Bearer", "Bearer Bearer "))
    return ("authorization-bin", text.encode()) if chance.random() < 0.1 else ("authorization", (scheme + text).strip())


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def send_frames(host: str, port: int, chance: random.Random) -> None:
    """Speak broken HTTP/2, or none at all."""
    with socket.create_connection((host, port), timeout=5) as peer:
        start = PREFACE + frame(4, 0, 0, b"") if chance.random() < 0.8 else chance.randbytes(24)
        frames = [
            frame(chance.randrange(12), chance.randrange(256), chance.choice((0, 1, 2, 3, 2**31)), chance.randbytes(
                chance.choice((0, 1, 4, 5, 6, 8, 100))))
            for _ in range(chance.randint(1, 5))
        ]  # fmt: skip
        data = start + b"".join(frames)
        try:
            peer.sendall(data[: len(data) - chance.randint(0, 3)])
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(0.02)
            peer.recv(4096)
        except OSError:
            return


def attack(address: str, token: str | None, count: int, seed: int) -> Counter[str]:
    """Send so many malformed things, a third each of frames, tokens and plans; how the server took them."""
    chance = random.Random(seed)
    host, _, port = address.rpartition(":")
    took: Counter[str] = Counter()
    session_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    good = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        for number in range(count):
            name = chance.choice(list(REQUESTS))
            if number % 3 == 0:
                send_frames(host, int(port), chance)
                took["frames"] += 1
                continue
            request = fill(REQUESTS[name](), chance, chance.randint(1, 7))
            if chance.random() < 0.8:
                request.session_id = session_id
                request.user_context.user_id = "mallory"
                if "client_observed_server_side_session_id" in request.DESCRIPTOR.fields_by_name:
                    request.ClearField("client_observed_server_side_session_id")
            data = request.SerializeToString()
            if chance.random() < 0.3:
                data = damaged(data, chance)
            metadata = [bad_token(token, chance)] if number % 3 == 1 and token else good
            took[_outcome(channel, name, data, metadata)] += 1
            if name in ("ReleaseSession", "CloneSession"):
                session_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return took


def _outcome(channel: grpc.Channel, name: str, data: bytes, metadata: Any) -> str:
    call = channel.stream_stream(SERVICE + name)
    try:
        list(call(iter([data]), metadata=metadata, timeout=30))
    except grpc.RpcError as error:
        if "Voltray failed in a way it should not" in error.details():
            return "internal"
        return error.code().name
    return "OK"


def is_serving(address: str, token: str | None) -> bool:
    """Whether the server still answers."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        stub = base_pb2_grpc.SparkConnectServiceStub(channel)
        request = pb.AnalyzePlanRequest(session_id=str(uuid.uuid4()), spark_version={})
        return bool(stub.AnalyzePlan(request, metadata=metadata, timeout=30).spark_version.version)


def test_a_server_survives_malformed_frames_tokens_and_plans(tmp_path: Path):
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from connect_fakes import FakeBackend

    from voltray.driver.connect.server import start_server
    from voltray.driver.settings import load_settings

    (tmp_path / "tokens.toml").write_text('[[tokens]]\ntoken = "good-token"\nuser = "ada"\n')
    settings = load_settings({"port": 0, "warehouse_dir": tmp_path / "w", "auth_tokens": tmp_path / "tokens.toml"})
    server = start_server(settings, FakeBackend(settings))
    try:
        took = attack(f"127.0.0.1:{server.port}", "good-token", 600, seed=5)
        assert is_serving(f"127.0.0.1:{server.port}", "good-token")
    finally:
        server.stop(0)
    assert sum(took.values()) == 600
    assert took["UNAUTHENTICATED"] >= 190
    assert not took.keys() - {"frames", "UNAUTHENTICATED", "INTERNAL", "OK", "internal"}, took


def test_every_message_of_a_plan_can_be_made_up():
    chance = random.Random(1)
    for kind in (relations_pb2.Relation, commands_pb2.Command, expressions_pb2.Expression, types_pb2.DataType):
        assert any(fill(kind(), chance, 5).ByteSize() for _ in range(20))


if __name__ == "__main__":
    target, secret, total = sys.argv[1].removeprefix("sc://"), sys.argv[2] or None, int(sys.argv[3])
    print(dict(attack(target, secret, total, int(sys.argv[4]) if len(sys.argv) > 4 else 1)))
    print("still serving" if is_serving(target, secret) else "gone")
