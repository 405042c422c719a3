"""Ends the query that takes an executor beyond its memory, before the system ends the executor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from voltray.executors.memory import release_freed_memory

_SECONDS = 0.1
_ALLOWANCE = 1.15
_LEAST_ROOM = 512 << 20


def own_bytes() -> int:
    """Resident memory without the object store's, which all processes share."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    sizes = {line.split(":")[0]: line for line in text.splitlines() if line.startswith("Rss")}
    return sum(int(sizes[k].split()[1]) << 10 for k in ("RssAnon", "RssFile") if k in sizes)


class MemoryWatch:
    """Looks while tasks run; ``overdrawn`` gets the bytes held and the limit when giving back did not help."""

    def __init__(self, budget: int, running: Callable[[], int], overdrawn: Callable[[int, int], None]) -> None:
        self.limit = max(int(budget * _ALLOWANCE), own_bytes() + max(budget // 2, _LEAST_ROOM))
        self._running = running
        self._overdrawn = overdrawn
        self._awake = threading.Event()
        threading.Thread(target=self._run, name="memory-watch", daemon=True).start()

    def wake(self) -> None:
        """A task starts."""
        self._awake.set()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._awake.wait()
            while self._running():
                if own_bytes() > self.limit:
                    release_freed_memory()
                    held = own_bytes()
                    if held > self.limit:
                        self._overdrawn(held, self.limit)
                        pause.wait(1.0)
                pause.wait(_SECONDS)
            self._awake.clear()
            if self._running():
                self._awake.set()
