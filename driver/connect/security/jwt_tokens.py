"""JSON web tokens of an identity provider: signature, issuer, audience and times checked; claims become names."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from voltray.driver.connect.security.identity import Credentials, Identity, Unauthenticated
from voltray.driver.connect.security.watched_file import WatchedFile

logger = logging.getLogger("voltray.security")

# Only signatures by a private key: with a shared secret, whoever can check could also sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KEYS_SECONDS = 300.0
"""How old keys from a URL may get."""
LEAST_SECONDS = 10.0
"""An unknown key id fetches the keys anew, but not more often than this: callers choose key ids freely."""
FETCH_SECONDS = 5.0
LARGEST_KEYS = 1 << 20
LEEWAY_SECONDS = 30
KEPT_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What a token must be like."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    user_claim: str
    groups_claim: str


def parse_keys(data: bytes) -> dict[str | None, jwt.PyJWK]:
    """The keys of a JWKS document by key id."""
    try:
        keys = jwt.PyJWKSet.from_dict(json.loads(data)).keys
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise ValueError(f"not a JSON web key set: {error}") from None
    return {key.key_id: key for key in keys if key.public_key_use in (None, "sig")}


class KeysFromUrl:
    """A key set behind a URL, kept for a while; it serves on while its source is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    def get(self, key_id: str | None) -> dict[str | None, jwt.PyJWK]:
        """The keys, fetched anew where they are old or lack the one asked for."""
        now = time.monotonic()
        due = now - self._fetched > KEYS_SECONDS or not _has(self._keys, key_id)
        # Only those who have nothing to go on with wait for a fetch that is under way.
        if due and now - self._tried > LEAST_SECONDS and self._lock.acquire(blocking=not self._keys):
            try:
                if time.monotonic() - self._tried > LEAST_SECONDS:
                    self._fetch()
            finally:
                self._lock.release()
        return self._keys

    def _fetch(self) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=FETCH_SECONDS) as answer:
                self._keys = parse_keys(answer.read(LARGEST_KEYS))
            self._fetched = time.monotonic()
        except (OSError, ValueError) as error:
            logger.error("the keys of %s cannot be fetched: %s", self._url, error)
        finally:
            self._tried = time.monotonic()


def keys_source(place: str) -> Callable[[str | None], dict[str | None, jwt.PyJWK]]:
    """What looks keys up in a file or behind a URL."""
    if place.startswith(("https://", "http://")):
        return KeysFromUrl(place).get
    file = WatchedFile(Path(place).expanduser(), parse_keys)
    return lambda key_id: file.get()


class JwtTokens:
    """The tokens of one issuer."""

    def __init__(self, rules: JwtRules, keys: Callable[[str | None], dict[str | None, jwt.PyJWK]]) -> None:
        self._rules = rules
        self._keys = keys
        self._lock = threading.Lock()
        self._checked: OrderedDict[str, tuple[float, jwt.PyJWK, Identity]] = OrderedDict()

    def identify(self, credentials: Credentials) -> Identity | None:
        """The user whom a token names, or None for what is no such token."""
        token = credentials.bearer
        if token is None or token.count(".") != 2:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError):
            return None
        key = self._key(header)
        known = self._checked.get(token)
        # A key that was withdrawn takes the tokens that it has signed with it.
        if known is not None and known[0] > time.time() and known[1] is key:
            return known[2]
        claims = self._claims(token, key)
        identity = self._identity(claims)
        with self._lock:
            self._checked[token] = (float(claims["exp"]) + LEEWAY_SECONDS, key, identity)
            while len(self._checked) > KEPT_TOKENS:
                self._checked.popitem(last=False)
        return identity

    def _key(self, header: dict[str, Any]) -> jwt.PyJWK:
        key_id = header.get("kid")
        key_id = key_id if isinstance(key_id, str) else None
        keys = self._keys(key_id)
        if not _has(keys, key_id):
            raise Unauthenticated("The token is signed by a key that is not known.")
        return keys[key_id] if key_id in keys else next(iter(keys.values()))

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        rules = self._rules
        # What the key is made for decides, and never what the token would like.
        own = key.algorithm_name
        is_rsa = key.key_type == "RSA"
        algorithms = [a for a in rules.algorithms if a == own or (is_rsa and a[:2] in ("RS", "PS"))]
        required: Any = {"require": ["exp", "iss", "aud", rules.user_claim]}
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key.key, algorithms=algorithms, audience=rules.audience, issuer=rules.issuer,
                leeway=LEEWAY_SECONDS, options=required,
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated(f"The token is not valid ({type(error).__name__}).") from None
        return claims

    def _identity(self, claims: dict[str, Any]) -> Identity:
        user, groups = claims.get(self._rules.user_claim), claims.get(self._rules.groups_claim, [])
        if not isinstance(user, str) or not user:
            raise Unauthenticated(f"The token's claim {self._rules.user_claim} is no name.")
        groups = groups.split() if isinstance(groups, str) else groups
        listed = groups if isinstance(groups, list) else []
        return Identity(user, frozenset(g for g in listed if isinstance(g, str)))


def _has(keys: dict[str | None, jwt.PyJWK], key_id: str | None) -> bool:
    """Whether there is the key of an id; a token without one fits a single key."""
    return key_id in keys or (key_id is None and len(keys) == 1)
