"""Every field of the protocol's oneofs is handled, or listed as unsupported with a reason."""

from __future__ import annotations

import pytest
from connect_wire import Wire
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import base_pb2_grpc, commands_pb2, relations_pb2

from voltray.driver.connect import analyze, commands
from voltray.driver.connect.messages import relations
from voltray.driver.connect.server import STREAMED_REQUESTS, STREAMED_RESPONSES, UNARY

SURFACES = {
    "Relation": (relations_pb2.Relation, "rel_type", relations.READERS, relations.UNSUPPORTED),
    "Command": (commands_pb2.Command, "command_type", commands.COMMANDS, commands.UNSUPPORTED),
    "AnalyzePlan": (pb.AnalyzePlanRequest, "analyze", analyze.KINDS, {}),
    "Config": (pb.ConfigRequest.Operation, "op_type", __import__(
        "voltray.driver.connect.config", fromlist=["_OPERATIONS"])._OPERATIONS, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SURFACES)
def test_every_kind_is_handled_or_refused_with_a_reason(name: str):
    message, oneof, handled, refused = SURFACES[name]
    kinds = {f.name for f in message.DESCRIPTOR.oneofs_by_name[oneof].fields}
    assert kinds == set(handled) | set(refused)
    assert not set(handled) & set(refused)
    assert all(refused.values())


def test_every_call_is_served():
    stub = base_pb2_grpc.SparkConnectServiceServicer
    calls = {name for name in vars(stub) if not name.startswith("_")}
    assert calls == set(UNARY) | set(STREAMED_RESPONSES) | set(STREAMED_REQUESTS)


@pytest.mark.parametrize("kind", sorted(commands.UNSUPPORTED))
def test_refused_commands_are_named(wire: Wire, kind: str):
    command = commands_pb2.Command()
    getattr(command, kind).SetInParent()
    told = wire.told(lambda: wire.execute(pb.Plan(command=command)))
    assert told.condition.startswith("UNSUPPORTED")
    assert kind in told.message


@pytest.mark.parametrize("kind", sorted(relations.UNSUPPORTED))
def test_refused_relations_are_named(wire: Wire, kind: str):
    relation = relations_pb2.Relation()
    getattr(relation, kind).SetInParent()
    told = wire.told(lambda: wire.execute(pb.Plan(root=relation)))
    assert told.condition.startswith("UNSUPPORTED")
    assert kind in told.message
