"""The page's routes: HTML for people, JSON below /api/ for programs, both of the same view."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from voltray.driver.monitoring.metrics import METRICS_TYPE, metrics_text
from voltray.driver.monitoring.view import Choice, Source, View
from voltray.driver.monitoring.visitors import NotProved, Visitor
from voltray.driver.monitoring.web.guards import HEADERS, LOGIN_SECONDS, Guard
from voltray.driver.monitoring.web.pages import Pages
from voltray.proto.status import to_json

MOST_OPERATIONS = 1000
LARGEST_REQUEST = 64 << 10
API_HEADER = "X-Voltray"
"""Requests of the API that change something carry this header: pages of other sites cannot send it unasked."""
VISITOR = web.RequestKey("visitor", Visitor)
STATIC = Path(__file__).parent / "static"
_STATIC_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application_of(source: Source, guard: Guard) -> web.Application:
    """The whole page."""
    handlers = Handlers(source, guard)
    application = web.Application(middlewares=[_guarded(guard, handlers.pages)], client_max_size=LARGEST_REQUEST)
    application.add_routes(
        [
            web.get("/", handlers.operations),
            web.get("/operations/{number}", handlers.operation),
            web.post("/operations/{number}/cancel", handlers.cancel),
            web.get("/sessions", handlers.sessions),
            web.get("/executors", handlers.executors),
            web.post("/login", handlers.log_in),
            web.post("/logout", handlers.log_out),
            web.get("/static/{name}", static),
            web.get("/favicon.ico", favicon),
            web.get("/api/status", handlers.api_status),
            web.get("/api/operations/{number}", handlers.api_operation),
            web.post("/api/operations/{number}/cancel", handlers.api_cancel),
            web.get("/metrics", handlers.metrics),
        ]
    )
    return application


def metrics_application(source: Source) -> web.Application:
    """The metrics alone, for whoever asks."""

    async def metrics(request: web.Request) -> web.Response:
        return await _metrics(source)

    application = web.Application(client_max_size=LARGEST_REQUEST)
    application.router.add_get("/metrics", metrics)
    return application


async def _metrics(source: Source) -> web.Response:
    executors = await asyncio.to_thread(source.executors)
    return web.Response(text=metrics_text(source, executors), headers={hdrs.CONTENT_TYPE: METRICS_TYPE})


def _guarded(guard: Guard, pages: Pages) -> Any:
    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            guard.check_host(request)
            guard.check_origin(request)
            if not _is_open(request):
                request[VISITOR] = guard.visitor_of(request)
            response = await handler(request)
        except NotProved as refusal:
            response = _unauthenticated(request, pages, str(refusal))
        except web.HTTPException as told:
            response = told
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if isinstance(response, web.HTTPException):
            raise response
        return response

    return admit


def _is_open(request: web.Request) -> bool:
    """What the page that asks for a token needs itself."""
    return request.path in ("/login", "/favicon.ico") or request.path.startswith("/static/")


def _is_for_programs(request: web.Request) -> bool:
    return request.path.startswith("/api/") or request.path == "/metrics"


def _unauthenticated(request: web.Request, pages: Pages, reason: str) -> web.Response:
    headers = {hdrs.WWW_AUTHENTICATE: 'Bearer realm="voltray"'}
    if _is_for_programs(request):
        return web.json_response({"error": reason}, status=401, headers=headers)
    tried = request.path == "/login"
    return _html(pages.login(request.path, reason if tried else ""), status=401, headers=headers)


def _html(text: str, **more: Any) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8", **more)


class Handlers:
    """One method a route."""

    def __init__(self, source: Source, guard: Guard) -> None:
        self._source = source
        self._guard = guard
        self.pages = Pages(guard.form_token, guard.takes_tokens, guard.cookie)

    async def operations(self, request: web.Request) -> web.Response:
        """The list of operations."""
        page = _number(request.query.get("page", "1")) or 1
        return _html(self.pages.operations(self._view(request), _choice(request), page))

    async def operation(self, request: web.Request) -> web.Response:
        """One operation."""
        view = self._view(request)
        status = view.operation(_number(request.match_info["number"]))
        if status is None:
            return _html(self.pages.missing(view), status=404)
        return _html(self.pages.operation(view, status))

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop an operation, asked for by a form of ours."""
        form = await request.post()
        self._guard.check_form(request[VISITOR], form.get("form"))
        number = _number(request.match_info["number"])
        view = self._view(request)
        if view.cancel(number) is None:
            return _html(self.pages.missing(view), status=404)
        raise web.HTTPSeeOther(f"../{number}")

    async def sessions(self, request: web.Request) -> web.Response:
        """The sessions."""
        return _html(self.pages.sessions(self._view(request)))

    async def executors(self, request: web.Request) -> web.Response:
        """The executors."""
        states = await asyncio.to_thread(self._source.executors)
        return _html(self.pages.executors(self._view(request), states))

    async def log_in(self, request: web.Request) -> web.Response:
        """Take a token from the form, and give a cookie for it."""
        form = await request.post()
        value = self._guard.log_in(request, str(form.get("token", "")).strip())
        response = web.HTTPSeeOther("./")
        response.set_cookie(
            self._guard.cookie, value, max_age=int(LOGIN_SECONDS), path="/", httponly=True, samesite="Strict",
            secure=request.secure,
        )  # fmt: skip
        raise response

    async def log_out(self, request: web.Request) -> web.Response:
        """Forget the browser's token."""
        form = await request.post()
        self._guard.check_form(request[VISITOR], form.get("form"))
        self._guard.logins.remove(request.cookies.get(self._guard.cookie, ""))
        response = web.HTTPSeeOther("./")
        response.del_cookie(self._guard.cookie, path="/")
        raise response

    async def api_status(self, request: web.Request) -> web.Response:
        """Everything at once; ``state``, ``user``, ``session``, ``text`` and ``limit`` choose operations."""
        executors = await asyncio.to_thread(self._source.executors)
        most = min(MOST_OPERATIONS, _number(request.query.get("limit", "100")))
        return web.json_response(to_json(self._view(request).overview(executors, _choice(request), most)))

    async def api_operation(self, request: web.Request) -> web.Response:
        """One operation with its stages."""
        status = self._view(request).operation(_number(request.match_info["number"]))
        if status is None:
            return web.json_response({"error": "There is no such operation."}, status=404)
        return web.json_response(to_json(status))

    async def api_cancel(self, request: web.Request) -> web.Response:
        """Stop an operation, asked for by a program."""
        if API_HEADER not in request.headers:
            return web.json_response({"error": f"The header {API_HEADER} is missing."}, status=403)
        cancelled = self._view(request).cancel(_number(request.match_info["number"]))
        if cancelled is None:
            return web.json_response({"error": "There is no such operation."}, status=404)
        return web.json_response({"cancelled": cancelled})

    async def metrics(self, request: web.Request) -> web.Response:
        """The metrics, for whoever has proved who they are."""
        return await _metrics(self._source)

    def _view(self, request: web.Request) -> View:
        return View(self._source, request[VISITOR])


def _choice(request: web.Request) -> Choice:
    asked = {name: request.query.get(name, "").strip() for name in ("state", "user", "session", "text")}
    return Choice(**asked)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


async def static(request: web.Request) -> web.Response:
    """A file of the page."""
    path = STATIC / request.match_info["name"]
    if path.parent != STATIC or path.suffix not in _STATIC_TYPES or not path.is_file():
        raise web.HTTPNotFound
    headers = {"Cache-Control": "max-age=300"}
    return web.Response(
        body=path.read_bytes(), content_type=_STATIC_TYPES[path.suffix], charset="utf-8", headers=headers
    )


async def favicon(request: web.Request) -> web.Response:
    """Browsers ask for it unasked."""
    return web.Response(status=204)
