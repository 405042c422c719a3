"""Who looks at a server's status, and what of it they may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks: one user, who sees what is their own, or somebody who sees all. A token of a process of a
    session's own sees that session."""

    user: str
    sees_all: bool = False
    session_id: str | None = None

    def may_see(self, user: str, session_id: str) -> bool:
        """Whether a session and its operations are shown."""
        return self.sees_all or (user == self.user and self.session_id in (None, session_id))


EVERYONE = Visitor("", sees_all=True)
"""Whoever asks a server that asks nobody for a proof."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request brought to prove who asks: headers by lower-case name, its peer, its certificate's names."""

    headers: Mapping[str, str]
    peer: str
    certificate_names: tuple[str, ...] = ()


class NotProved(Exception):
    """A request that did not prove who it comes from; the text holds no secret."""


class Door(Protocol):
    """Says who asks (``driver.connect.security.visitors.Visitors``)."""

    @property
    def asks_for_proof(self) -> bool:
        """Whether nobody is let in without one."""

    @property
    def takes_tokens(self) -> bool:
        """Whether a token is one of the proofs."""

    def enter(self, request: Request) -> Visitor:
        """Who asks; raises NotProved."""
