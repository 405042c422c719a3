"""What is served beside Spark's service: health, reflection, minting of tokens, and a word to all other calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from voltray.driver.connect.security.authentication import Authentication

logger = logging.getLogger("voltray.security")

HEALTH = "grpc.health.v1.Health"
TOKENS = "voltray.Tokens"
LONGEST_NAME = 256
Status = health_pb2.HealthCheckResponse


class Health:
    """Whether the server takes work."""

    def __init__(self, services: frozenset[str], is_serving: Callable[[], bool]) -> None:
        self._services = services | {"", HEALTH}
        self._is_serving = is_serving

    def check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer for the server ("") or one service."""
        if request.service not in self._services:
            context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return Status(status=Status.SERVING if self._is_serving() else Status.NOT_SERVING)


class ServerReflection(reflection.ReflectionServicer):
    """What the server serves, for tools such as grpcurl."""


def unary(
    parse: Callable[[bytes], Any],
    answer: Callable[[Any, grpc.ServicerContext], Any],
    authentication: Authentication | None,
) -> grpc.RpcMethodHandler:
    """A call of one request and one response. The request is read only once it is known who calls."""

    def behavior(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        if authentication is not None:
            authentication.of_call(context)
        try:
            request = parse(next(requests, b""))
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request cannot be read.")
        return bytes(answer(request, context).SerializeToString())

    return grpc.stream_unary_rpc_method_handler(behavior)


def health_handlers(health: Health, authentication: Authentication | None) -> grpc.GenericRpcHandler:
    """The health service; ``Watch`` is not served, which its clients take for 'ask again later'."""
    check = unary(health_pb2.HealthCheckRequest.FromString, health.check, authentication)
    return grpc.method_handlers_generic_handler(HEALTH, {"Check": check})


def reflection_handlers(services: frozenset[str], authentication: Authentication) -> grpc.GenericRpcHandler:
    """The reflection service."""
    servicer = ServerReflection((*services, HEALTH, reflection.SERVICE_NAME))

    def behavior(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        authentication.of_call(context)
        yield from servicer.ServerReflectionInfo(requests, context)

    handler = grpc.stream_stream_rpc_method_handler(
        behavior,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, {"ServerReflectionInfo": handler})


def token_handlers(authentication: Authentication) -> grpc.GenericRpcHandler:
    """Minting: a service whose token says ``may_mint`` gets short-lived tokens for its users."""

    def mint(request: Any, context: grpc.ServicerContext) -> Any:
        identity = authentication.of_call(context)
        if identity is None or authentication.minted is None or not identity.may_mint:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "This token does not mint others.")
        assert identity is not None and authentication.minted is not None
        user, groups, seconds = _wanted(request, context)
        token, expires = authentication.minted.mint(user, groups, seconds)
        logger.info("%s minted a token for %r", identity.user, user)
        response = Struct()
        response.update({"token": token, "expires": expires})
        return response

    return grpc.method_handlers_generic_handler(TOKENS, {"Mint": unary(Struct.FromString, mint, authentication)})


def _wanted(request: Any, context: grpc.ServicerContext) -> tuple[str, frozenset[str], float | None]:
    fields = dict(request)
    user, seconds = fields.get("user"), fields.get("seconds")
    groups = list(fields["groups"]) if "groups" in fields else []
    names = [user, *groups]
    if not all(isinstance(n, str) and 0 < len(n) <= LONGEST_NAME and n.isprintable() for n in names):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "user must be a name, and groups a list of names.")
    if seconds is not None and not (isinstance(seconds, float) and 1 <= seconds < float("inf")):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "seconds must be a number, one or more.")
    return str(user), frozenset(groups), seconds


class Unknown(grpc.GenericRpcHandler):
    """Every other call: whoever does not say who they are learns nothing, not even what there is."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Refuse the call."""

        def behavior(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            self._authentication.of_call(context)
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method here.")
            yield b""

        return grpc.stream_stream_rpc_method_handler(behavior)


def bind_health_server(host: str, port: int, threads: Executor, options: list[tuple[str, int]]) -> grpc.Server | None:
    """Take the port that serves health alone, to probes that have no token; None where port 0 opens none."""
    if not port:
        return None
    server = grpc.server(threads, options=options)
    shown = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{shown}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise SystemExit(f"voltray: cannot listen on {shown}:{port}: the address is taken or not this machine's")
    return server


__all__ = [
    "HEALTH", "TOKENS", "Health", "Unknown", "health_handlers", "reflection_handlers",
    "bind_health_server", "token_handlers",
]  # fmt: skip
