"""What an ExecutePlan or AnalyzePlan request carries: a relation or a command, plain or compressed."""

from __future__ import annotations

from typing import Any

import zstandard
from google.protobuf.message import DecodeError
from pyspark.sql.connect.proto import base_pb2, commands_pb2, relations_pb2

from voltray.driver.connect.errors import cannot_parse, invalid_plan
from voltray.proto.failures import ErrorKind, spark_error

CompressedOperation = base_pb2.Plan.CompressedOperation
_KINDS: dict[int, Any] = {
    CompressedOperation.OP_TYPE_RELATION: relations_pb2.Relation,
    CompressedOperation.OP_TYPE_COMMAND: commands_pb2.Command,
}


def content_of(plan: base_pb2.Plan, max_bytes: int) -> relations_pb2.Relation | commands_pb2.Command:
    """The relation or command of a plan; ``max_bytes`` bounds what a compressed one may grow to."""
    match plan.WhichOneof("op_type"):
        case "root":
            return plan.root
        case "command":
            return plan.command
        case "compressed_operation":
            return _decompressed(plan.compressed_operation, max_bytes)
    raise spark_error("", ErrorKind.UNSUPPORTED, message="The plan has neither a relation nor a command.")


def relation_of(plan: base_pb2.Plan, max_bytes: int) -> relations_pb2.Relation:
    """The relation of a plan; a command is refused."""
    content = content_of(plan, max_bytes)
    if not isinstance(content, relations_pb2.Relation):
        raise invalid_plan("A relation is expected here, and the plan is a command.")
    return content


def _decompressed(operation: Any, max_bytes: int) -> relations_pb2.Relation | commands_pb2.Command:
    if operation.compression_codec != base_pb2.COMPRESSION_CODEC_ZSTD:
        raise invalid_plan(f"The compression codec {operation.compression_codec} of the plan is unknown.")
    kind = _KINDS.get(operation.op_type)
    if kind is None:
        raise cannot_parse("the compressed plan is neither a relation nor a command")
    try:
        data = _decompress(operation.data, max_bytes)
        content: relations_pb2.Relation | commands_pb2.Command = kind.FromString(data)
    except (zstandard.ZstdError, DecodeError) as failure:
        raise cannot_parse(str(failure)) from None
    return content


def _decompress(data: bytes, max_bytes: int) -> bytes:
    # The frame's own word about its size is not to be trusted: read no further than the bound.
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        plain: bytes = reader.read(max_bytes + 1)
    if len(plain) > max_bytes:
        raise cannot_parse(f"the plan is larger than {max_bytes} bytes once decompressed")
    return plain
