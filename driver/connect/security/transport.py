"""The ports that the server listens on: TLS with certificates read anew as they are renewed, limits, keep-alive."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from voltray.driver.settings import SettingError, Settings

logger = logging.getLogger("voltray.security")

LOOK_SECONDS = 1.0
KEEPALIVE_MILLISECONDS = 60_000
KEEPALIVE_ANSWER_MILLISECONDS = 20_000
METADATA_BYTES = 64 << 10
MAX_STREAMS = 1_000


class Certificates:
    """The server's certificate, its key and the clients' authority, as their files have them."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._paths = (certificate, key) if client_ca is None else (certificate, key, client_ca)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._content = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that change with the files."""
        first = _configuration(self._content)
        return grpc.dynamic_ssl_server_credentials(first, self._renewed, len(self._paths) > 2)

    def keep(self, context: ssl.SSLContext) -> Callable[[], None]:
        """Give a context the certificate and the clients' authority; the answer gives it new ones once there are."""
        self._load(context)
        loaded = self._content

        def renew() -> None:
            nonlocal loaded
            try:
                content = self._read()
                if content != loaded:
                    self._load(context)
                    loaded = content
            except (OSError, ValueError) as error:
                logger.error("the certificate cannot be read anew, the one of before stays in use: %s", error)

        return renew

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self._paths[0], self._paths[1])
        if len(self._paths) > 2:
            context.load_verify_locations(self._paths[2])
            context.verify_mode = ssl.CERT_REQUIRED

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What new connections get, or None where nothing has changed; asked at each handshake."""
        with self._lock:
            if time.monotonic() - self._looked < LOOK_SECONDS:
                return None
            self._looked = time.monotonic()
            try:
                content = self._read()
            except (OSError, ValueError) as error:
                # Certificate and key are two files: between the two writes they do not fit each other.
                logger.error("the certificate cannot be read anew, the one of before stays in use: %s", error)
                return None
            if content == self._content:
                return None
            self._content = content
        logger.info("read the certificate %s anew", self._paths[0])
        return _configuration(content)

    def _read(self) -> tuple[bytes, ...]:
        content = tuple([path.read_bytes() for path in self._paths])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._paths[0], self._paths[1])
            if len(self._paths) > 2:
                context.load_verify_locations(self._paths[2])
        except ssl.SSLError as error:
            raise ValueError(f"{', '.join(map(str, self._paths))}: {error.reason or error}") from None
        return content


def _configuration(content: tuple[bytes, ...]) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        ((content[1], content[0]),), root_certificates=content[2] if len(content) > 2 else None
    )


def certificates_of(settings: Settings) -> Certificates | None:
    """The certificates that the settings name, if they name any."""
    if not settings.tls_certificate:
        for name in ("tls_key", "tls_client_ca"):
            if getattr(settings, name):
                raise SettingError(f"{name}: needs tls_certificate beside it")
        return None
    if not settings.tls_key:
        raise SettingError("tls_key: needed beside tls_certificate")
    places = [Path(p).expanduser() for p in (settings.tls_certificate, settings.tls_key)]
    authority = Path(settings.tls_client_ca).expanduser() if settings.tls_client_ca else None
    try:
        return Certificates(places[0], places[1], authority)
    except (OSError, ValueError) as error:
        raise SettingError(f"tls_certificate: {error}") from None


def channel_options(settings: Settings) -> list[tuple[str, int]]:
    """The limits of a connection."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a lottery
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients that vanished without a word are found out, and their calls end.
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_ANSWER_MILLISECONDS),
    ]


def bind(server: grpc.Server, settings: Settings, certificates: Certificates | None) -> int:
    """Take the port; ends the process where it cannot be had."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.port}"
    try:
        if certificates is None:
            port = int(server.add_insecure_port(address))
        else:
            port = int(server.add_secure_port(address, certificates.credentials()))
    except RuntimeError:
        port = 0
    if not port:
        raise SystemExit(f"voltray: cannot listen on {address}: the address is taken or not this machine's")
    return port


def bind_own(server: grpc.Server) -> int:
    """Take a port of this machine for processes of our own, which have no certificate to check."""
    port = int(server.add_insecure_port("127.0.0.1:0"))
    if not port:
        raise SystemExit("voltray: no port of 127.0.0.1 can be had")
    return port
