"""Tokens: those of a file, those minted by a service for its users, and those of processes of our own."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt

from voltray.driver.connect.security.identity import Credentials, Identity, Unauthenticated
from voltray.driver.connect.security.watched_file import WatchedFile

MINTED_ISSUER = "voltray"
_ALGORITHM = "HS256"
_KEYS = frozenset(("token", "sha256", "user", "groups", "may_mint", "expires"))


@dataclass(frozen=True, slots=True)
class StaticToken:
    """One entry of the tokens file."""

    identity: Identity
    expires: float | None


def digest_of(token: str) -> str:
    """A token's SHA-256 as the tokens file has it; tokens are long and random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """A token with 256 bits of chance."""
    return secrets.token_urlsafe(32)


def parse_tokens(data: bytes) -> Mapping[str, StaticToken]:
    """The entries of a tokens file by digest; raises ValueError with the number of the entry that is wrong."""
    document = tomllib.loads(data.decode())
    if unknown := sorted(document.keys() - {"tokens"}):
        raise ValueError(f"unknown table {unknown[0]!r}: entries are written [[tokens]]")
    found: dict[str, StaticToken] = {}
    for number, entry in enumerate(document.get("tokens", []), 1):
        digest, token = _entry(number, entry)
        if digest in found:
            raise ValueError(f"token {number} stands there twice")
        found[digest] = token
    return found


def _entry(number: int, entry: Mapping[str, Any]) -> tuple[str, StaticToken]:
    where = f"token {number}"
    if unknown := sorted(entry.keys() - _KEYS):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    user, groups = entry.get("user"), entry.get("groups", [])
    if not isinstance(user, str) or not user:
        raise ValueError(f"{where}: user must be a name")
    if not isinstance(groups, list) or not all(isinstance(g, str) for g in groups):
        raise ValueError(f"{where}: groups must be a list of names")
    plain, hashed = entry.get("token"), entry.get("sha256")
    if (plain is None) == (hashed is None) or not isinstance(plain or hashed, str) or not (plain or hashed):
        raise ValueError(f"{where}: either token or sha256 must be given, as text")
    digest = digest_of(plain) if plain is not None else str(hashed).lower()
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError(f"{where}: sha256 must have 64 hexadecimal digits")
    expires = entry.get("expires")
    if expires is not None and not isinstance(expires, datetime):
        raise ValueError(f"{where}: expires must be a time such as 2030-01-31T00:00:00Z")
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    identity = Identity(user, frozenset(groups), may_mint=entry.get("may_mint") is True)
    return digest, StaticToken(identity, None if expires is None else expires.timestamp())


class StaticTokens:
    """The tokens of a file, which may change while the server runs."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, parse_tokens)

    def identify(self, credentials: Credentials) -> Identity | None:
        """The owner of the call's token, or None for a token of another kind."""
        if credentials.bearer is None:
            return None
        # Looked up by digest: how long it takes says nothing of a token's text.
        found = self._file.get().get(digest_of(credentials.bearer))
        if found is None:
            return None
        if found.expires is not None and found.expires < time.time():
            raise Unauthenticated("The token has expired.")
        return found.identity


class MintedTokens:
    """Short-lived tokens that the server signs for users whom a service names."""

    def __init__(self, key: bytes, longest_seconds: float) -> None:
        self._key = key
        self._longest = longest_seconds

    def mint(self, user: str, groups: frozenset[str], seconds: float | None) -> tuple[str, int]:
        """A token for a user, and when it expires (seconds of the epoch)."""
        expires = int(time.time() + min(seconds or self._longest, self._longest))
        claims = {"iss": MINTED_ISSUER, "aud": MINTED_ISSUER, "sub": user, "groups": sorted(groups), "exp": expires}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM), expires

    def identify(self, credentials: Credentials) -> Identity | None:
        """The user whom a minted token names, or None for a token of another kind."""
        token = credentials.bearer
        if token is None or token.count(".") != 2:
            return None
        required: Any = {"require": ["exp", "sub", "iss", "aud"]}
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], audience=MINTED_ISSUER, issuer=MINTED_ISSUER,
                options=required,
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except (jwt.PyJWTError, ValueError):
            return None
        return Identity(claims["sub"], frozenset(claims.get("groups", ())))


class OwnTokens:
    """Tokens for processes of our own that call back into one session; they never leave this machine."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._identities: dict[str, Identity] = {}

    def token_of(self, identity: Identity) -> str:
        """The token of a session."""
        subject = f"{identity.session_id}\0{identity.user}".encode()
        token = hmac.new(self._key, subject, hashlib.sha256).hexdigest()
        with self._lock:
            self._identities[token] = identity
        return token

    def identify(self, credentials: Credentials) -> Identity | None:
        """The session's user, or None for a token of another kind."""
        return None if credentials.bearer is None else self._identities.get(credentials.bearer)

    def forget(self, identity: Identity) -> None:
        """A session has ended."""
        with self._lock:
            self._identities = {t: i for t, i in self._identities.items() if i.session_id != identity.session_id}
