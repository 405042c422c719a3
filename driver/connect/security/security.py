"""Everything about who may what, as one server has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from voltray.driver.catalog.access import EVERYTHING, Access
from voltray.driver.connect.security.authentication import Authentication, authentication_of, check_exposure
from voltray.driver.connect.security.policy import policy_of
from voltray.driver.connect.security.transport import Certificates, certificates_of
from voltray.driver.settings import Settings

AccessOf = Callable[[str, Callable[[], frozenset[str]]], Access]


def _everything(user: str, groups: Callable[[], frozenset[str]]) -> Access:
    return EVERYTHING


@dataclass(slots=True)
class Security:
    """Who calls, how calls travel, and what callers may read; ``own_address`` is a port for processes of ours."""

    authentication: Authentication = field(default_factory=Authentication)
    access_of: AccessOf = _everything
    certificates: Certificates | None = None
    own_address: str | None = None

    @property
    def tells_users_apart(self) -> bool:
        """Whether users' names are proved, so that what sessions share is shared within a user's alone."""
        return self.authentication.is_required

    @property
    def needs_own_address(self) -> bool:
        """Whether processes of ours could not come in as they did."""
        return self.authentication.is_required or self.certificates is not None


def security_of(settings: Settings) -> Security:
    """What the settings say; raises SettingError for what cannot work or lets anyone in."""
    authentication = authentication_of(settings)
    check_exposure(settings, authentication)
    return Security(authentication, policy_of(settings), certificates_of(settings))
