"""What users and groups may take of the cluster: the limits file, and what it comes to for one user.

[default]                    # for each user
running_queries = 20
queued_queries = 200

[groups.analysts]            # for all members together
running_queries = 50
cpu_slots = 8

[groups.analysts.each]       # for each member
weight = 2
result_size = "1g"

[users.ada]
weight = 4
run_seconds = 3600
confs = { "spark.sql.session.timeZone" = "UTC" }
environment = { TEAM = "research" }
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from voltray.driver.settings import SettingError, parse_size

_TABLES = ("default", "groups", "users")
_EACH = "each"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user may take; None is no limit."""

    weight: float | None = None
    running_queries: int | None = None
    queued_queries: int | None = None
    queue_seconds: float | None = None
    cpu_slots: int | None = None
    result_size: int | None = None
    run_seconds: float | None = None
    confs: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What all members of a group may take together."""

    running_queries: int | None = None
    queued_queries: int | None = None
    cpu_slots: int | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a limit holds for: a user or a group, as messages name it."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


SERVER = Holder("the server", "")


@dataclass(frozen=True, slots=True)
class Share:
    """One user's part: what holds for the user alone, and what holds for each of the user's groups together."""

    user: str = ""
    limits: Limits = Limits()
    groups: tuple[tuple[str, GroupLimits], ...] = ()

    @property
    def weight(self) -> float:
        """How much the user counts beside others."""
        return self.limits.weight or 1.0

    def caps(self, name: str) -> tuple[tuple[Holder, int], ...]:
        """The holders for which a count is limited, with its limit."""
        found = [(Holder("user", self.user), getattr(self.limits, name))]
        found += [(Holder("group", group), getattr(limits, name)) for group, limits in self.groups]
        return tuple([(holder, most) for holder, most in found if most is not None])


@dataclass(frozen=True, slots=True)
class LimitTable:
    """The whole file."""

    default: Limits = Limits()
    groups: Mapping[str, GroupLimits] = field(default_factory=dict)
    members: Mapping[str, Limits] = field(default_factory=dict)
    users: Mapping[str, Limits] = field(default_factory=dict)

    def share_of(self, user: str, groups: Iterable[str] = ()) -> Share:
        """A user's share: their own table over the most generous of their groups' over the default."""
        own = sorted(groups)
        of_groups = _most_generous([self.members[g] for g in own if g in self.members])
        limits = _over(self.users.get(user, Limits()), _over(of_groups, self.default))
        limited = [(g, self.groups[g]) for g in own if self.groups.get(g, GroupLimits()) != GroupLimits()]
        return Share(user, limits, tuple(limited))

    def with_default(self, fallback: Limits) -> LimitTable:
        """The table with what its default leaves open taken from elsewhere."""
        return replace(self, default=_over(self.default, fallback))


def parse_limits(data: bytes) -> LimitTable:
    """Read the file; raises SettingError, which is a ValueError."""
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"the limits file is no TOML: {error}") from None
    if unknown := sorted(content.keys() - set(_TABLES)):
        raise SettingError(f"the limits file has no table {unknown[0]}; there are {', '.join(_TABLES)}")
    groups = {name: dict(_table(entry, name)) for name, entry in _table(content.get("groups", {}), "groups").items()}
    members = {
        name: _read(Limits, entry.pop(_EACH), f"groups.{name}.each") for name, entry in groups.items() if _EACH in entry
    }
    return LimitTable(
        default=_read(Limits, content.get("default", {}), "default"),
        groups={name: _read(GroupLimits, entry, f"groups.{name}") for name, entry in groups.items()},
        members=members,
        users={
            name: _read(Limits, entry, f"users.{name}")
            for name, entry in _table(content.get("users", {}), "users").items()
        },
    )


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingError(f"limits file: {place} is to be a table")
    return value


def _read(kind: type[Any], entry: Any, place: str) -> Any:
    known = {f.name for f in fields(kind)}
    values = {}
    for name, value in _table(entry, place).items():
        if name not in known:
            raise SettingError(f"limits file: {place} has no limit {name}; there are {', '.join(sorted(known))}")
        values[name] = _PARSERS[name](value, f"{place}.{name}")
    return kind(**values)


def _count(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingError(f"limits file: {place} is to be a whole number, zero or more")
    return value


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise SettingError(f"limits file: {place} is to be a number above zero")
    return float(value)


def _size(value: Any, place: str) -> int:
    return _count(value, place) if isinstance(value, int) else parse_size(str(value))


def _texts(value: Any, place: str) -> Mapping[str, str]:
    written = {True: "true", False: "false"}
    return {name: written[item] if isinstance(item, bool) else str(item) for name, item in _table(value, place).items()}


_PARSERS: Mapping[str, Callable[[Any, str], Any]] = {
    "weight": _number,
    "running_queries": _count,
    "queued_queries": _count,
    "queue_seconds": _number,
    "cpu_slots": _count,
    "result_size": _size,
    "run_seconds": _number,
    "confs": _texts,
    "environment": _texts,
}


def _over(upper: Limits, lower: Limits) -> Limits:
    return _joined(upper, lower, lambda above, below: below if above is None else above)


def _most_generous(limits: list[Limits]) -> Limits:
    whole = Limits()
    for other in limits:
        whole = _joined(whole, other, lambda a, b: max([n for n in (a, b) if n is not None], default=None))
    return whole


def _joined(upper: Limits, lower: Limits, choose: Callable[[Any, Any], Any]) -> Limits:
    values: dict[str, Any] = {}
    for entry in fields(Limits):
        above, below = getattr(upper, entry.name), getattr(lower, entry.name)
        is_texts = entry.name in ("confs", "environment")
        values[entry.name] = {**below, **above} if is_texts else choose(above, below)
    return Limits(**values)


class UserLimits:
    """The shares of all users, from a table that may change under way."""

    def __init__(self, table: Callable[[], LimitTable] = LimitTable) -> None:
        self._table = table
        self._from: LimitTable | None = None
        self._shares: dict[tuple[str, frozenset[str]], Share] = {}
        self._groups: dict[str, frozenset[str]] = {}

    def share_of(self, user: str, groups: frozenset[str]) -> Share:
        """A user's share, with the groups that the last call proved."""
        table = self._table()
        if table is not self._from:
            self._from, self._shares = table, {}
        key = (user, groups)
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = table.share_of(user, groups)
        self._groups[user] = groups
        return share

    def share_of_session(self, session_id: str) -> Share:
        """The share of the user whose session executors know under an id (``user/server side id``)."""
        user = session_id.rpartition("/")[0]
        return self.share_of(user, self._groups.get(user, frozenset()))
