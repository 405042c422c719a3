"""Temporary folders of the driver, which the next driver on the machine removes where one was killed."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

_PREFIX = "voltray-driver-"
_MARK = "in-use"


@dataclass(slots=True)
class TemporaryFolders:
    """One folder for each process, marked by a lock that ends with it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    base: Path | None = None
    owner: int = 0
    mark: int = -1

    def make(self, prefix: str) -> Path:
        """A new folder within it."""
        with self.lock:
            if self.base is None or self.owner != os.getpid() or not self.base.exists():
                remove_abandoned()
                self.base, self.owner = Path(tempfile.mkdtemp(prefix=_PREFIX)), os.getpid()
                self.mark = os.open(self.base / _MARK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
                fcntl.flock(self.mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Path(tempfile.mkdtemp(prefix=prefix, dir=self.base))

    def remove(self) -> None:
        """Remove all of it: the process ends."""
        with self.lock:
            if self.base is not None and self.owner == os.getpid():
                shutil.rmtree(self.base, ignore_errors=True)
                os.close(self.mark)
                self.base = None


def remove_abandoned() -> None:
    """Remove the folders of drivers that are gone: nobody holds the lock in them."""
    for base in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (base / _MARK).open("rb+") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(base, ignore_errors=True)


FOLDERS = TemporaryFolders()
atexit.register(FOLDERS.remove)
