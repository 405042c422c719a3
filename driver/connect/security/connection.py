"""Identity from the connection: a header that a trusted proxy sets, or the client's certificate."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc

from voltray.driver.connect.security.identity import Credentials, Identity

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def credentials_of(context: grpc.ServicerContext) -> Credentials:
    """What a call brought."""
    headers: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            # One header twice is one that someone has put in before the proxy did: no value can be trusted.
            headers[key.lower()] = "" if key.lower() in headers else value
    return Credentials(headers, peer_address(context.peer()), _certificate_names(context.auth_context()))


def peer_address(peer: str) -> str:
    """The address in gRPC's word for a peer: ``ipv4:10.0.0.1:4711``, ``ipv6:%5B::1%5D:4711``."""
    kind, _, rest = unquote(peer).partition(":")
    if kind == "ipv4":
        return rest.rpartition(":")[0]
    if kind == "ipv6":
        return rest.rpartition(":")[0].strip("[]")
    return ""


def _certificate_names(context: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple([name.decode("utf-8", "replace") for name in context.get("x509_common_name", ())])


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks from a list with commas: addresses and ranges such as ``10.0.0.0/8``; raises ValueError."""
    return tuple([ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()])


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The user's name in a header, believed only from listed peers."""

    header: str
    groups_header: str
    peers: Sequence[Network]

    def identify(self, credentials: Credentials) -> Identity | None:
        """The user whom the proxy names."""
        user = credentials.headers.get(self.header)
        if not user or not self._is_trusted(credentials.peer):
            return None
        groups = credentials.headers.get(self.groups_header, "") if self.groups_header else ""
        return Identity(user, frozenset(g.strip() for g in groups.split(",") if g.strip()))

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.peers)


class ClientCertificate:
    """The common name of a certificate that the transport has checked."""

    def identify(self, credentials: Credentials) -> Identity | None:
        """The certificate's user."""
        names = credentials.certificate_names
        return Identity(names[0]) if len(names) == 1 and names[0] else None
