"""What a session's user may read and write: asked before a path is looked at and a table is touched.

``Access`` allows everything, which is the rule where the server has no policy. A path counts as what it leads to:
``..`` and links are followed before it is compared.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from voltray.executors.sources.listing import expand_braces, file_uri, local_path
from voltray.proto.failures import ErrorKind, SparkError, spark_error

if TYPE_CHECKING:
    from voltray.driver.catalog.records import Table
    from voltray.executors.sources.base import SourceFile


class Access:
    """The rights of a user; here: all of them."""

    restricted = False

    def may_path(self, path: str, *, write: bool) -> bool:
        """Whether the file or folder of a real path may be read or written."""
        return True

    def may_table(self, database: str, name: str, *, write: bool) -> bool:
        """Whether a table may be read or written."""
        return True

    def is_admin(self) -> bool:
        """Whether the user sees and may stop what others run."""
        return False

    def may_run_python(self) -> bool:
        """Whether Python functions may be run: they see whatever the server's own account sees."""
        return True

    def check_read(self, paths: Iterable[str]) -> None:
        """Refuse paths and globs of a read before anything is looked at."""
        if self.restricted:
            for path in paths:
                self._check(path, write=False)

    def check_write(self, path: str) -> None:
        """Refuse a folder to write to."""
        if self.restricted:
            self._check(path, write=True)

    def check_files(self, files: Iterable[SourceFile]) -> None:
        """Refuse files that a listing has found: links may have led out of what was named."""
        if not self.restricted:
            return
        folders: dict[str, str] = {}
        for file in files:
            folder = os.path.dirname(file.path)
            real = folders.get(folder) or folders.setdefault(folder, os.path.realpath(folder))
            is_link = os.path.islink(file.path)
            path = os.path.realpath(file.path) if is_link else os.path.join(real, os.path.basename(file.path))
            if not self.may_path(path, write=False):
                raise path_refused(file.path, write=False)

    def check_table(self, database: str, name: str, *, write: bool = False) -> None:
        """Refuse a table, or a name for one."""
        if not self.may_table(database.lower(), name.lower(), write=write):
            raise table_refused(database, name, write=write)

    def check_stored(self, table: Table | None) -> Table | None:
        """A table that was found, or the refusal to read it."""
        if table is not None:
            self.check_table(table.database, table.name)
        return table

    def check_python(self) -> None:
        """Refuse Python functions."""
        if not self.may_run_python():
            message = "[INSUFFICIENT_PERMISSIONS] This user may not run Python functions on the server. SQLSTATE: 42501"
            raise _refused(message)

    def _check(self, path: str, *, write: bool) -> None:
        absolute = local_path(path)
        for pattern in expand_braces(absolute) if not write else (absolute,):
            named = pattern if write or os.path.exists(pattern) else _fixed_head(pattern)
            if not self.may_path(os.path.realpath(named), write=write):
                raise path_refused(absolute, write=write)


def _fixed_head(pattern: str) -> str:
    """The folder above the first part of a pattern that stands for several names."""
    head = pattern
    while glob.has_magic(head) or "{" in head:
        head = os.path.dirname(head)
    return head


def path_refused(path: str, *, write: bool) -> SparkError:
    """The error for a path that the user may not touch."""
    shown = file_uri(path)
    right = "write to" if write else "read"
    return _refused(f"[INSUFFICIENT_PERMISSIONS] This user may not {right} {shown}. SQLSTATE: 42501", path=shown)


def table_refused(database: str, name: str, *, write: bool) -> SparkError:
    """The error for a table that the user may not touch."""
    shown = f"`spark_catalog`.`{database.lower()}`.`{name.lower()}`"
    right = "change" if write else "read"
    message = f"[INSUFFICIENT_PERMISSIONS] This user may not {right} {shown}. SQLSTATE: 42501"
    return _refused(message, tableName=shown)


def _refused(message: str, **parameters: str) -> SparkError:
    return spark_error(
        "INSUFFICIENT_PERMISSIONS", ErrorKind.SECURITY, sqlstate="42501", message=message, extra=parameters
    )


EVERYTHING = Access()
