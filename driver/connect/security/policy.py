"""The policy file: which paths and tables users and groups may read and write.

[default]                        # for everyone who may call at all
read_paths = ["/data/public"]

[groups.analysts]
read_paths = ["/data/sales"]
write_paths = ["/data/scratch/{user}"]
read_tables = ["sales.*"]
write_tables = ["scratch_{user}.*"]

[users.ada]
read_paths = ["/"]
admin = true                     # sees and may cancel everyone's operations on the status page
"""

from __future__ import annotations

import fnmatch
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltray.driver.catalog.access import EVERYTHING, Access
from voltray.driver.connect.security.watched_file import WatchedFile
from voltray.driver.settings import SettingError, Settings

_LISTS = ("read_paths", "write_paths", "read_tables", "write_tables")
_FLAGS = ("python", "admin")
_TABLES = ("default", "users", "groups")
_USER = "{user}"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-")


@dataclass(frozen=True, slots=True)
class Rights:
    """What one table of the file grants; writing includes reading."""

    read_paths: tuple[str, ...] = ()
    write_paths: tuple[str, ...] = ()
    read_tables: tuple[str, ...] = ()
    write_tables: tuple[str, ...] = ()
    python: bool | None = None
    admin: bool | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The file's rights. What nothing grants is refused."""

    default: Rights = Rights()
    users: Mapping[str, Rights] = field(default_factory=dict)
    groups: Mapping[str, Rights] = field(default_factory=dict)

    def rights_of(self, user: str, groups: frozenset[str]) -> Iterator[Rights]:
        """All that a user has."""
        yield self.default
        if user in self.users:
            yield self.users[user]
        yield from (self.groups[g] for g in groups if g in self.groups)


def parse_policy(data: bytes) -> Policy:
    """Read a policy file; raises ValueError naming what is wrong."""
    document = tomllib.loads(data.decode())
    if unknown := sorted(document.keys() - set(_TABLES)):
        raise ValueError(f"unknown table [{unknown[0]}]; there are {', '.join(_TABLES)}")
    users, groups = (
        {name: _rights(f"{kind}.{name}", entry) for name, entry in document.get(kind, {}).items()}
        for kind in ("users", "groups")
    )
    return Policy(_rights("default", document.get("default", {})), users, groups)


def _rights(where: str, entry: Any) -> Rights:
    if not isinstance(entry, dict):
        raise ValueError(f"[{where}] must be a table")
    if unknown := sorted(entry.keys() - {*_LISTS, *_FLAGS}):
        raise ValueError(f"[{where}]: unknown key {unknown[0]!r}; there are {', '.join((*_LISTS, *_FLAGS))}")
    for name in _LISTS:
        values = entry.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
            raise ValueError(f"[{where}]: {name} must be a list of texts")
        if name.endswith("paths") and not all(v.startswith("/") for v in values):
            raise ValueError(f"[{where}]: {name} must be absolute paths")
        if name.endswith("tables") and not all("." in v for v in values):
            raise ValueError(f"[{where}]: {name} must be written database.table, with * for any")
    for name in _FLAGS:
        if not isinstance(entry.get(name, True), bool):
            raise ValueError(f"[{where}]: {name} must be true or false")
    lists = {name: tuple(entry.get(name, ())) for name in _LISTS}
    return Rights(**lists, python=entry.get("python"), admin=entry.get("admin"))


class PolicyAccess(Access):
    """The rights of one session's user, as the policy file has them at the moment of asking."""

    restricted = True

    def __init__(self, policy: Callable[[], Policy], user: str, groups: Callable[[], frozenset[str]]) -> None:
        self._policy = policy
        self._user = user
        self._groups = groups

    def may_path(self, path: str, *, write: bool) -> bool:
        """Whether a path lies below one that is granted."""
        return any(_is_below(path, prefix) for prefix in self._granted("paths", write))

    def may_table(self, database: str, name: str, *, write: bool) -> bool:
        """Whether a table's full name fits one that is granted."""
        full = f"{database}.{name}"
        return any(fnmatch.fnmatchcase(full, pattern.lower()) for pattern in self._granted("tables", write))

    def may_run_python(self) -> bool:
        """Python is granted unless what applies to the user says no, and nothing says yes."""
        said = [r.python for r in self._policy().rights_of(self._user, self._groups()) if r.python is not None]
        return any(said) or not said

    def is_admin(self) -> bool:
        """Whether anything that applies to the user says so."""
        return any(rights.admin for rights in self._policy().rights_of(self._user, self._groups()))

    def _granted(self, kind: str, write: bool) -> Iterator[str]:
        names = (f"write_{kind}",) if write else (f"read_{kind}", f"write_{kind}")
        for rights in self._policy().rights_of(self._user, self._groups()):
            for name in names:
                yield from (g for text in getattr(rights, name) if (g := self._filled(text, kind)) is not None)

    def _filled(self, text: str, kind: str) -> str | None:
        if _USER not in text:
            return text
        user = self._user
        # A name must not lead elsewhere, nor fit more than itself.
        if not user or set(user) - _PLAIN or user.strip(".") != user or (kind == "tables" and "." in user):
            return None
        return text.replace(_USER, user)


def _is_below(path: str, prefix: str) -> bool:
    root = os.path.realpath(prefix)
    return path == root or path.startswith(root.rstrip("/") + "/")


def policy_of(settings: Settings) -> Callable[[str, Callable[[], frozenset[str]]], Access]:
    """What makes a session's access from its user and the user's groups."""
    if not settings.policy:
        return lambda user, groups: EVERYTHING
    try:
        file = WatchedFile(Path(settings.policy).expanduser(), parse_policy)
    except (OSError, ValueError) as error:
        raise SettingError(f"policy: {error}") from None
    return lambda user, groups: PolicyAccess(file.get, user, groups)
