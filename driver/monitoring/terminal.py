"""`voltray status`: the status page's content in a terminal."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from voltray.driver.monitoring.web.formats import count_text, first_line, seconds_text, size_text
from voltray.proto.status import ExecutorStatus, OperationStatus, Overview, overview_from_json

DEFAULT_PORT = 4040
ANSWER_SECONDS = 10.0
LARGEST_ANSWER = 64 << 20
_COLOURS = {"queued": "yellow", "running": "blue", "finished": "green", "failed": "red", "cancelled": "dim"}


class StatusError(Exception):
    """The server's status cannot be had; the text says why."""


def page_of_remote(remote: str) -> tuple[str, str | None]:
    """The status page beside a ``sc://`` address, on its usual port, and the token that the address carries."""
    if not remote.startswith("sc://"):
        raise StatusError(f"{remote} is no sc:// address")
    parts = urlsplit("//" + remote.removeprefix("sc://").split("/;")[0].rstrip("/"))
    options = dict(o.split("=", 1) for o in remote.partition("/;")[2].split(";") if "=" in o)
    scheme = "https" if options.get("use_ssl", "").lower() == "true" else "http"
    host = parts.hostname or "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{DEFAULT_PORT}", options.get("token")


def fetch(url: str, token: str | None, ca: str | None, most: int) -> dict[str, Any]:
    """The status API's answer; raises StatusError."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise StatusError(f"{url} is no http:// or https:// address")
    request = urllib.request.Request(f"{url.rstrip('/')}/api/status?limit={most}")
    if token:
        # Not sent on where the answer leads elsewhere.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    context = ssl.create_default_context(cafile=ca) if url.startswith("https://") else None
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS, context=context) as answer:
            found: dict[str, Any] = json.loads(answer.read(LARGEST_ANSWER))
    except urllib.error.HTTPError as error:
        raise StatusError(f"{url} answered {error.code}: {_reason(error)}") from None
    except (OSError, ValueError) as error:
        raise StatusError(f"{url} cannot be asked: {error}") from None
    return found


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read(2000).decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or error.reason


def overview_text(overview: Overview) -> RenderableType:
    """All of a status, to be printed."""
    server = overview.server
    head = Text.assemble(
        ("Voltray ", "bold"),
        f"{server.version} on {server.address}, up {seconds_text(server.now - server.started)}, ",
        f"driver {size_text(server.memory_used)}, {len(overview.sessions)} sessions, {server.queue_length} queued",
    )
    return Group(
        head, Text(), _operations(overview.operations, server.now), Text(), _executors(overview.executors)
    )


def _operations(operations: tuple[OperationStatus, ...], now: float) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("User", no_wrap=True, max_width=16)
    table.add_column("Took", justify="right", no_wrap=True)
    table.add_column("Tasks", justify="right", no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    table.add_column("Statement", ratio=1, no_wrap=True, overflow="ellipsis")
    for operation in operations:
        statement = first_line(operation.statement, 400)
        if operation.condition and operation.state == "failed":
            statement = f"{operation.condition}: {statement}"
        table.add_row(
            str(operation.number),
            Text(operation.state, _COLOURS.get(operation.state, "")),
            Text(_plain(operation.user)),
            seconds_text((operation.ended or now) - operation.began),
            f"{operation.tasks_done}/{operation.tasks}" if operation.tasks else "–",
            count_text(operation.rows),
            Text(_plain(statement)),
        )
    return table if operations else Text("No operations.", "dim")


def _executors(executors: tuple[ExecutorStatus, ...]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("Executor", "State", "Node", "Tasks", "Memory", "Python workers"):
        table.add_column(name, justify="right" if name in ("Executor", "Tasks", "Memory") else "left", no_wrap=True)
    for executor in executors:
        table.add_row(
            str(executor.index),
            Text("up", "green") if executor.is_up else Text("starting", "red"),
            Text(_plain(executor.node)),
            f"{executor.running_tasks}/{executor.slots}",
            f"{size_text(executor.memory_used)} of {size_text(executor.memory_budget)}",
            count_text(executor.python_workers),
        )
    return table


def _plain(text: str) -> str:
    """Text without control characters: a statement must not move the terminal's cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@click.command("status")
@click.option("--url", help=f"The status page. [default: http://localhost:{DEFAULT_PORT}]")
@click.option("--remote", help="A sc:// address instead: its host, token and encryption, and the page's usual port.")
@click.option("--token", envvar="SPARK_CONNECT_AUTHENTICATE_TOKEN", help="Token of who asks.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="PEM file of an authority of your own.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Operations shown.")
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.2), help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Print once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer, once.")
def status(
    url: str | None,
    remote: str | None,
    token: str | None,
    ca: str | None,
    limit: int,
    interval: float,
    once: bool,
    as_json: bool,
) -> None:
    """Show what a running server does: its operations and executors (docs/monitoring.md)."""
    try:
        if url is None:
            url, carried = page_of_remote(remote) if remote else (f"http://localhost:{DEFAULT_PORT}", None)
            token = token or carried
        answer = fetch(url, token, ca, limit)
        if as_json:
            click.echo(json.dumps(answer, indent=2))
            return
        console = Console(highlight=False)
        if once:
            console.print(overview_text(overview_from_json(answer)))
            return
        _watch(console, url, token, ca, limit, interval, answer)
    except StatusError as error:
        raise click.ClickException(str(error)) from None


def _watch(
    console: Console, url: str, token: str | None, ca: str | None, limit: int, interval: float, first: dict[str, Any]
) -> None:
    shown = overview_text(overview_from_json(first))
    try:
        with Live(shown, console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                try:
                    shown = overview_text(overview_from_json(fetch(url, token, ca, limit)))
                    live.update(shown, refresh=True)
                except StatusError as error:
                    live.update(Group(shown, Text(), Text(str(error), "red")), refresh=True)
    except KeyboardInterrupt:
        return
