"""Memory that the driver no longer needs goes back to the system once sessions have ended."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable
from functools import cache

_PAUSE_SECONDS = 2.0


class GivingBack:
    """Gives memory back soon after it was asked to, once for all that asked meanwhile."""

    def __init__(self, pause: float = _PAUSE_SECONDS) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._is_due = False

    def soon(self) -> None:
        """Give back what is free in a moment."""
        with self._lock:
            if self._is_due:
                return
            self._is_due = True
        timer = threading.Timer(self._pause, self._give_back)
        timer.daemon = True
        timer.start()

    def _give_back(self) -> None:
        with self._lock:
            self._is_due = False
        gc.collect()
        if (trim := _malloc_trim()) is not None:
            trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's own, where the C library is glibc."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
