"""What no client should send: an error to that client alone, and the server goes on."""

from __future__ import annotations

import threading

import grpc
import pytest
import zstandard
from connect_wire import Wire, range_plan
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import commands_pb2, relations_pb2

PATH = "/spark.connect.SparkConnectService/"
CANNOT_PARSE = "CONNECT_INVALID_PLAN.CANNOT_PARSE"


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def nested_limits(depth: int) -> bytes:
    """Return a relation of so many limits over a range, written inside out."""
    inner = relations_pb2.Relation(range=relations_pb2.Range(end=1, step=1)).SerializeToString()
    size, heads = len(inner), []
    for _ in range(depth):
        head = varint(1 << 3 | 2) + varint(size)
        size += len(head) + 2
        outer = varint(8 << 3 | 2) + varint(size)
        size += len(outer)
        heads.append(outer + head)
    return b"".join(reversed(heads)) + inner + b"\x10\x01" * depth


def schema_request(wire: Wire, relation: bytes) -> bytes:
    return pb.AnalyzePlanRequest(**wire.who).SerializeToString() + field(4, field(1, field(1, relation)))


def raw(wire: Wire, method: str, data: bytes) -> bytes:
    call = wire.channel.unary_unary(PATH + method, lambda b: b, lambda b: b)
    return call(data)


@pytest.mark.parametrize("method", ["AnalyzePlan", "Config", "Interrupt", "ReleaseSession", "FetchErrorDetails"])
def test_garbage(wire: Wire, method: str):
    told = wire.told(lambda: raw(wire, method, b"\xff\xff\xffgarbage"))
    assert (told.condition, told.sqlstate) == (CANNOT_PARSE, "56K00")
    wire.version()


def test_a_plan_nested_100_000_deep(wire: Wire):
    told = wire.told(lambda: raw(wire, "AnalyzePlan", schema_request(wire, nested_limits(100_000))))
    assert told.condition == CANNOT_PARSE
    wire.version()


def test_a_plan_nested_20_000_deep_is_read(wire: Wire):
    # The fake analyses no limits, so it says what it says of any other relation.
    told = wire.told(lambda: raw(wire, "AnalyzePlan", schema_request(wire, nested_limits(20_000))))
    assert told.condition == "TABLE_OR_VIEW_NOT_FOUND"


def test_a_message_of_200_megabytes(wire: Wire):
    told = wire.told(lambda: raw(wire, "AnalyzePlan", b"\xff" * (200 << 20)))
    assert told.condition == CANNOT_PARSE
    wire.version()


class TestTooLarge:
    @pytest.fixture
    def server_settings(self) -> dict[str, object]:
        return {"max_message_bytes": 1 << 20}

    def test_a_message_over_the_limit(self, wire: Wire):
        told = wire.told(lambda: raw(wire, "AnalyzePlan", b"\xff" * (2 << 20)))
        assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        wire.version()

    def test_a_bomb(self, wire: Wire):
        data = zstandard.compress(b"\0" * (64 << 20))
        told = wire.told(lambda: wire.execute(compressed(data)))
        assert told.condition == CANNOT_PARSE


def compressed(data: bytes, codec: int = 1, kind: int = 1) -> pb.Plan:
    operation = pb.Plan.CompressedOperation(data=data, op_type=kind, compression_codec=codec)
    return pb.Plan(compressed_operation=operation)


def test_compressed_plans(wire: Wire):
    data = zstandard.compress(range_plan(3).root.SerializeToString())
    assert sum(r.arrow_batch.row_count for r in wire.execute(compressed(data))) == 3
    assert wire.told(lambda: wire.execute(compressed(b"zzz"))).condition == CANNOT_PARSE
    assert wire.told(lambda: wire.execute(compressed(zstandard.compress(b"\xff\xffzz")))).condition == CANNOT_PARSE
    assert wire.told(lambda: wire.execute(compressed(data, codec=0))).condition == "INTERNAL_ERROR"
    assert wire.told(lambda: wire.execute(compressed(data, kind=0))).condition == CANNOT_PARSE


def test_empty_messages_are_named(wire: Wire):
    relation = wire.told(lambda: wire.execute(pb.Plan(root=relations_pb2.Relation())))
    assert relation.classes[0] == "org.apache.spark.sql.connect.common.InvalidPlanInput"
    assert "spark.connect.Relation" in relation.message
    command = wire.told(lambda: wire.execute(pb.Plan(command={})))
    assert "spark.connect.Command" in command.message
    assert "neither" in wire.told(lambda: wire.execute(pb.Plan())).message
    analysis = wire.told(lambda: wire.stub.AnalyzePlan(pb.AnalyzePlanRequest(**wire.who)))
    assert "ANALYZE_NOT_SET" in analysis.message


def test_kinds_of_newer_clients_are_named(wire: Wire):
    newer = relations_pb2.Relation.FromString(field(777, b"x"))
    nested = relations_pb2.Relation(limit={"input": newer, "limit": 1})
    for relation in (newer, nested):
        told = wire.told(lambda relation=relation: wire.execute(pb.Plan(root=relation)))
        assert told.condition.startswith("UNSUPPORTED")
        assert "field 777" in told.message
    command = commands_pb2.Command.FromString(field(778, b"x"))
    assert "field 778" in wire.told(lambda: wire.execute(pb.Plan(command=command))).message


def test_an_unknown_method(wire: Wire):
    with pytest.raises(grpc.RpcError) as caught:
        raw(wire, "Nope", b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_many_clients_at_once(wire: Wire):
    counts: list[int] = []

    def run() -> None:
        counts.append(sum(r.arrow_batch.row_count for r in wire.execute(range_plan(1000, 10))))

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1000] * 40
