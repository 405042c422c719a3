"""A session's artifacts: files of its own, and blobs under the hash of their content."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import tempfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.temporary import FOLDERS
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.session_files import KINDS, SessionFile

Request = base_pb2.AddArtifactsRequest
CACHE_PREFIX = "cache/"
FORWARD_PREFIX = "forward_to_fs"
# File systems take no longer ones.
LONGEST_NAME = 2048
LONGEST_PART = 255


class ArtifactStore:
    """Artifacts in a folder that lives as long as the session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._names: set[str] = set()
        self._python_files: tuple[SessionFile, ...] = ()

    @property
    def folder(self) -> Path:
        """The session's folder, made at its first use."""
        with self._lock:
            if self._folder is None:
                self._folder = FOLDERS.make("voltray-artifacts-")
            return self._folder

    def names(self) -> frozenset[str]:
        """The names of all artifacts."""
        return frozenset(self._names)

    def is_cached(self, name: str) -> bool:
        """Whether a name is that of a cached blob (files are never said to exist)."""
        return name.startswith(CACHE_PREFIX) and name in self._names

    def blob(self, hash_text: str) -> bytes | None:
        """A cached blob by its hash."""
        name = CACHE_PREFIX + hash_text
        return self._path(name).read_bytes() if name in self._names else None

    def path(self, name: str) -> Path | None:
        """The file of an artifact."""
        return self._path(name) if name in self._names else None

    @property
    def python_files(self) -> tuple[SessionFile, ...]:
        """What the session's Python functions can import and open, in the order of its arrival."""
        return self._python_files

    def check_name(self, name: str) -> None:
        """Raise for a name that leads out of the session's folder or is not to be stored at all."""
        if name.startswith(FORWARD_PREFIX):
            text = (
                "[UNSUPPORTED_FEATURE] Copying a file to the server's own file system is not supported. SQLSTATE: 0A000"
            )
            raise spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=text)
        path = PurePosixPath(name)
        is_long = len(name.encode()) > LONGEST_NAME or any(len(p.encode()) > LONGEST_PART for p in path.parts)
        if not name or path.is_absolute() or ".." in path.parts or "\0" in name or is_long:
            raise spark_error("INVALID_ARTIFACT_PATH", ErrorKind.RUNTIME, name=name)

    def receive(self) -> Path:
        """A new file for an artifact on its way."""
        handle, path = tempfile.mkstemp(prefix=".incoming-", dir=self.folder)
        os.close(handle)
        return Path(path)

    def keep(self, name: str, received: Path) -> None:
        """Make a received file the artifact of a name; another content under the same name is refused."""
        target = self._path(name)
        with self._lock:
            if name in self._names:
                same = filecmp.cmp(received, target, shallow=False)
                received.unlink()
                if not same:
                    raise spark_error("ARTIFACT_ALREADY_EXISTS", ErrorKind.RUNTIME, normalizedRemoteRelativePath=name)
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            received.rename(target)
            self._names.add(name)
            kind, _, own = name.partition("/")
            if kind in KINDS:
                with target.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                self._python_files = (*self._python_files, SessionFile(kind, own, digest, str(target)))

    def copy(self) -> ArtifactStore:
        """The same artifacts for a cloned session."""
        clone = ArtifactStore()
        for name in self.names():
            target = clone._path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._path(name), target)
            clone._names.add(name)
        clone._python_files = tuple(
            [replace(f, path=str(clone._path(f"{f.kind}/{f.name}"))) for f in self._python_files]
        )
        return clone

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            folder, self._folder = self._folder, None
            self._names.clear()
            self._python_files = ()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / "files" / PurePosixPath(name)


class _Arrival:
    """One artifact on its way: written as its chunks come, kept if all sums are right."""

    def __init__(self, store: ArtifactStore, name: str, num_chunks: int, total_bytes: int) -> None:
        store.check_name(name)
        self.name = name
        self._store = store
        self._num_chunks = num_chunks
        self._total_bytes = total_bytes
        self._chunks = 0
        self._bytes = 0
        self._sums_right = True
        self._path = store.receive()
        self._file = self._path.open("wb")

    def take(self, chunk: base_pb2.AddArtifactsRequest.ArtifactChunk) -> None:
        """Write one chunk."""
        self._sums_right &= zlib.crc32(chunk.data) == chunk.crc
        self._file.write(chunk.data)
        self._chunks += 1
        self._bytes += len(chunk.data)

    @property
    def complete(self) -> bool:
        """Whether all chunks are there."""
        return self._chunks >= self._num_chunks

    def finish(self, response: base_pb2.AddArtifactsResponse) -> None:
        """Keep the artifact and report it; a wrong sum is reported, and the artifact dropped."""
        self._file.close()
        if self._bytes != self._total_bytes:
            self.drop()
            raise _refused(
                f"Missing data chunks for artifact: {self.name}. Expected {self._num_chunks} chunks and received "
                f"{self._chunks} chunks. Processed {self._bytes} bytes out of {self._total_bytes} bytes."
            )
        response.artifacts.add(name=self.name, is_crc_successful=self._sums_right)
        if self._sums_right:
            self._store.keep(self.name, self._path)
        else:
            self.drop()

    def drop(self) -> None:
        """Remove what has come."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def receive_artifacts(
    store: ArtifactStore,
    first: Request,
    others: Iterator[Request],
    response: base_pb2.AddArtifactsResponse,
) -> None:
    """Store the artifacts of one AddArtifacts stream."""
    arrival: _Arrival | None = None
    try:
        for request in _chain(first, others):
            kind = request.WhichOneof("payload")
            if (arrival is not None) != (kind == "chunk"):
                raise _refused("The chunks of an artifact must follow each other.")
            match kind:
                case "batch":
                    _receive_batch(store, request.batch, response)
                case "begin_chunk":
                    begin = request.begin_chunk
                    arrival = _Arrival(store, begin.name, begin.num_chunks, begin.total_bytes)
                    arrival.take(begin.initial_chunk)
                case "chunk":
                    assert arrival is not None
                    arrival.take(request.chunk)
            if arrival is not None and arrival.complete:
                done, arrival = arrival, None
                done.finish(response)
        if arrival is not None:
            raise _refused(f"The artifact {arrival.name} ended before its last chunk.")
    finally:
        if arrival is not None:
            arrival.drop()


def _chain(first: Request, others: Iterator[Request]) -> Iterator[Request]:
    yield first
    yield from others


def _receive_batch(
    store: ArtifactStore, batch: base_pb2.AddArtifactsRequest.Batch, response: base_pb2.AddArtifactsResponse
) -> None:
    for artifact in batch.artifacts:
        arrival = _Arrival(store, artifact.name, 1, len(artifact.data.data))
        try:
            arrival.take(artifact.data)
            arrival.finish(response)
        finally:
            arrival.drop()


def _refused(words: str) -> SparkError:
    return spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=words)
