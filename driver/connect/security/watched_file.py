"""A file whose content is read anew once it has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

logger = logging.getLogger("voltray.security")

Content = TypeVar("Content")
LOOK_SECONDS = 1.0


class WatchedFile(Generic[Content]):
    """The parsed content of a file. A change that cannot be read is logged, and what was read before stays."""

    def __init__(self, path: Path, parse: Callable[[bytes], Content]) -> None:
        self._path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._content = parse(path.read_bytes())
        self._looked = time.monotonic()

    def get(self) -> Content:
        """The content, as new as a second."""
        if time.monotonic() - self._looked > LOOK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._content

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._content = self._parse(self._path.read_bytes())
            self._stamp = stamp
            logger.info("read %s anew", self._path)
        except (OSError, ValueError) as error:
            logger.error("%s cannot be read, what it said before stays in force: %s", self._path, error)

    def _look(self) -> tuple[int, int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
