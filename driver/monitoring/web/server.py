"""The page's server: an event loop on a thread of its own, so that no query waits for a page."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voltray.driver.monitoring.view import Source
from voltray.driver.monitoring.visitors import Door

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger("voltray.status")

TRIES = 17
"""Ports tried one after the other, as Spark does (spark.port.maxRetries)."""
RENEW_SECONDS = 5.0
STOP_SECONDS = 5.0
StartThread = Callable[[Callable[[], None], str], threading.Thread]


@dataclass(frozen=True, slots=True)
class Tls:
    """How the page is encrypted; ``renew`` looks for new certificates."""

    context: ssl.SSLContext
    renew: Callable[[], None]


class StatusServer:
    """Serves the status page, and the metrics on a port of their own where one is given."""

    def __init__(self, source: Source, door: Door, host: str, more_hosts: str, tls: Tls | None) -> None:
        self._source = source
        self._door = door
        self._host = host
        self._more_hosts = more_hosts
        self._tls = tls
        self._page: socket.socket | None = None
        self._metrics: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    def open_page(self, port: int) -> int | None:
        """Take the page's port, or the next free one; None where none is."""
        for candidate in range(port, min(port + TRIES, 65536)):
            try:
                self._page = listen(self._host, candidate)
            except OSError as error:
                last = error
            else:
                return candidate
        logger.warning("there is no status page: no port from %d on can be had: %s", port, last)
        return None

    def open_metrics(self, port: int) -> None:
        """Take the port of the metrics; raises OSError."""
        self._metrics = listen(self._host, port)

    def start(self, start_thread: StartThread) -> None:
        """Serve what was opened. Deep plans are written as text here: the thread needs a large stack."""
        if self._page is not None or self._metrics is not None:
            self._thread = start_thread(self._run, "status-page")

    def stop(self) -> None:
        """Serve no more."""
        if self._thread is None:
            return
        self._ready.wait(STOP_SECONDS)
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            logger.exception("the status page has ended")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        # Loaded here, beside the server's own start.

        from voltray.driver.monitoring.web.application import application_of, metrics_application
        from voltray.driver.monitoring.web.guards import Guard

        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        runners: list[web.AppRunner] = []
        try:
            if self._page is not None:
                cookie = f"voltray-{self._page.getsockname()[1]}"
                guard = Guard(self._door, self._host, self._more_hosts, cookie)
                runners.append(await _site(application_of(self._source, guard), self._page, self._tls))
            if self._metrics is not None:
                runners.append(await _site(metrics_application(self._source), self._metrics, None))
            while not self._stopping.is_set():
                try:
                    await asyncio.wait_for(self._stopping.wait(), RENEW_SECONDS)
                except TimeoutError:
                    if self._tls is not None:
                        self._tls.renew()
        finally:
            for runner in runners:
                await runner.cleanup()


async def _site(application: web.Application, opened: socket.socket, tls: Tls | None) -> web.AppRunner:
    from aiohttp import web

    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    await web.SockSite(runner, opened, ssl_context=None if tls is None else tls.context).start()
    return runner


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port; raises OSError where it is taken."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
