"""Refusing plans with Python code to users whom the policy does not grant it: such code sees what the server sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message
from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.plans import content_of

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

_PYTHON = frozenset(
    f"spark.connect.{name}" for name in ("PythonUDF", "PythonUDTF", "PythonDataSource", "StreamingForeachFunction")
)


def check_python(session: Session, request: Any) -> None:
    """Raise where a request holds Python code that the session's user may not run."""
    access = session.catalog.access
    if access.may_run_python():
        return
    max_bytes = session.backend.settings.max_message_bytes
    if any(message.DESCRIPTOR.full_name in _PYTHON for message in _messages(request, max_bytes)):
        access.check_python()


def _messages(root: Message, max_bytes: int) -> Iterator[Message]:
    """All messages within one, those of compressed plans too."""
    waiting: list[Any] = [root]
    while waiting:
        message = waiting.pop()
        yield message
        if isinstance(message, base_pb2.Plan) and message.HasField("compressed_operation"):
            waiting.append(content_of(message, max_bytes))
        for descriptor, value in message.ListFields():
            if descriptor.message_type is None:
                continue
            is_map = descriptor.message_type.GetOptions().map_entry
            values = value.values() if is_map else value if descriptor.is_repeated else (value,)
            waiting.extend(v for v in values if isinstance(v, Message))
