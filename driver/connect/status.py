"""The server's state as the status page reads it, and the page's start beside the gRPC server."""

from __future__ import annotations

import ssl
import time
from collections import Counter
from typing import TYPE_CHECKING

import voltray
from voltray.driver.connect.analyze.facts import SPARK_VERSION
from voltray.driver.connect.security.visitors import Visitors
from voltray.driver.connect.threads import start_deep_thread
from voltray.driver.monitoring.monitor import Monitor
from voltray.driver.monitoring.process import resident_bytes
from voltray.driver.monitoring.web.server import StatusServer, Tls
from voltray.proto.status import ENDED, ExecutorStatus, ServerStatus, SessionStatus

if TYPE_CHECKING:
    from voltray.driver.connect.backend import Backend
    from voltray.driver.connect.security.transport import Certificates
    from voltray.driver.connect.session import Session
    from voltray.driver.connect.sessions import Sessions


class ServerState:
    """What the page shows (``driver.monitoring.view.Source``)."""

    def __init__(self, backend: Backend, sessions: Sessions) -> None:
        self._backend = backend
        self._sessions = sessions

    @property
    def monitor(self) -> Monitor:
        """The notes of operations."""
        return self._backend.monitor

    def server(self) -> ServerStatus:
        """The server itself."""
        settings = self._backend.settings
        return ServerStatus(
            version=voltray.__version__,
            spark_version=SPARK_VERSION,
            started=self.monitor.started,
            now=time.time(),
            address=f"sc://{settings.host}:{self._backend.port}",
            queue_length=self._backend.admission.queued(),
            memory_used=resident_bytes(),
        )

    def sessions(self) -> tuple[SessionStatus, ...]:
        """All open sessions."""
        ended: Counter[tuple[str, str]] = Counter()
        running: Counter[tuple[str, str]] = Counter()
        for notes in self.monitor.operations():
            (ended if notes.state in ENDED else running)[notes.user, notes.session_id] += 1
        keyed = [((s.user, s.key.session_id), s) for s in self._sessions.all()]
        return tuple([_session_status(session, running[key], ended[key]) for key, session in keyed])

    def executors(self) -> tuple[ExecutorStatus, ...]:
        """The executors; blocks while they are asked."""
        return self._backend.scheduler.executor_states()


def _session_status(session: Session, running: int, ended: int) -> SessionStatus:
    return SessionStatus(
        session_id=session.key.session_id,
        user=session.user,
        started=session.started,
        last_used=time.time() - (time.monotonic() - session.last_used),
        operations_running=running,
        operations_ended=ended,
        streams=len(session.streams.active()),
    )


def open_status_server(backend: Backend, sessions: Sessions) -> tuple[StatusServer, str | None]:
    """Take the ports of the status page and of the metrics, and serve; the page's address where there is one.

    Ends the process where the port of the metrics cannot be had: whoever set it counts on it.
    """
    settings, certificates = backend.settings, backend.security.certificates
    tls = None if certificates is None else tls_of(certificates)
    server = StatusServer(
        ServerState(backend, sessions), Visitors(backend.security), settings.host, settings.ui_hosts, tls
    )
    port = server.open_page(settings.ui_port) if settings.ui_port else None
    if settings.metrics_port:
        try:
            server.open_metrics(settings.metrics_port)
        except OSError as error:
            raise SystemExit(f"voltray: cannot listen on {settings.host}:{settings.metrics_port}: {error}") from None
    server.start(start_deep_thread)
    if port is None:
        return server, None
    shown = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "localhost"}.get(settings.host, settings.host)
    scheme = "http" if tls is None else "https"
    return server, f"{scheme}://[{shown}]:{port}" if ":" in shown else f"{scheme}://{shown}:{port}"


def tls_of(certificates: Certificates) -> Tls:
    """The page's encryption, by the same certificates as the gRPC port's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return Tls(context, certificates.keep(context))
