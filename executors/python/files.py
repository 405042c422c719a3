"""Sessions' files on one executor: contents kept once a user by hash, a folder for each session, gone with it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.session_files import ARCHIVES, PYTHON_FILES, SessionFile

PREFIX = "voltray-python-"
_IMPORTABLE_ARCHIVES = (".zip", ".egg", ".jar")
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
_PERMISSIONS = 0o777


@dataclass(slots=True)
class SessionFolder:
    """A session's folder: ``files`` is the working directory of its workers, ``temporary`` their TMPDIR."""

    path: Path
    contents: set[str] = field(default_factory=set)
    installed: set[SessionFile] = field(default_factory=set)
    includes: tuple[str, ...] = ()
    failure: SparkError | None = None

    @property
    def files(self) -> Path:
        """Where ``SparkFiles`` looks."""
        return self.path / "files"

    @property
    def temporary(self) -> Path:
        """Where temporary files of workers go."""
        return self.path / "tmp"


class SessionFiles:
    """The folders of all sessions under one that no other executor uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._base: Path | None = None
        self._mark: int | None = None
        self._sessions: dict[str, SessionFolder] = {}

    def folder(self, session_id: str) -> SessionFolder:
        """A session's folder, made at its first use."""
        with self._lock:
            return self._folder(session_id)

    def missing(self, session_id: str, digests: Sequence[str]) -> tuple[str, ...]:
        """Contents that have not come yet."""
        with self._lock:
            self._folder(session_id).contents.update(digests)
            return tuple([d for d in digests if not self._content(session_id, d).exists()])

    def receive(self, session_id: str, digest: str, offset: int, data: bytes, *, last: bool) -> None:
        """Take a part of a content."""
        with self._lock:
            target = self._content(session_id, digest)
        arriving = target.with_suffix(".arriving")
        with arriving.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(data)
        if last:
            arriving.rename(target)

    def install(self, session_id: str, files: Sequence[SessionFile]) -> None:
        """Put files whose contents have come into the session's folder; a failure waits for who wants to use them."""
        with self._lock:
            folder = self._folder(session_id)
            for file in files:
                if file in folder.installed:
                    continue
                try:
                    self._install(session_id, folder, file)
                except (OSError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
                    text = f"The artifact {file.kind}/{file.name} could not be unpacked: {error}"
                    folder.failure = spark_error("", ErrorKind.SPARK, message=text)
                folder.installed.add(file)

    def end_session(self, session_id: str) -> None:
        """Remove a session's folder, and the contents that no other session of its user has."""
        with self._lock:
            folder = self._sessions.pop(session_id, None)
            if folder is None:
                return
            mine = {self._content(session_id, d) for d in folder.contents}
            others = {self._content(s, d) for s, o in self._sessions.items() for d in o.contents}
            # Under the lock: a session that comes now must not be told that they are there.
            for content in mine - others:
                content.unlink(missing_ok=True)
        shutil.rmtree(folder.path, ignore_errors=True)

    def end(self) -> None:
        """Remove everything."""
        with self._lock:
            self._sessions.clear()
            base, self._base = self._base, None
            if self._mark is not None:
                os.close(self._mark)
                self._mark = None
        if base is not None:
            shutil.rmtree(base, ignore_errors=True)

    def _install(self, session_id: str, folder: SessionFolder, file: SessionFile) -> None:
        content = self._content(session_id, file.digest)
        name, _, unpacked = file.name.partition("#")
        if file.kind == ARCHIVES:
            unpack(content, name, _inside(folder.files, unpacked or name))
            return
        target = _inside(folder.files, file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            # A copy: what a worker writes into its file must not reach other sessions.
            shutil.copyfile(content, target)
        if file.kind == PYTHON_FILES and file.name.endswith(_IMPORTABLE_ARCHIVES):
            folder.includes = (*folder.includes, file.name)

    def _folder(self, session_id: str) -> SessionFolder:
        found = self._sessions.get(session_id)
        if found is None:
            found = self._sessions[session_id] = SessionFolder(self._root() / _short(session_id))
            found.files.mkdir(parents=True, exist_ok=True)
            found.temporary.mkdir(exist_ok=True)
        return found

    def _content(self, session_id: str, digest: str) -> Path:
        user = session_id.rpartition("/")[0]
        return self._root() / f"{_short(user)}-{digest}"

    def _root(self) -> Path:
        if self._base is None:
            remove_abandoned()
            self._base = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._mark = os.open(self._base / "in-use", os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._base


def remove_abandoned() -> None:
    """Remove folders of executors that are gone: nobody holds the lock in them."""
    for base in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (base / "in-use").open("rb+") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(base, ignore_errors=True)


def unpack(archive: Path, name: str, target: Path) -> None:
    """Unpack an archive by the ending of its name."""
    target.mkdir(parents=True, exist_ok=True)
    if name.endswith(_TAR_ENDINGS):
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="tar")
        return
    if not name.endswith(_IMPORTABLE_ARCHIVES):
        raise ValueError("archives are .zip, .jar, .tar, .tar.gz or .tgz")
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            written = zipped.extract(entry, target)
            if permissions := entry.external_attr >> 16 & _PERMISSIONS:
                Path(written).chmod(permissions)


def _inside(root: Path, name: str) -> Path:
    target = Path(os.path.normpath(root / name))
    if not target.is_relative_to(root) or target == root:
        raise ValueError(f"{name} leads out of the session's folder")
    return target


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


FILES = SessionFiles()
