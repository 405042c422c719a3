"""Failures on their way to a client: gRPC status, ErrorInfo and the details that FetchErrorDetails gives."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping

from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.places import summary_of
from voltray.proto.failures import ErrorKind, Failure, QueryContext, SparkError, spark_error

logger = logging.getLogger("voltray.connect")

MAX_STATUS_MESSAGE = 2048
MAX_STATUS_PARAMETERS = 1024
KEPT_ERRORS = 100
KEPT_ERROR_SECONDS = 600.0

_OBJECT = ("java.lang.Exception", "java.lang.Throwable", "java.lang.Object")
_RUNTIME = ("java.lang.RuntimeException", *_OBJECT)
_ANALYSIS = ("org.apache.spark.sql.AnalysisException", *_OBJECT)
# What each exception of Spark extends: clients pick the first class that they know.
PARENTS: Mapping[ErrorKind, tuple[str, ...]] = {
    ErrorKind.ANALYSIS: _OBJECT,
    ErrorKind.PARSE: _ANALYSIS,
    ErrorKind.TEMPORARY_TABLE_EXISTS: _ANALYSIS,
    ErrorKind.NO_SUCH_TABLE: _ANALYSIS,
    ErrorKind.ARITHMETIC: ("java.lang.ArithmeticException", *_RUNTIME),
    ErrorKind.DATE_TIME: ("java.time.DateTimeException", *_RUNTIME),
    ErrorKind.NUMBER_FORMAT: (
        "java.lang.NumberFormatException",
        "java.lang.IllegalArgumentException",
        *_RUNTIME,
    ),
    ErrorKind.ARRAY_INDEX: (
        "java.lang.ArrayIndexOutOfBoundsException",
        "java.lang.IndexOutOfBoundsException",
        *_RUNTIME,
    ),
    ErrorKind.ILLEGAL_ARGUMENT: ("java.lang.IllegalArgumentException", *_RUNTIME),
    ErrorKind.NO_SUCH_ELEMENT: ("java.util.NoSuchElementException", *_RUNTIME),
    ErrorKind.RUNTIME: _RUNTIME,
    ErrorKind.UNSUPPORTED: ("java.lang.UnsupportedOperationException", *_RUNTIME),
    ErrorKind.UPGRADE: _RUNTIME,
    ErrorKind.CLASS_NOT_FOUND: (
        "java.lang.ClassNotFoundException",
        "java.lang.ReflectiveOperationException",
        *_OBJECT,
    ),
    ErrorKind.FILE_NOT_FOUND: ("java.io.FileNotFoundException", "java.io.IOException", *_OBJECT),
    ErrorKind.SECURITY: ("java.lang.SecurityException", *_RUNTIME),
    ErrorKind.SQL: ("java.sql.SQLException", *_OBJECT),
    ErrorKind.STREAMING_QUERY: _OBJECT,
    ErrorKind.PYTHON: _RUNTIME,
    ErrorKind.SPARK: _OBJECT,
    ErrorKind.INVALID_PLAN: _OBJECT,
}


_WITHOUT_PLACES = frozenset(
    (ErrorKind.ANALYSIS, ErrorKind.PARSE, ErrorKind.NO_SUCH_TABLE, ErrorKind.TEMPORARY_TABLE_EXISTS)
)


def classes_of(kind: ErrorKind) -> tuple[str, ...]:
    """The Java classes of an exception, its own first."""
    return (kind.value, *PARENTS.get(kind, _RUNTIME))


def failure_of(exception: BaseException) -> Failure:
    """The failure to tell a client of; an exception that is no Spark error is logged and told by its id alone."""
    seen: BaseException | None = exception
    while seen is not None:
        if isinstance(seen, SparkError) and (failure := _read(seen)) is not None:
            return failure
        seen = seen.__cause__
    if isinstance(exception, RecursionError):
        return too_deep().failure
    if isinstance(exception, MemoryError):
        return spark_error(
            "INTERNAL_ERROR",
            ErrorKind.SPARK,
            message="[INTERNAL_ERROR] The driver ran out of memory over this request. SQLSTATE: XX000",
        ).failure
    log_id = uuid.uuid4().hex[:12]
    logger.error("internal error %s", log_id, exc_info=exception)
    text = (
        f"[INTERNAL_ERROR] Voltray failed in a way it should not ({type(exception).__name__}); "
        f"its log says more under the id {log_id}. SQLSTATE: XX000"
    )
    return spark_error("INTERNAL_ERROR", ErrorKind.SPARK, message=text).failure


def _read(error: SparkError) -> Failure | None:
    try:
        return error.failure
    except (ValueError, KeyError, TypeError, IndexError):
        return None  # an error whose text was lost on its way


def invalid_plan(words: str) -> SparkError:
    """A plan that breaks the protocol's rules."""
    text = f"[INTERNAL_ERROR] {words} SQLSTATE: XX000"
    return spark_error("INTERNAL_ERROR", ErrorKind.INVALID_PLAN, message=text, extra={"message": words})


def cannot_parse(words: str) -> SparkError:
    """Bytes that are no plan."""
    return spark_error("CONNECT_INVALID_PLAN.CANNOT_PARSE", ErrorKind.SQL, errorMsg=words)


def too_deep() -> SparkError:
    """A plan that nests deeper than the server's stacks hold."""
    return cannot_parse("the plan is nested too deeply")


def invalid_handle(reason: str, handle: str) -> SparkError:
    """INVALID_HANDLE in one of its forms (``SESSION_CLOSED``, ``OPERATION_NOT_FOUND`` ...)."""
    return spark_error(f"INVALID_HANDLE.{reason}", ErrorKind.SQL, handle=handle)


def unsupported_operation(words: str) -> SparkError:
    """Something of the protocol that Voltray refuses, named."""
    condition = "UNSUPPORTED_FEATURE"
    text = f"[{condition}] Voltray does not support {words}. SQLSTATE: 0A000"
    return spark_error(condition, ErrorKind.UNSUPPORTED, sqlstate="0A000", message=text, feature=words)


def full_message(failure: Failure) -> str:
    """The message; that of a failure at run time with the places in the user's program that it is about."""
    if failure.kind in _WITHOUT_PLACES:
        return failure.message
    places = [text for text in map(summary_of, failure.contexts) if text]
    missing = [text for text in places if text.split("\n", 2)[1] not in failure.message]
    return failure.message if not missing else failure.message + "\n" + "".join(missing)


def status_of(failure: Failure, error_id: str | None) -> status_pb2.Status:
    """The rich gRPC status that clients turn into their exception."""
    classes = json.dumps(classes_of(failure.kind), separators=(",", ":"))
    metadata = {"classes": classes}
    if failure.condition:
        metadata["errorClass"] = failure.condition
        if failure.sqlstate:
            metadata["sqlState"] = failure.sqlstate
        parameters = json.dumps(dict(failure.parameters), separators=(",", ":"))
        if len(parameters) <= MAX_STATUS_PARAMETERS:
            metadata["messageParameters"] = parameters
    if error_id is not None:
        metadata["errorId"] = error_id
    info = error_details_pb2.ErrorInfo(reason=failure.kind.value, domain="org.apache.spark", metadata=metadata)
    detail = any_pb2.Any()
    detail.Pack(info)
    message = _shortened(full_message(failure))
    return status_pb2.Status(code=code_pb2.INTERNAL, message=message, details=[detail])


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_STATUS_MESSAGE else text[: MAX_STATUS_MESSAGE - 3] + "..."


class ErrorStore:
    """The last failures of a session, for FetchErrorDetails: bounded in number and age."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Failure]] = OrderedDict()

    def keep(self, failure: Failure) -> str:
        """Keep a failure and return the id under which it can be fetched."""
        error_id, now = str(uuid.uuid4()), time.monotonic()
        with self._lock:
            self._kept[error_id] = (now, failure)
            while len(self._kept) > KEPT_ERRORS or self._oldest() < now - KEPT_ERROR_SECONDS:
                self._kept.popitem(last=False)
        return error_id

    def get(self, error_id: str) -> Failure | None:
        """A failure that is still kept."""
        with self._lock:
            found = self._kept.get(error_id)
        return None if found is None else found[1]

    def _oldest(self) -> float:
        return next(iter(self._kept.values()))[0]


def describe(failure: Failure, response: base_pb2.FetchErrorDetailsResponse) -> None:
    """Fill a response with everything there is to say of a failure."""
    error = response.errors.add()
    error.error_type_hierarchy.extend(classes_of(failure.kind))
    error.message = full_message(failure)
    response.root_error_idx = 0
    if not failure.condition:
        return
    throwable = error.spark_throwable
    throwable.error_class = failure.condition
    if failure.sqlstate:
        throwable.sql_state = failure.sqlstate
    throwable.message_parameters.update(failure.parameters)
    for context in failure.contexts:
        _describe_context(context, throwable.query_contexts.add())


def _describe_context(context: QueryContext, message: base_pb2.FetchErrorDetailsResponse.QueryContext) -> None:
    kinds = base_pb2.FetchErrorDetailsResponse.QueryContext
    message.context_type = kinds.SQL if context.kind == "SQL" else kinds.DATAFRAME
    message.fragment = context.fragment
    message.call_site = context.call_site
    message.summary = summary_of(context)
    if context.kind == "SQL":
        message.object_type = context.object_type
        message.object_name = context.object_name
        message.start_index = context.start_index
        message.stop_index = context.stop_index
