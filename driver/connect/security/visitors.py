"""Who asks for the status page: the same proofs as on the gRPC port, and what each may see."""

from __future__ import annotations

from voltray.driver.connect.security.identity import Credentials, Unauthenticated
from voltray.driver.connect.security.security import Security
from voltray.driver.monitoring.visitors import EVERYONE, NotProved, Request, Visitor


class Visitors:
    """The door of the page (``driver.monitoring.visitors.Door``)."""

    def __init__(self, security: Security) -> None:
        self._security = security

    @property
    def asks_for_proof(self) -> bool:
        """Whether nobody is let in without one."""
        return self._security.authentication.is_required

    @property
    def takes_tokens(self) -> bool:
        """Whether a token is one of the proofs."""
        return self.asks_for_proof and self._security.authentication.takes_tokens

    def enter(self, request: Request) -> Visitor:
        """Who asks; raises NotProved."""
        credentials = Credentials(request.headers, request.peer, request.certificate_names)
        try:
            identity = self._security.authentication.identify(credentials)
        except Unauthenticated as refusal:
            raise NotProved(str(refusal)) from None
        if identity is None:
            return EVERYONE
        groups = identity.groups
        is_admin = identity.session_id is None and self._security.access_of(identity.user, lambda: groups).is_admin()
        return Visitor(identity.user, is_admin, identity.session_id)
