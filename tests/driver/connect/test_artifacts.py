"""Artifacts and uploaded local relations."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import pyarrow as pa
import pytest
from connect_fakes import ipc
from connect_wire import Wire
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import relations_pb2

Request = pb.AddArtifactsRequest


def chunk(data: bytes, crc: int | None = None) -> Request.ArtifactChunk:
    return Request.ArtifactChunk(data=data, crc=zlib.crc32(data) if crc is None else crc)


def single(wire: Wire, name: str, data: bytes = b"x", crc: int | None = None) -> Request:
    return Request(**wire.who, batch={"artifacts": [{"name": name, "data": chunk(data, crc)}]})


def begin(wire: Wire, name: str, first: Request.ArtifactChunk, chunks: int, size: int) -> Request:
    start = {"name": name, "total_bytes": size, "num_chunks": chunks, "initial_chunk": first}
    return Request(**wire.who, begin_chunk=start)


def send(wire: Wire, *requests: Request) -> list[tuple[str, bool]]:
    return [(a.name, a.is_crc_successful) for a in wire.stub.AddArtifacts(iter(requests)).artifacts]


def exists(wire: Wire, *names: str) -> list[bool]:
    response = wire.stub.ArtifactStatus(pb.ArtifactStatusesRequest(**wire.who, names=names))
    return [response.statuses[n].exists for n in names]


def test_single_and_chunked_artifacts(wire: Wire):
    assert send(wire, single(wire, "cache/a")) == [("cache/a", True)]
    more = Request(**wire.who, chunk=chunk(b"cd"))
    assert send(wire, begin(wire, "cache/b", chunk(b"ab"), 2, 4), more) == [("cache/b", True)]
    assert exists(wire, "cache/a", "cache/b", "cache/c", "files/a.txt") == [True, True, False, False]


def test_a_wrong_sum_is_reported_and_nothing_kept(wire: Wire):
    assert send(wire, single(wire, "cache/a", crc=1)) == [("cache/a", False)]
    more = Request(**wire.who, chunk=chunk(b"cd", 3))
    assert send(wire, begin(wire, "cache/b", chunk(b"ab"), 2, 4), more) == [("cache/b", False)]
    assert exists(wire, "cache/a", "cache/b") == [False, False]


def test_other_content_under_a_name_is_refused(wire: Wire):
    send(wire, single(wire, "files/a.txt", b"x"))
    assert send(wire, single(wire, "files/a.txt", b"x")) == [("files/a.txt", True)]
    told = wire.told(lambda: send(wire, single(wire, "files/a.txt", b"y")))
    assert told.condition == "ARTIFACT_ALREADY_EXISTS"
    assert told.parameters == {"normalizedRemoteRelativePath": "files/a.txt"}


@pytest.mark.parametrize("name", ["/etc/x", "../x", "files/../../x", "", "files/" + "9" * 300, "a/" * 3000])
def test_names_stay_in_the_sessions_folder(wire: Wire, name: str):
    assert wire.told(lambda: send(wire, single(wire, name))).condition == "INVALID_ARTIFACT_PATH"


def test_chunks_must_follow_each_other(wire: Wire):
    wire.version()
    alone = Request(**wire.who, chunk=chunk(b"x"))
    start = begin(wire, "files/a", chunk(b"ab"), 2, 4)
    for requests in ([alone], [start], [start, single(wire, "files/b")], []):
        told = wire.told(lambda requests=requests: send(wire, *requests))
        assert "java.lang.IllegalArgumentException" in told.classes


def test_artifacts_go_with_their_session(wire: Wire):
    send(wire, single(wire, "files/a.txt"))
    session = next(iter(wire.server._sessions.all()))
    folder = session.artifacts.folder
    assert folder.is_dir()
    wire.stub.ReleaseSession(pb.ReleaseSessionRequest(**wire.who))
    assert not folder.exists()


def test_the_stock_client_adds_files(wire: Wire, client, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"z" * 100_000)
    client.addArtifacts(str(path), file=True)
    session = next(s for s in wire.server._sessions.all() if s.key.session_id == client.session_id)
    assert session.artifacts.path("files/data.bin").read_bytes() == path.read_bytes()


class TestLocalRelations:
    def count(self, wire: Wire, relation: relations_pb2.Relation) -> int:
        list(wire.execute(pb.Plan(root=relation)))
        plan = wire.backend.scheduler.executed[-1]
        return plan.num_rows

    def upload(self, wire: Wire, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        send(wire, single(wire, f"cache/{name}", data))
        return name

    def test_cached(self, wire: Wire):
        local = relations_pb2.LocalRelation(data=ipc(pa.table({"id": [1, 2, 3]})))
        cached = relations_pb2.CachedLocalRelation(hash=self.upload(wire, local.SerializeToString()))
        assert self.count(wire, relations_pb2.Relation(cached_local_relation=cached)) == 3

    def test_chunked(self, wire: Wire):
        hashes = [self.upload(wire, ipc(pa.table({"id": [n, n + 1]}))) for n in (1, 3)]
        chunked = relations_pb2.ChunkedCachedLocalRelation(dataHashes=hashes)
        assert self.count(wire, relations_pb2.Relation(chunked_cached_local_relation=chunked)) == 4

    def test_one_that_was_not_uploaded(self, wire: Wire):
        cached = relations_pb2.CachedLocalRelation(hash="zz")
        plan = pb.Plan(root=relations_pb2.Relation(cached_local_relation=cached))
        told = wire.told(lambda: wire.execute(plan))
        assert told.condition == "INTERNAL_ERROR"
        assert "zz" in told.parameters["message"]

    @pytest.mark.slow
    def test_300_megabytes_from_the_stock_client(self, wire: Wire, client):
        rows = 300 * (1 << 20) // 8
        table = pa.table({"id": pa.array(np.arange(rows, dtype=np.int64))})
        assert client.createDataFrame(table).schema.names == ["id"]
        client.createDataFrame(table).toArrow()
        assert wire.backend.scheduler.executed[-1].num_rows == rows
