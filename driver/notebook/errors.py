"""Errors as a notebook's reader wants them: the message and the place in the statement, no traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.errors import PySparkException

# What real Spark puts behind its message.
_TRAILERS = ("\n\nJVM stacktrace:", ";\n'")


def shorten(error: BaseException, message: str) -> None:
    """Have IPython show a message in place of the error's traceback."""
    lines = [f"{type(error).__name__}: {message}"]
    shown: Any = error
    shown._render_traceback_ = lambda: lines


def message_of(error: PySparkException) -> str:
    """The error's message, with the place in the statement where it is known."""
    message = str(error)
    for trailer in _TRAILERS:
        message = message.partition(trailer)[0]
    message = message.rstrip()
    if "== SQL" not in message:
        # Errors of analysis carry the place beside the message.
        places = [context.summary() for context in error.getQueryContext() or ()]
        message = "\n".join([message, *[place.rstrip() for place in places[:1] if "== SQL" in place]])
    return message
