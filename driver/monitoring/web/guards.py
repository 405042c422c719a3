"""What keeps strangers out of the page: who asks, under which host name, and from which page a request comes."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import threading
import time
from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from voltray.driver.monitoring.visitors import Door, NotProved, Request, Visitor

LOGIN_SECONDS = 12 * 3600.0
KEPT_LOGINS = 1000
SAFE_METHODS = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "Voltray",
}


class Logins:
    """Tokens that browsers gave in a form, by the cookie that they got for it; a token is proved at each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def add(self, token: str) -> str:
        """Keep a token; the cookie's value."""
        value = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens[_digest(value)] = (token, time.monotonic() + LOGIN_SECONDS)
            while len(self._tokens) > KEPT_LOGINS:
                self._tokens.popitem(last=False)
        return value

    def token_of(self, value: str) -> str | None:
        """The token behind a cookie, while it holds."""
        token, until = self._tokens.get(_digest(value), (None, 0.0))
        return token if time.monotonic() < until else None

    def remove(self, value: str) -> None:
        """Forget a cookie."""
        with self._lock:
            self._tokens.pop(_digest(value), None)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class Guard:
    """Lets requests in."""

    def __init__(self, door: Door, host: str, more_hosts: str, cookie: str) -> None:
        self._door = door
        self.logins = Logins()
        self.cookie = cookie
        self._key = secrets.token_bytes(32)
        self._listed = frozenset(name.strip().lower() for name in more_hosts.split(",")) - {""}
        self._hosts = self._listed | {"localhost", host.lower(), socket.gethostname().lower()}

    @property
    def takes_tokens(self) -> bool:
        """Whether a form asks for a token."""
        return self._door.takes_tokens

    def visitor_of(self, request: web.Request) -> Visitor:
        """Who asks; raises NotProved."""
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            # One header twice is one that someone has put in before the proxy did: no value can be trusted.
            headers[name.lower()] = "" if name.lower() in headers else value
        if "authorization" not in headers and (token := self._token_of_cookie(request)):
            headers["authorization"] = f"Bearer {token}"
        return self._door.enter(Request(headers, request.remote or "", certificate_names(request)))

    def log_in(self, request: web.Request, token: str) -> str:
        """Prove a token from the form; the cookie's value. Raises NotProved."""
        if not token or not token.isprintable():
            raise NotProved("The token is not known.")
        self._door.enter(Request({"authorization": f"Bearer {token}"}, request.remote or ""))
        return self.logins.add(token)

    def check_host(self, request: web.Request) -> None:
        """Where nobody is asked for a proof: refuse names that some page elsewhere may have pointed to this machine."""
        if self._door.asks_for_proof:
            return
        name = urlsplit(f"//{request.host}").hostname or ""
        if name in self._hosts or name.endswith(".localhost") or _is_address(name):
            return
        text = "This server is not asked for under that name; --ui-hosts lists more names.\n"
        raise web.HTTPMisdirectedRequest(text=text)

    def check_origin(self, request: web.Request) -> None:
        """Refuse what a page of another site sends."""
        if request.method in SAFE_METHODS:
            return
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site not in ("same-origin", "none") or (origin is not None and not self._is_own(request, origin)):
            raise web.HTTPForbidden(text="This request comes from a page of another site.\n")

    def form_token(self, visitor: Visitor) -> str:
        """What a form of ours carries: no other site can know it."""
        return hmac.new(self._key, visitor.user.encode(), hashlib.sha256).hexdigest()

    def check_form(self, visitor: Visitor, token: Any) -> None:
        """Refuse a form that is not ours."""
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(), self.form_token(visitor).encode()):
            raise web.HTTPForbidden(text="This form is not of this server, or of before its start. Load it anew.\n")

    def _token_of_cookie(self, request: web.Request) -> str | None:
        value = request.cookies.get(self.cookie)
        return None if value is None else self.logins.token_of(value)

    def _is_own(self, request: web.Request, origin: str) -> bool:
        parts = urlsplit(origin)
        # Behind a proxy the browser's name for the page may be one that only --ui-hosts knows.
        return parts.netloc.lower() == request.host.lower() or (parts.hostname or "") in self._listed


def certificate_names(request: web.Request) -> tuple[str, ...]:
    """The common names of the client's certificate, which the transport has checked."""
    certificate = request.get_extra_info("peercert") or {}
    return tuple([v for parts in certificate.get("subject", ()) for key, v in parts if key == "commonName"])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
