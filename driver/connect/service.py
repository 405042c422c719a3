"""The calls of SparkConnectService, one method each, on parsed requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pyspark.sql.connect.proto import base_pb2 as pb

from voltray.driver.connect.analyze import answer_analysis
from voltray.driver.connect.artifacts import receive_artifacts
from voltray.driver.connect.config import answer_config
from voltray.driver.connect.confs import parse_milliseconds
from voltray.driver.connect.errors import describe, invalid_handle
from voltray.driver.connect.execution import perform_operation
from voltray.driver.connect.operations import Operation
from voltray.driver.connect.python_rights import check_python
from voltray.driver.connect.security.identity import Identity
from voltray.driver.connect.session import Session, SessionKey
from voltray.driver.connect.sessions import Sessions
from voltray.driver.connect.threads import DeepThreads
from voltray.proto.failures import ErrorKind, spark_error

Response = TypeVar("Response")
PROGRESS_INTERVAL = "spark.connect.progress.reportInterval"


class Call:
    """What a method may ask of the call that it answers."""

    def __init__(self, context: Any, identity: Identity | None = None) -> None:
        self._context = context
        self.groups = frozenset() if identity is None else identity.groups

    def is_active(self) -> bool:
        """Whether the client is still there."""
        return bool(self._context.is_active())

    def header(self, name: str) -> str | None:
        """A header of the call."""
        return next((str(v) for key, v in self._context.invocation_metadata() or () if key == name), None)

    def when_ended(self, action: Callable[[], None]) -> None:
        """Do something once the call has ended, however it did."""
        if not self._context.add_callback(action):
            action()


def key_of(request: Any) -> SessionKey:
    """The key of the session that a request names."""
    return SessionKey(request.user_context.user_id, request.session_id)


class SparkConnectService:
    """The service; ``threads`` run the operations."""

    def __init__(self, sessions: Sessions, threads: DeepThreads) -> None:
        self._sessions = sessions
        self._threads = threads

    def ExecutePlan(self, request: pb.ExecutePlanRequest, call: Call) -> Iterator[bytes]:
        """Start an operation (or find the one that the same request started) and stream its responses."""
        self._sessions.check_open()
        session = self._obtain(request, call)
        check_python(session, request.plan)
        _check_tags(request.tags)
        operation = session.new_operation(request)
        present = session.operations.add(operation)
        stream = present.stream(None, _interval(session), call.is_active)
        if not operation.reattachable:
            call.when_ended(lambda: session.operations.remove(operation))
        if present is operation:
            if session.backend.monitor.is_traced:
                operation.notes.traceparent = call.header("traceparent")
            session.backend.monitor.begin(operation.notes)
            self._threads.submit(perform_operation, session, operation)
        return stream

    def ReattachExecute(self, request: pb.ReattachExecuteRequest, call: Call) -> Iterator[bytes]:
        """Stream an operation's responses on from a response that the client has got."""
        session = self._existing(request, call)
        operation = _operation(session, request.operation_id)
        if not operation.reattachable:
            raise spark_error("INVALID_CURSOR.NOT_REATTACHABLE", ErrorKind.SQL)
        return operation.stream(request.last_response_id, _interval(session), call.is_active)

    def ReleaseExecute(self, request: pb.ReleaseExecuteRequest, call: Call) -> pb.ReleaseExecuteResponse:
        """Forget an operation's responses, up to one or all of them."""
        session = self._existing(request, call)
        response = _addressed(pb.ReleaseExecuteResponse(), session)
        operation = session.operations.get(request.operation_id)
        kind = request.WhichOneof("release")
        if kind is None:
            raise spark_error("", ErrorKind.UNSUPPORTED, message="The release request says neither until nor all.")
        if operation is None:
            return response
        response.operation_id = operation.operation_id
        if kind == "release_until":
            operation.buffer.release_until(request.release_until.response_id)
        else:
            session.operations.remove(operation)
        return response

    def AnalyzePlan(self, request: pb.AnalyzePlanRequest, call: Call) -> pb.AnalyzePlanResponse:
        """Answer a question about a plan."""
        session = self._obtain(request, call)
        check_python(session, request)
        response = _addressed(pb.AnalyzePlanResponse(), session)
        answer_analysis(session, request, response)
        return response

    def Config(self, request: pb.ConfigRequest, call: Call) -> pb.ConfigResponse:
        """Read or change the session's confs."""
        session = self._obtain(request, call)
        response = _addressed(pb.ConfigResponse(), session)
        answer_config(session.confs, request, response)
        return response

    def AddArtifacts(self, requests: Iterator[pb.AddArtifactsRequest], call: Call) -> pb.AddArtifactsResponse:
        """Store artifacts that arrive in chunks."""
        first = next(requests, None)
        if first is None:
            raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message="The stream of artifacts is empty.")
        session = self._obtain(first, call)
        response = _addressed(pb.AddArtifactsResponse(), session)
        receive_artifacts(session.artifacts, first, requests, response)
        return response

    def ArtifactStatus(self, request: pb.ArtifactStatusesRequest, call: Call) -> pb.ArtifactStatusesResponse:
        """Say which cached artifacts are there."""
        session = self._obtain(request, call)
        response = _addressed(pb.ArtifactStatusesResponse(), session)
        for name in request.names:
            response.statuses[name].exists = session.artifacts.is_cached(name)
        return response

    def Interrupt(self, request: pb.InterruptRequest, call: Call) -> pb.InterruptResponse:
        """Cancel operations: all, those of a tag, or one."""
        session = self._obtain(request, call)
        response = _addressed(pb.InterruptResponse(), session)
        response.interrupted_ids.extend(session.operations.interrupt(_chosen(request)))
        return response

    def ReleaseSession(self, request: pb.ReleaseSessionRequest, call: Call) -> pb.ReleaseSessionResponse:
        """Close a session."""
        session = self._sessions.release(key_of(request), request.allow_reconnect)
        response = pb.ReleaseSessionResponse(session_id=request.session_id)
        if session is not None:
            response.server_side_session_id = session.server_side_session_id
        return response

    def FetchErrorDetails(self, request: pb.FetchErrorDetailsRequest, call: Call) -> pb.FetchErrorDetailsResponse:
        """Tell everything about a failure of before."""
        session = self._existing(request, call)
        response = _addressed(pb.FetchErrorDetailsResponse(), session)
        failure = session.errors.get(request.error_id)
        if failure is not None:
            describe(failure, response)
        return response

    def CloneSession(self, request: pb.CloneSessionRequest, call: Call) -> pb.CloneSessionResponse:
        """Make a session that starts with the state of another."""
        source = self._existing(request, call)
        target = request.new_session_id if request.HasField("new_session_id") else None
        clone = self._sessions.clone(source, target)
        response = _addressed(pb.CloneSessionResponse(), source)
        response.new_session_id = clone.key.session_id
        response.new_server_side_session_id = clone.server_side_session_id
        return response

    def _obtain(self, request: Any, call: Call) -> Session:
        session = self._sessions.obtain(key_of(request), request.client_observed_server_side_session_id)
        session.groups = call.groups
        return session

    def _existing(self, request: Any, call: Call) -> Session:
        session = self._sessions.existing(key_of(request), request.client_observed_server_side_session_id)
        session.groups = call.groups
        return session


def _addressed(response: Response, session: Session) -> Response:
    message: Any = response
    message.session_id = session.key.session_id
    message.server_side_session_id = session.server_side_session_id
    return response


def _operation(session: Session, operation_id: str) -> Operation:
    operation = session.operations.get(operation_id)
    if operation is None:
        raise invalid_handle("OPERATION_NOT_FOUND", operation_id)
    return operation


def _interval(session: Session) -> float:
    milliseconds = parse_milliseconds(session.confs.value(PROGRESS_INTERVAL) or "")
    return max(0.0, (milliseconds or 0.0) / 1000)


def _check_tags(tags: Any) -> None:
    for tag in tags:
        if not tag or "," in tag:
            words = "contain ','" if tag else "be an empty string"
            raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=f"Spark Connect tag cannot {words}.")


def _chosen(request: pb.InterruptRequest) -> Callable[[Operation], bool]:
    kinds = pb.InterruptRequest
    match request.interrupt_type:
        case kinds.INTERRUPT_TYPE_ALL:
            return lambda operation: True
        case kinds.INTERRUPT_TYPE_TAG:
            tag = _required(request.operation_tag, "operation_tag", "INTERRUPT_TYPE_TAG_REQUIRES_TAG")
            return lambda operation: tag in operation.tags
        case kinds.INTERRUPT_TYPE_OPERATION_ID:
            key = _required(request.operation_id, "operation_id", "INTERRUPT_TYPE_OPERATION_ID_REQUIRES_ID")
            return lambda operation: operation.operation_id == key
    name = kinds.InterruptType.Name(request.interrupt_type)
    raise spark_error("UNSUPPORTED_FEATURE.INTERRUPT_TYPE", ErrorKind.SQL, interruptType=name)


def _required(value: str, parameter: str, reason: str) -> str:
    if not value:
        raise spark_error(
            f"INVALID_PARAMETER_VALUE.{reason}", ErrorKind.SQL, parameter=parameter, functionName="interrupt"
        )
    return value
