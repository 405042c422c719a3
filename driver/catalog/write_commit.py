"""Making a write's files appear: all of them at the end, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from voltray.executors.sources.base import WriteReport

_STAGING = "_temporary"


@dataclass(frozen=True, slots=True)
class FileCommit:
    """The output folder of one write; ``replaces`` says what goes when the new files come:
    ``nothing``, ``everything``, or ``partitions`` (the folders that get new files).
    """

    output: str
    job_id: str
    replaces: str = "nothing"
    below: str = ""
    """Where not all of the output is replaced: the folder of the fixed partition values."""

    @property
    def staging(self) -> str:
        """The folder of this write's unfinished files, which no reader lists."""
        return os.path.join(self.output, _STAGING, self.job_id)

    def prepare(self) -> None:
        """Make the staging folder."""
        os.makedirs(self.staging, exist_ok=True)

    def commit(self, reports: Iterable[WriteReport]) -> None:
        """Move the files in, then take out what they replace, then mark success."""
        files = [f for report in reports for f in report.files]
        old = self._replaced({os.path.dirname(f.relative) for f in files})
        for file in files:
            target = os.path.join(self.output, file.relative)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(file.staged, target)
        for path in old:
            self._remove(path)
        self._drop_staging()
        with open(os.path.join(self.output, "_SUCCESS"), "wb"):
            pass

    def abort(self) -> None:
        """Leave things as they were."""
        self._drop_staging()
        with contextlib.suppress(OSError):
            os.rmdir(self.output)  # only where the write itself made it

    def _replaced(self, folders: set[str]) -> list[str]:
        if self.replaces == "everything":
            root = os.path.join(self.output, self.below)
            return [p for p in _files_below(root) if not p.startswith(os.path.join(self.output, _STAGING) + os.sep)]
        if self.replaces == "partitions":
            found = (os.path.join(self.output, folder) for folder in folders)
            return [p for folder in found for p in _files_in(folder)]
        return []

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        folder = os.path.dirname(path)
        while len(folder) > len(self.output):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    def _drop_staging(self) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self.staging))


def _files_below(root: str) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]


def _files_in(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, n) for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))]


def new_job_id() -> str:
    """The id that a write's file names share."""
    return str(uuid.uuid4())
