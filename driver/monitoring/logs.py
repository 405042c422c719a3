"""Log lines as text or JSON; those of a query carry its session, operation and user, and none carries a secret."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from voltray.driver.plan.redaction import redacted_text

TEXT, JSON = FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class OperationIds:
    """Whose work a thread is at."""

    session_id: str
    user: str
    operation_id: str = ""


_current: ContextVar[OperationIds | None] = ContextVar("voltray_operation", default=None)


@contextmanager
def within(ids: OperationIds) -> Iterator[None]:
    """Make what is logged meanwhile carry the ids."""
    token = _current.set(ids)
    try:
        yield
    finally:
        _current.reset(token)


def current_ids() -> OperationIds | None:
    """Whose work this thread is at, if anyone's."""
    return _current.get()


class TextFormatter(logging.Formatter):
    """One line a record, with the ids behind the logger's name."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(ids)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, its secrets hidden."""
        ids = _current.get()
        record.ids = (
            ""
            if ids is None
            else f" [session={ids.session_id} operation={ids.operation_id} user={json.dumps(ids.user)}]"
        )
        return redacted_text(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The object: time (UTC), level, logger and message; session, operation and user where there are any."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted_text(record.getMessage()),
        }
        ids = _current.get()
        if ids is not None:
            entry |= {"session": ids.session_id, "operation": ids.operation_id, "user": ids.user}
        if record.exc_info:
            entry["exception"] = redacted_text(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(level: str, log_format: str) -> None:
    """Send log records to the standard error stream."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == JSON else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
