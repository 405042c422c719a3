"""Files that a session's Python functions see on every executor."""

from __future__ import annotations

from dataclasses import dataclass

PYTHON_FILES, FILES, ARCHIVES = "pyfiles", "files", "archives"
KINDS = frozenset((PYTHON_FILES, FILES, ARCHIVES))


@dataclass(frozen=True, slots=True)
class SessionFile:
    """One artifact: its kind and name (an archive's with the folder to unpack it in), and where the driver has it."""

    kind: str
    name: str
    digest: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class PythonReport:
    """What workers said beside their results: log records, printed lines, updates of accumulators (pickled)."""

    logs: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    accumulators: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.logs or self.output or self.accumulators)
