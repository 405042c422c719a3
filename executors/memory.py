"""Memory of an executor's process: what it holds, and giving back what it no longer needs."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

_IDLE_BYTES = 256 << 20
_SECONDS_BETWEEN = 5.0
_lock = threading.Lock()
_last = [0.0]


def resident_bytes() -> int:
    """The process's resident memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * 4096


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None


def release_freed_memory() -> None:
    """Return what is free within the process to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    if trim := _trim():
        trim(0)


def give_back_memory(running_tasks: int) -> None:
    """Return freed memory to the system when nothing runs and much is held; seldom, for it takes a moment."""
    now = time.monotonic()
    if running_tasks or now - _last[0] < _SECONDS_BETWEEN or resident_bytes() < _IDLE_BYTES:
        return
    if _lock.acquire(blocking=False):
        try:
            _last[0] = now
            release_freed_memory()
        finally:
            _lock.release()
