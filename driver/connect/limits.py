"""What the server's users may take: its settings, and its limits file where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voltray.driver.connect.security.watched_file import WatchedFile
from voltray.driver.scheduler.admission import Admission
from voltray.driver.scheduler.limits import Limits, LimitTable, UserLimits, parse_limits
from voltray.driver.settings import SettingError, Settings

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

# Spark's own name of what Python workers find in their environment.
EXECUTOR_ENVIRONMENT = "spark.executorEnv."


def limits_of(settings: Settings) -> UserLimits:
    """The shares of all users, by the settings and the file, as new as a second."""
    fallback = Limits(
        running_queries=settings.user_running_queries or None,
        queue_seconds=settings.user_queue_seconds or None,
    )
    if not settings.limits:
        table = LimitTable().with_default(fallback)
        return UserLimits(lambda: table)

    def parse(data: bytes) -> LimitTable:
        return parse_limits(data).with_default(fallback)

    try:
        return UserLimits(WatchedFile(Path(settings.limits), parse).get)
    except OSError as error:
        raise SettingError(f"limits: {error}") from None


def admission_of(settings: Settings) -> Admission:
    """The queue of a server."""
    return Admission(settings.running_queries, settings.queued_queries)


@dataclass(frozen=True, slots=True)
class UserConfs(Mapping[str, str]):
    """The confs that the server sets for a session: its own, over those that the limits give to the user."""

    session: Session
    server: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        found: str | None = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        """A conf's value; most confs have none, and are asked for all the time."""
        found = self.server.get(key)
        return self.session.share.limits.confs.get(key, default) if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter({**self.session.share.limits.confs, **self.server})

    def __len__(self) -> int:
        return len(self.session.share.limits.confs.keys() | self.server.keys())
