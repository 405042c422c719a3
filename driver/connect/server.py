"""The gRPC server: bytes in, bytes out, every call on a thread with a large stack."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status
from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.backend import Backend, start_backend
from voltray.driver.connect.errors import cannot_parse, failure_of, status_of
from voltray.driver.connect.security import services
from voltray.driver.connect.security.authentication import Authentication
from voltray.driver.connect.security.identity import Identity
from voltray.driver.connect.security.security import Security, security_of
from voltray.driver.connect.security.transport import bind, bind_own, channel_options
from voltray.driver.connect.service import Call, SparkConnectService, key_of
from voltray.driver.connect.session import Session
from voltray.driver.connect.sessions import ServerStopping, Sessions
from voltray.driver.connect.status import open_status_server
from voltray.driver.connect.threads import DeepThreads, allow_deep_recursion, start_deep_thread
from voltray.driver.monitoring.traces import traces_of
from voltray.driver.monitoring.web.server import StatusServer
from voltray.driver.settings import Settings
from voltray.proto.failures import SparkError

logger = logging.getLogger("voltray.connect")

SERVICE = "spark.connect.SparkConnectService"
MAX_CONCURRENT_CALLS = 2000
FAREWELL_SECONDS = 1.5

UNARY: dict[str, Any] = {
    "AnalyzePlan": base_pb2.AnalyzePlanRequest,
    "Config": base_pb2.ConfigRequest,
    "ArtifactStatus": base_pb2.ArtifactStatusesRequest,
    "Interrupt": base_pb2.InterruptRequest,
    "ReleaseExecute": base_pb2.ReleaseExecuteRequest,
    "ReleaseSession": base_pb2.ReleaseSessionRequest,
    "FetchErrorDetails": base_pb2.FetchErrorDetailsRequest,
    "CloneSession": base_pb2.CloneSessionRequest,
}
STREAMED_RESPONSES: dict[str, Any] = {
    "ExecutePlan": base_pb2.ExecutePlanRequest,
    "ReattachExecute": base_pb2.ReattachExecuteRequest,
}
STREAMED_REQUESTS: dict[str, Any] = {"AddArtifacts": base_pb2.AddArtifactsRequest}


class RunningServer:
    """A server that listens."""

    def __init__(
        self,
        server: grpc.Server,
        host: str,
        port: int,
        sessions: Sessions,
        backend: Backend,
        threads: DeepThreads,
        health_server: grpc.Server | None = None,
        page: tuple[StatusServer, str | None] | None = None,
    ) -> None:
        self._server = server
        self._page = None if page is None else page[0]
        self.page_address = None if page is None else page[1]
        """Where the status page is, if it is."""
        self._health_server = health_server
        self._sessions = sessions
        self._backend = backend
        self._threads = threads
        self._stopping = threading.Lock()
        self._stopped = False
        self.port = port
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.address = f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"

    def wait(self) -> None:
        """Block until the server has stopped."""
        self._server.wait_for_termination()

    def stop(self, grace: float | None = None) -> None:
        """Take no more calls; running queries get ``grace`` seconds to finish, and are then told."""
        with self._stopping:
            if self._stopped:
                return
            self._stopped = True
            self._sessions.refuse_work()
            self._wait_for_operations(grace or 0.0)
            told = [o for o in self._running() if o.cancel("The server is stopping.")]
            if told:
                # Clients hear of it, and ask for the details, while there is still someone to answer.
                self._wait_for_operations(FAREWELL_SECONDS)
                time.sleep(FAREWELL_SECONDS)
            self._server.stop(FAREWELL_SECONDS).wait(2 * FAREWELL_SECONDS)
            if self._health_server is not None:
                self._health_server.stop(0)
            if self._page is not None:
                self._page.stop()
            self._sessions.stop()
            self._threads.shutdown()
            if self._backend.monitor.traces is not None:
                self._backend.monitor.traces.stop()
            self._backend.stop()

    def _wait_for_operations(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for operation in self._running():
            operation.finished.wait(max(0.0, deadline - time.monotonic()))

    def _running(self) -> list[Any]:
        return [o for s in self._sessions.all() for o in s.operations.running()]


def start_server(settings: Settings, backend: Backend | None = None) -> RunningServer:
    """Bind the port, start what runs the queries, and serve."""
    security, traces = security_of(settings), traces_of(settings.otel_endpoint)
    allow_deep_recursion()
    _allow_deep_messages()
    threads = DeepThreads("connect")
    options = channel_options(settings)
    server = grpc.server(threads, options=options, maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS)
    port = bind(server, settings, security.certificates)
    if security.needs_own_address:
        security.own_address = f"localhost:{bind_own(server)}"
    health_server = services.bind_health_server(settings.host, settings.health_port, threads, options)
    backend = backend or start_backend(settings)
    backend.port, backend.security = port, security
    backend.monitor.traces = traces
    try:
        sessions = Sessions(lambda key: Session(key, backend), settings.session_idle_timeout)
        health = services.Health(frozenset((SERVICE,)), sessions.takes_work)
        service = SparkConnectService(sessions, threads)
        spark = _handlers(service, sessions, security.authentication)
        server.add_generic_rpc_handlers((spark, *_other_handlers(security, health)))
        server.start()
        if health_server is not None:
            health_server.add_generic_rpc_handlers((services.health_handlers(health, None),))
            health_server.start()
        page = open_status_server(backend, sessions)
    except BaseException:
        backend.stop()
        raise
    start_deep_thread(sessions.maintain, "connect-maintenance")
    return RunningServer(server, settings.host, port, sessions, backend, threads, health_server, page)


def _other_handlers(security: Security, health: services.Health) -> tuple[grpc.GenericRpcHandler, ...]:
    authentication = security.authentication
    return (
        services.health_handlers(health, authentication),
        services.reflection_handlers(frozenset((SERVICE,)), authentication),
        services.token_handlers(authentication),
        services.Unknown(authentication),
    )


def _allow_deep_messages() -> None:
    # Without this upb refuses messages nested over 100 deep, which is 50 chained DataFrame calls.
    from google._upb import _message

    _message.SetAllowOversizeProtos(True)


def _handlers(
    service: SparkConnectService, sessions: Sessions, authentication: Authentication
) -> grpc.GenericRpcHandler:
    """One handler a call. To gRPC all requests are streams: nothing is read before it is known who calls."""
    methods: dict[str, grpc.RpcMethodHandler] = {}
    for name, request_class in UNARY.items():
        door = Door(request_class, sessions, authentication)
        methods[name] = grpc.stream_unary_rpc_method_handler(_unary(getattr(service, name), door))
    for name, request_class in STREAMED_RESPONSES.items():
        door = Door(request_class, sessions, authentication)
        methods[name] = grpc.stream_stream_rpc_method_handler(_streamed_response(getattr(service, name), door))
    for name, request_class in STREAMED_REQUESTS.items():
        door = Door(request_class, sessions, authentication)
        methods[name] = grpc.stream_unary_rpc_method_handler(_streamed_request(getattr(service, name), door))
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _unary(method: Callable[..., Any], door: Door) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
    def answer(stream: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        identity = door.enter(context)
        request = None
        try:
            request = door.read(next(stream, b""), identity)
            return bytes(method(request, Call(context, identity)).SerializeToString())
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told
            door.abort(context, failure, request)

    return answer


def _streamed_response(
    method: Callable[..., Any], door: Door
) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]:
    def answer(stream: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        identity = door.enter(context)
        request = None
        try:
            request = door.read(next(stream, b""), identity)
            yield from method(request, Call(context, identity))
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told
            door.abort(context, failure, request)

    return answer


def _streamed_request(
    method: Callable[..., Any], door: Door
) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
    def answer(stream: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        identity = door.enter(context)
        seen: list[Any] = []

        def requests() -> Iterator[Any]:
            for data in stream:
                request = door.read(data, identity)
                if not seen:
                    seen.append(request)
                yield request

        try:
            return bytes(method(requests(), Call(context, identity)).SerializeToString())
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told
            door.abort(context, failure, seen[0] if seen else None)

    return answer


class Door:
    """The way into one call: who comes, what they ask, and how they are told of a failure."""

    def __init__(self, request_class: Any, sessions: Sessions, authentication: Authentication) -> None:
        self._request_class = request_class
        self._sessions = sessions
        self._authentication = authentication

    def enter(self, context: grpc.ServicerContext) -> Identity | None:
        """Who calls; ends the call where that is not proved."""
        return self._authentication.of_call(context)

    def read(self, data: bytes, identity: Identity | None) -> Any:
        """A request, in which the proved name replaces the one that the client gave."""
        request = _parse(self._request_class, data)
        if identity is not None:
            request.user_context.user_id = identity.user
            if identity.session_id not in (None, request.session_id):
                raise WrongSession
        return request

    def abort(self, context: grpc.ServicerContext, failure: BaseException, request: Any) -> NoReturn:
        """End the call with the failure; its details are kept where there is a session to ask for them."""
        if isinstance(failure, ServerStopping):
            context.abort(grpc.StatusCode.UNAVAILABLE, "The server is stopping.")
        if isinstance(failure, WrongSession):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "The token is for another session.")
        told = failure_of(failure)
        session = None if request is None else self._sessions.find(key_of(request))
        # PySpark closes itself on this condition, and would hide it behind its own error when asking for details.
        if told.condition == "INVALID_HANDLE.SESSION_CHANGED":
            session = None
        error_id = None if session is None else session.errors.keep(told)
        if not isinstance(failure, SparkError):
            logger.debug("call ended with %s", told.condition)
        context.abort_with_status(rpc_status.to_status(status_of(told, error_id)))
        raise AssertionError("abort_with_status returned")


class WrongSession(Exception):
    """A token that is bound to one session came for another."""


def _parse(request_class: Any, data: bytes) -> Any:
    try:
        return request_class.FromString(data)
    except DecodeError as failure:
        raise cannot_parse(str(failure)) from None
