"""All sessions of the server: found by user and session id, closed when released or idle."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable

from voltray.driver.connect.errors import invalid_handle
from voltray.driver.connect.memory import GivingBack
from voltray.driver.connect.operations import check_uuid
from voltray.driver.connect.session import Session, SessionKey
from voltray.proto.failures import ErrorKind, spark_error

logger = logging.getLogger("voltray.connect")

KEPT_CLOSED = 10_000
ABANDONED_SECONDS = 300.0
"""An operation whose client went away is removed after this long (Spark's detachedTimeout)."""


class ServerStopping(Exception):
    """The server takes no more work; clients try again, on the one that follows."""


class Sessions:
    """The table of sessions."""

    def __init__(self, new_session: Callable[[SessionKey], Session], idle_timeout: float) -> None:
        self._new_session = new_session
        self._idle_timeout = idle_timeout
        self._lock = threading.Lock()
        self._sessions: dict[SessionKey, Session] = {}
        self._closed: OrderedDict[SessionKey, None] = OrderedDict()
        self._stopping = threading.Event()
        self._memory = GivingBack()
        self._refusing = False

    def obtain(self, key: SessionKey, observed: str) -> Session:
        """The session of a key, new if need be; ``observed`` is the server-side id the client has seen, or ""."""
        session = self._sessions.get(key)
        if session is None:
            session = self._create(key)
        return _touched(session, observed)

    def existing(self, key: SessionKey, observed: str) -> Session:
        """The session of a key; raises where there is none."""
        session = self._sessions.get(key)
        if session is None:
            check_uuid(key.session_id)
            raise invalid_handle("SESSION_CLOSED" if key in self._closed else "SESSION_NOT_FOUND", key.session_id)
        return _touched(session, observed)

    def find(self, key: SessionKey) -> Session | None:
        """The session of a key, if there is one, without counting as use."""
        return self._sessions.get(key)

    def all(self) -> tuple[Session, ...]:
        """Every session."""
        with self._lock:
            return tuple(self._sessions.values())

    def release(self, key: SessionKey, allow_reconnect: bool) -> Session | None:
        """Close a session; returns it, or None where there was none."""
        with self._lock:
            session = self._sessions.pop(key, None)
            if session is not None and not allow_reconnect:
                self._remember_closed(key)
        if session is not None:
            session.close()
            self._memory.soon()
        return session

    def clone(self, source: Session, target_id: str | None) -> Session:
        """A new session of the same user with the state that another one has now."""
        if target_id is not None:
            _check_clone_id(target_id)
        key = SessionKey(source.key.user_id, target_id or str(uuid.uuid4()))
        with self._lock:
            if key in self._closed:
                raise _clone_refused("TARGET_SESSION_ID_ALREADY_CLOSED", key)
            if key in self._sessions:
                raise _clone_refused("TARGET_SESSION_ID_ALREADY_EXISTS", key)
            session = source.clone(key)
            self._sessions[key] = session
        return session

    def refuse_work(self) -> None:
        """Take no more operations."""
        self._refusing = True

    def takes_work(self) -> bool:
        """Whether operations are taken."""
        return not self._refusing

    def check_open(self) -> None:
        """Raise :class:`ServerStopping` where operations are no longer taken."""
        if self._refusing:
            raise ServerStopping

    def maintain(self) -> None:
        """Close idle sessions and remove abandoned operations until :meth:`stop`; runs on a thread of its own."""
        pause = min(30.0, max(0.5, self._idle_timeout / 4)) if self._idle_timeout else 30.0
        while not self._stopping.wait(pause):
            for session in self.all():
                try:
                    self._maintain(session)
                except Exception:
                    logger.exception("maintenance of session %s failed", session.key.session_id)

    def stop(self) -> None:
        """Close every session."""
        self._stopping.set()
        for session in self.all():
            self.release(session.key, allow_reconnect=False)

    def _maintain(self, session: Session) -> None:
        session.operations.remove_abandoned(ABANDONED_SECONDS)
        idle = time.monotonic() - session.last_used
        is_at_work = session.operations.running() or session.streams.active()
        if self._idle_timeout and idle > self._idle_timeout and not is_at_work:
            logger.info("session %s of user %r closed: idle for %.0f s", session.key.session_id, session.user, idle)
            self.release(session.key, allow_reconnect=False)

    def _create(self, key: SessionKey) -> Session:
        check_uuid(key.session_id)
        with self._lock:
            if key in self._closed:
                raise invalid_handle("SESSION_CLOSED", key.session_id)
            session = self._sessions.get(key)
            if session is None:
                session = self._sessions[key] = self._new_session(key)
                logger.info("session %s of user %r opened", key.session_id, key.user_id)
        return session

    def _remember_closed(self, key: SessionKey) -> None:
        self._closed[key] = None
        while len(self._closed) > KEPT_CLOSED:
            self._closed.popitem(last=False)


def _touched(session: Session, observed: str) -> Session:
    if observed and observed != session.server_side_session_id:
        raise invalid_handle("SESSION_CHANGED", session.key.session_id)
    session.last_used = time.monotonic()
    return session


def _check_clone_id(target_id: str) -> None:
    try:
        uuid.UUID(target_id)
    except ValueError:
        raise _clone_refused("TARGET_SESSION_ID_FORMAT", SessionKey("", target_id)) from None


def _clone_refused(reason: str, key: SessionKey) -> Exception:
    condition = f"INVALID_CLONE_SESSION_REQUEST.{reason}"
    return spark_error(condition, ErrorKind.SQL, targetSessionId=key.session_id)
