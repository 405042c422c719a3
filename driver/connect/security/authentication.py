"""Finding out who calls: every way that the settings open, in one order."""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import grpc

from voltray.driver.connect.security.connection import ClientCertificate, ProxyHeader, credentials_of, networks_of
from voltray.driver.connect.security.identity import Credentials, Identity, Unauthenticated
from voltray.driver.connect.security.jwt_tokens import ALGORITHMS, JwtRules, JwtTokens, keys_source
from voltray.driver.connect.security.tokens import MintedTokens, OwnTokens, StaticTokens
from voltray.driver.settings import SettingError, Settings

logger = logging.getLogger("voltray.security")

Read = TypeVar("Read")
Way = Callable[[Credentials], Identity | None]
LEAST_KEY_BYTES = 32


class Authentication:
    """Who calls. Without any way to prove a name the client's word is taken, which only loopback allows."""

    def __init__(
        self,
        *,
        proxies: tuple[Way, ...] = (),
        tokens: tuple[Way, ...] = (),
        certificates: tuple[Way, ...] = (),
        minted: MintedTokens | None = None,
    ) -> None:
        self.own = OwnTokens()
        self.minted = minted
        self.is_required = bool(proxies or tokens or certificates)
        self._proxies = proxies
        self._tokens: tuple[Way, ...] = (*([minted.identify] if minted else []), *tokens)
        self._certificates = certificates
        self.takes_tokens = bool(self._tokens)
        """Whether somebody may come with a token."""

    def identify(self, credentials: Credentials) -> Identity | None:
        """The user of a call; None where no proof is asked for. Raises Unauthenticated."""
        if not self.is_required:
            return self.own.identify(credentials)
        # A trusted proxy may leave the token that it has checked itself in place.
        ways = self._proxies + (self._tokens if credentials.bearer is not None else self._certificates)
        if (own := self.own.identify(credentials)) is not None:
            return own
        for way in ways:
            if (identity := way(credentials)) is not None:
                return identity
        told = "The token is not known." if credentials.bearer is not None else "This server asks for a token."
        raise Unauthenticated(told)

    def of_call(self, context: grpc.ServicerContext) -> Identity | None:
        """The user of a call; ends the call with UNAUTHENTICATED where there is none."""
        try:
            return self.identify(credentials_of(context))
        except Unauthenticated as refusal:
            logger.info("refused a call of %s: %s", context.peer(), refusal)
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refusal))
            raise AssertionError("abort returned") from None


def authentication_of(settings: Settings) -> Authentication:
    """The ways that the settings open; raises SettingError for those that cannot work."""
    tokens: list[Way] = []
    if settings.auth_tokens:
        tokens.append(_read("auth_tokens", lambda: StaticTokens(Path(settings.auth_tokens).expanduser())).identify)
    if settings.auth_jwt_keys:
        tokens.append(_jwt_tokens(settings).identify)
    elif settings.auth_jwt_issuer or settings.auth_jwt_audience:
        raise SettingError("auth_jwt_keys: needed beside the issuer and the audience, to check signatures")
    proxies: tuple[Way, ...] = (_proxy_header(settings).identify,) if settings.auth_proxy_header else ()
    certificates: tuple[Way, ...] = ()
    if settings.auth_certificates:
        if not settings.tls_client_ca:
            raise SettingError("auth_certificates: needs tls_client_ca, whose certificates are believed")
        certificates = (ClientCertificate().identify,)
    minted = _minted(settings) if tokens or proxies or certificates else None
    return Authentication(proxies=proxies, tokens=tuple(tokens), certificates=certificates, minted=minted)


def check_exposure(settings: Settings, authentication: Authentication) -> None:
    """Refuse to let other machines in without any proof of who they are; warn of readable tokens."""
    if is_loopback(settings.host):
        return
    if not authentication.is_required and not settings.allow_unauthenticated:
        raise SettingError(
            f"host: {settings.host} lets other machines in, and nothing says who may come. Give --auth-tokens, "
            "--auth-jwt-keys, --auth-proxy-header or --auth-certificates (docs/security.md), "
            "or insist with --allow-unauthenticated true."
        )
    if not authentication.is_required:
        logger.warning("anyone who reaches %s:%d may run anything here", settings.host, settings.port)
    elif not settings.tls_certificate:
        logger.warning("without --tls-certificate, tokens and data travel readable to %s", settings.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _jwt_tokens(settings: Settings) -> JwtTokens:
    missing = [n for n in ("auth_jwt_issuer", "auth_jwt_audience") if not getattr(settings, n)]
    if missing:
        raise SettingError(f"{missing[0]}: needed beside auth_jwt_keys; tokens for other services are not for this one")
    algorithms = tuple([a.strip() for a in settings.auth_jwt_algorithms.split(",") if a.strip()])
    if unknown := [a for a in algorithms if a not in ALGORITHMS] or ([] if algorithms else ["nothing"]):
        raise SettingError(f"auth_jwt_algorithms: expected some of {', '.join(ALGORITHMS)}, got {unknown[0]}")
    rules = JwtRules(
        settings.auth_jwt_issuer,
        settings.auth_jwt_audience,
        algorithms,
        settings.auth_jwt_user_claim,
        settings.auth_jwt_groups_claim,
    )
    return JwtTokens(rules, _read("auth_jwt_keys", lambda: keys_source(settings.auth_jwt_keys)))


def _proxy_header(settings: Settings) -> ProxyHeader:
    try:
        peers = networks_of(settings.auth_proxy_peers)
    except ValueError as error:
        raise SettingError(f"auth_proxy_peers: {error}") from None
    if not peers:
        raise SettingError("auth_proxy_peers: needed beside auth_proxy_header; from others the header is not believed")
    return ProxyHeader(settings.auth_proxy_header.lower(), settings.auth_proxy_groups_header.lower(), peers)


def _minted(settings: Settings) -> MintedTokens:
    if not settings.auth_mint_key:
        return MintedTokens(secrets.token_bytes(LEAST_KEY_BYTES), settings.auth_mint_seconds)
    key = _read("auth_mint_key", lambda: Path(settings.auth_mint_key).expanduser().read_bytes().strip())
    if len(key) < LEAST_KEY_BYTES:
        raise SettingError(f"auth_mint_key: the file must hold {LEAST_KEY_BYTES} bytes or more of chance")
    return MintedTokens(key, settings.auth_mint_seconds)


def _read(name: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except (OSError, ValueError) as error:
        raise SettingError(f"{name}: {error}") from None
