"""An operation's plan as people read it: the text of SQL, or a DataFrame's plan as ``explain`` prints it parsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from pyspark.sql.connect.proto import base_pb2, commands_pb2, relations_pb2

from voltray.driver.connect.messages.relations import relation_from_message
from voltray.driver.connect.plans import content_of
from voltray.driver.monitoring.operations import Statement
from voltray.driver.plan.text import plan_text

_SMALL_BYTES = 2 << 10
_MOST_BYTES = 64 << 20
_LONGEST_FIELD = 200


def statement_of(plan: base_pb2.Plan) -> Statement:
    """The statement of a plan, to be written when somebody looks."""
    return Statement(lambda: plan_as_text(plan), lambda: _packed(plan))


def _packed(plan: base_pb2.Plan) -> Callable[[], str] | None:
    """The plan of a small DataFrame as bytes: its text takes longer to make than many such queries to run."""
    if plan.ByteSize() > _SMALL_BYTES or plan.root.WhichOneof("rel_type") == "sql" or plan.HasField("command"):
        return None
    data = plan.SerializeToString()
    return lambda: plan_as_text(base_pb2.Plan.FromString(data))


def plan_as_text(plan: base_pb2.Plan) -> str:
    """A plan as text; secrets that stand under no name of their own are not hidden yet."""
    content = content_of(plan, _MOST_BYTES)
    if isinstance(content, relations_pb2.Relation):
        return _relation_text(content)
    return _command_text(content)


def _relation_text(relation: relations_pb2.Relation) -> str:
    if relation.WhichOneof("rel_type") == "sql":
        return str(relation.sql.query)
    return plan_text(relation_from_message(relation)).rstrip()


def _command_text(command: commands_pb2.Command) -> str:
    kind = command.WhichOneof("command_type")
    if kind is None:
        return "(an empty command)"
    message = getattr(command, kind)
    if kind == "sql_command":
        if message.sql:
            return str(message.sql)
        return _relation_text(message.input)
    words = kind.removesuffix("_command").replace("_", " ")
    lines = [" ".join((words, *_plain_fields(message)))]
    for descriptor, value in message.ListFields():
        if descriptor.message_type is relations_pb2.Relation.DESCRIPTOR and not _is_repeated(descriptor):
            lines.append(_relation_text(value))
    return "\n".join(lines)


def _plain_fields(message: Any) -> list[str]:
    """The fields of a command that are names, numbers and flags; no bytes, and no options, where secrets stand."""
    found = []
    for descriptor, value in message.ListFields():
        if _is_repeated(descriptor) or descriptor.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_BYTES):
            continue
        if descriptor.type == FieldDescriptor.TYPE_ENUM:
            value = descriptor.enum_type.values_by_number[value].name.lower()
        found.append(f"{descriptor.name}={str(value)[:_LONGEST_FIELD]}")
    return found


def _is_repeated(descriptor: FieldDescriptor) -> bool:
    return bool(descriptor.is_repeated)
