"""The folder of a server's spilled files on one node, and its removal: by query, and after processes that died."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

from voltray.executors.shuffle.spilled import folder_of

_LOCK = ".lock"


class SpillFolders:
    """One server's folder below the root; a lock held by every executor that uses it tells that it is in use."""

    def __init__(self, root: Path, server_id: str) -> None:
        self.path = root / server_id
        self._lock: int | None = None
        self._root = root

    def open(self) -> None:
        """Make the folder and hold it; remove those whose executors are all dead."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError:
            return  # a task that must spill will say what is wrong
        for other in self._root.iterdir():
            if other != self.path:
                _remove_if_dead(other)

    def of_query(self, query_id: str) -> Path:
        """Where a query's files lie."""
        return folder_of(self.path, query_id)

    def end_query(self, query_id: str) -> None:
        """Remove a query's files."""
        shutil.rmtree(self.of_query(query_id), ignore_errors=True)

    def keep_queries(self, query_ids: tuple[str, ...]) -> None:
        """Remove the files of all queries but these."""
        kept = {self.of_query(q) for q in query_ids}
        with contextlib.suppress(OSError):
            for folder in self.path.iterdir():
                if folder.is_dir() and folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything unless another executor uses the folder."""
        if self._lock is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.path, ignore_errors=True)
        except OSError:
            pass
        os.close(self._lock)
        self._lock = None


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # an executor holds it
    finally:
        os.close(lock)
