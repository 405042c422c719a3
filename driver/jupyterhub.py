"""For a JupyterHub: each user's server starts with a SPARK_REMOTE that holds a token of the user's own.

The hub's process needs neither Ray nor Polars for it, only grpcio and protobuf (docs/jupyterhub.md).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct

_MINT = "/voltray.Tokens/Mint"
_MINT_SECONDS = 20.0
_HINTS = {
    grpc.StatusCode.UNAUTHENTICATED: "does not know the hub's token",
    grpc.StatusCode.PERMISSION_DENIED: "does not let the hub's token mint others (may_mint)",
    grpc.StatusCode.UNAVAILABLE: "cannot be reached",
    grpc.StatusCode.DEADLINE_EXCEEDED: "does not answer",
}


class NoToken(Exception):
    """A user's server cannot start: it would have no access to Voltray."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # What the hub shows to the user.
        self.jupyterhub_message = message


@dataclass(frozen=True, slots=True)
class SparkRemote:
    """A hook for ``c.Spawner.pre_spawn_hook``: asks the server for a new token at each start of a user's server."""

    address: str
    """Host and port of the Voltray server, as users' servers reach it."""
    token_file: Path
    """The hub's own token, one that may mint others; read anew each time."""
    tls: bool = True
    """PySpark sends tokens without TLS to localhost alone."""
    authority: Path | None = None
    """The certificate of the authority, at the same path for the hub and its users' servers; None for public ones."""
    seconds: float | None = None
    """How long a token is to hold; the server's ``--auth-mint-seconds`` bounds it."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> SparkRemote:
        """The hook as the VOLTRAY_HUB_ variables say."""
        authority, seconds = environment.get("VOLTRAY_HUB_AUTHORITY"), environment.get("VOLTRAY_HUB_SECONDS")
        return cls(
            address=environment.get("VOLTRAY_HUB_ADDRESS", "localhost:15002"),
            token_file=Path(environment.get("VOLTRAY_HUB_TOKEN_FILE", "hub-token")),
            tls=environment.get("VOLTRAY_HUB_TLS", "true").lower() == "true",
            authority=Path(authority) if authority else None,
            seconds=float(seconds) if seconds else None,
        )

    async def __call__(self, spawner: Any) -> None:
        """Put SPARK_REMOTE into the environment of a user's server."""
        groups = [group.name for group in spawner.user.groups]
        token = await asyncio.to_thread(self.mint, spawner.user.name, groups)
        parameters = f"use_ssl=true;token={token}" if self.tls else f"token={token}"
        spawner.environment["SPARK_REMOTE"] = f"sc://{self.address}/;{parameters}"
        if self.authority is not None:
            spawner.environment["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(self.authority)

    def mint(self, user: str, groups: list[str]) -> str:
        """A new token for a user; raises NoToken with what to tell them."""
        request = Struct()
        request.update({"user": user, "groups": groups})
        if self.seconds is not None:
            request.update({"seconds": self.seconds})
        try:
            token = self.token_file.read_text().strip()
            with self._channel() as channel:
                mint = channel.unary_unary(_MINT, Struct.SerializeToString, Struct.FromString)
                answer = mint(request, metadata=[("authorization", f"Bearer {token}")], timeout=_MINT_SECONDS)
        except grpc.RpcError as error:
            hint = _HINTS.get(error.code(), f"answers {error.code().name}: {error.details()}")
            raise NoToken(f"The Voltray server at {self.address} {hint}.") from error
        except OSError as error:
            raise NoToken(f"The hub cannot read {error.filename}.") from error
        return str(answer["token"])

    def _channel(self) -> grpc.Channel:
        if not self.tls:
            return grpc.insecure_channel(self.address)
        roots = self.authority.read_bytes() if self.authority is not None else None
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(roots))
