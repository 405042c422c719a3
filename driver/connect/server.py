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
from voltray.driver.connect.service import Call, SparkConnectService, key_of
from voltray.driver.connect.session import Session
from voltray.driver.connect.sessions import ServerStopping, Sessions
from voltray.driver.connect.threads import DeepThreads, allow_deep_recursion, start_deep_thread
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
    ) -> None:
        self._server = server
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
            self._sessions.stop()
            self._threads.shutdown()
            self._backend.stop()

    def _wait_for_operations(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for operation in self._running():
            operation.finished.wait(max(0.0, deadline - time.monotonic()))

    def _running(self) -> list[Any]:
        return [o for s in self._sessions.all() for o in s.operations.running()]


def start_server(settings: Settings, backend: Backend | None = None) -> RunningServer:
    """Bind the port, start what runs the queries, and serve."""
    allow_deep_recursion()
    _allow_deep_messages()
    threads = DeepThreads("connect")
    server = grpc.server(threads, options=_options(settings), maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS)
    port = _bind(server, settings)
    backend = backend or start_backend(settings)
    backend.port = port
    try:
        sessions = Sessions(lambda key: Session(key, backend), settings.session_idle_timeout)
        service = SparkConnectService(sessions, threads)
        server.add_generic_rpc_handlers((_handlers(service, sessions),))
        server.start()
    except BaseException:
        backend.stop()
        raise
    start_deep_thread(sessions.maintain, "connect-maintenance")
    return RunningServer(server, settings.host, port, sessions, backend, threads)


def _allow_deep_messages() -> None:
    # Without this upb refuses messages nested over 100 deep, which is 50 chained DataFrame calls.
    from google._upb import _message

    _message.SetAllowOversizeProtos(True)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a lottery
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _bind(server: grpc.Server, settings: Settings) -> int:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.port}"
    try:
        port = int(server.add_insecure_port(address))
    except RuntimeError:
        port = 0
    if not port:
        raise SystemExit(f"voltray: cannot listen on {address}: the address is taken or not this machine's")
    return port


def _handlers(service: SparkConnectService, sessions: Sessions) -> grpc.GenericRpcHandler:
    methods: dict[str, grpc.RpcMethodHandler] = {}
    for name, request_class in UNARY.items():
        methods[name] = grpc.unary_unary_rpc_method_handler(_unary(getattr(service, name), request_class, sessions))
    for name, request_class in STREAMED_RESPONSES.items():
        behavior = _streamed_response(getattr(service, name), request_class, sessions)
        methods[name] = grpc.unary_stream_rpc_method_handler(behavior)
    for name, request_class in STREAMED_REQUESTS.items():
        upload = _streamed_request(getattr(service, name), request_class, sessions)
        methods[name] = grpc.stream_unary_rpc_method_handler(upload)
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _unary(
    method: Callable[..., Any], request_class: Any, sessions: Sessions
) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        request = None
        try:
            request = _parse(request_class, data)
            return bytes(method(request, Call(context)).SerializeToString())
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told
            _abort(context, failure, request, sessions)

    return answer


def _streamed_response(
    method: Callable[..., Any], request_class: Any, sessions: Sessions
) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
    def answer(data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        request = None
        try:
            request = _parse(request_class, data)
            yield from method(request, Call(context))
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told
            _abort(context, failure, request, sessions)

    return answer


def _streamed_request(
    method: Callable[..., Any], request_class: Any, sessions: Sessions
) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
    def answer(stream: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        seen: list[Any] = []

        def requests() -> Iterator[Any]:
            for data in stream:
                request = _parse(request_class, data)
                if not seen:
                    seen.append(request)
                yield request

        try:
            return bytes(method(requests(), Call(context)).SerializeToString())
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told
            _abort(context, failure, seen[0] if seen else None, sessions)

    return answer


def _parse(request_class: Any, data: bytes) -> Any:
    try:
        return request_class.FromString(data)
    except DecodeError as failure:
        raise cannot_parse(str(failure)) from None


def _abort(context: grpc.ServicerContext, failure: BaseException, request: Any, sessions: Sessions) -> NoReturn:
    """End the call with the failure; its details are kept where there is a session to ask for them."""
    if isinstance(failure, ServerStopping):
        context.abort(grpc.StatusCode.UNAVAILABLE, "The server is stopping.")
    told = failure_of(failure)
    session = None if request is None else sessions.find(key_of(request))
    error_id = None if session is None else session.errors.keep(told)
    if not isinstance(failure, SparkError):
        logger.debug("call ended with %s", told.condition)
    context.abort_with_status(rpc_status.to_status(status_of(told, error_id)))
    raise AssertionError("abort_with_status returned")
