"""Who a call comes from, and what it brought to prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """A user whose name was proved; ``session_id`` binds a token of a process of ours to the one session."""

    user: str
    groups: frozenset[str] = frozenset()
    may_mint: bool = False
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call brought: its headers by lower-case name, its peer's address, and its certificate's names."""

    headers: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""
    certificate_names: tuple[str, ...] = ()

    @property
    def bearer(self) -> str | None:
        """The token of ``authorization: Bearer ...``."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class Unauthenticated(Exception):
    """A call that did not prove who it comes from; the text goes to the client, and holds no secret."""
