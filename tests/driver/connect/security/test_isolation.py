"""No call of one user reaches what another user has: each call of the service, with all that can be guessed known."""

from __future__ import annotations

import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import base_pb2_grpc, commands_pb2, relations_pb2

from voltray.driver.connect.server import STREAMED_REQUESTS, STREAMED_RESPONSES, UNARY, RunningServer, start_server
from voltray.driver.connect.session import SessionKey
from voltray.driver.settings import load_settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from connect_fakes import ENDLESS, FakeBackend
from connect_wire import range_plan

TOKENS = '[[tokens]]\ntoken = "t-ada"\nuser = "ada"\n[[tokens]]\ntoken = "t-eve"\nuser = "eve"\n'


class User:
    """One user's calls, all in the same session id and under the name of ada."""

    def __init__(self, channel: grpc.Channel, token: str, session_id: str) -> None:
        self.stub: Any = base_pb2_grpc.SparkConnectServiceStub(channel)
        self.metadata = [("authorization", f"Bearer {token}")]
        self.who = {"session_id": session_id, "user_context": pb.UserContext(user_id="ada", user_name="ada")}

    def call(self, name: str, request: Any) -> Any:
        answer = getattr(self.stub, name)(request, metadata=self.metadata, timeout=20)
        return list(answer) if name in STREAMED_RESPONSES else answer

    def start(self, name: str, request: Any) -> Any:
        return getattr(self.stub, name)(request, metadata=self.metadata)

    def condition(self, name: str, request: Any) -> str:
        """Make a call that fails; its condition."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(name, request)
        status, info = rpc_status.from_call(caught.value), error_details_pb2.ErrorInfo()
        assert status is not None, caught.value
        status.details[0].Unpack(info)
        return info.metadata["errorClass"]


class Scene:
    """ada with a session full of things, and eve, who knows every id of them."""

    def __init__(self, server: RunningServer, backend: FakeBackend, channel: grpc.Channel) -> None:
        self.server, self.backend = server, backend
        session_id = str(uuid.uuid4())
        self.ada, self.eve = User(channel, "t-ada", session_id), User(channel, "t-eve", session_id)
        self.operation_id = str(uuid.uuid4())
        backend.scheduler.pace.clear()
        request = pb.ExecutePlanRequest(
            **self.ada.who, plan=range_plan(ENDLESS, 10), operation_id=self.operation_id, tags=["nightly"]
        )
        request.request_options.add().reattach_options.reattachable = True
        self.running = self.ada.start("ExecutePlan", request)
        config = pb.ConfigRequest(**self.ada.who)
        config.operation.set.pairs.add(key="spark.my.secret", value="42")
        self.ada.call("Config", config)
        self.ada.call("AddArtifacts", iter([self.artifact(self.ada, "cache/one", b"ada's")]))
        failing = pb.ExecutePlanRequest(**self.ada.who, plan=pb.Plan(command=commands_pb2.Command()))
        with pytest.raises(grpc.RpcError) as caught:
            self.ada.call("ExecutePlan", failing)
        info = error_details_pb2.ErrorInfo()
        rpc_status.from_call(caught.value).details[0].Unpack(info)
        self.error_id = info.metadata["errorId"]
        view = commands_pb2.Command()
        view.create_dataframe_view.name = "mine"
        view.create_dataframe_view.input.CopyFrom(range_plan(7).root)
        self.ada.call("ExecutePlan", pb.ExecutePlanRequest(**self.ada.who, plan=pb.Plan(command=view)))
        view.create_dataframe_view.is_global = True
        self.ada.call("ExecutePlan", pb.ExecutePlanRequest(**self.ada.who, plan=pb.Plan(command=view)))
        persist = pb.AnalyzePlanRequest(**self.ada.who)
        persist.persist.relation.CopyFrom(range_plan(7).root)
        self.ada.call("AnalyzePlan", persist)

    @staticmethod
    def artifact(user: User, name: str, data: bytes) -> pb.AddArtifactsRequest:
        request = pb.AddArtifactsRequest(**user.who)
        chunk = pb.AddArtifactsRequest.ArtifactChunk(data=data, crc=zlib.crc32(data))
        request.batch.artifacts.add(name=name, data=chunk)
        return request

    def session_of(self, user: str) -> Any:
        (found,) = [s for s in self.server._sessions.all() if s.key == SessionKey(user, self.ada.who["session_id"])]
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "tokens.toml").write_text(TOKENS)
    settings = load_settings(
        {"port": 0, "warehouse_dir": tmp_path / "warehouse", "auth_tokens": tmp_path / "tokens.toml"}
    )
    backend = FakeBackend(settings)
    server = start_server(settings, backend)
    channel = grpc.insecure_channel(server.address)
    made = Scene(server, backend, channel)
    yield made
    for session in server._sessions.all():
        server._sessions.release(session.key, allow_reconnect=False)
    channel.close()
    server.stop(0)


def execute_plan(scene: Scene) -> None:
    """The same operation id starts work of one's own, and stopping it stops nothing else."""
    scene.backend.scheduler.pace.set()
    own = pb.ExecutePlanRequest(**scene.eve.who, plan=range_plan(3), operation_id=scene.operation_id)
    scene.backend.scheduler.pace.clear()
    started = scene.eve.start("ExecutePlan", own)
    time.sleep(0.3)
    assert len(scene.backend.scheduler.runs) == 2
    ids = [s.operations.get(scene.operation_id).work_id for s in map(scene.session_of, ("ada", "eve"))]
    assert ids[0] != ids[1]
    started.cancel()
    interrupt(scene)


def reattach_execute(scene: Scene) -> None:
    request = pb.ReattachExecuteRequest(**scene.eve.who, operation_id=scene.operation_id)
    assert scene.eve.condition("ReattachExecute", request) == "INVALID_HANDLE.SESSION_NOT_FOUND"
    analyze_plan(scene)
    assert scene.eve.condition("ReattachExecute", request) == "INVALID_HANDLE.OPERATION_NOT_FOUND"


def release_execute(scene: Scene) -> None:
    request = pb.ReleaseExecuteRequest(**scene.eve.who, operation_id=scene.operation_id)
    request.release_all.SetInParent()
    assert scene.eve.condition("ReleaseExecute", request) == "INVALID_HANDLE.SESSION_NOT_FOUND"
    analyze_plan(scene)
    assert not scene.eve.call("ReleaseExecute", request).operation_id


def analyze_plan(scene: Scene) -> None:
    """Neither what is persisted nor the other's server-side session can be seen."""
    level = pb.AnalyzePlanRequest(**scene.eve.who)
    level.get_storage_level.relation.CopyFrom(range_plan(7).root)
    assert not scene.eve.call("AnalyzePlan", level).get_storage_level.storage_level.use_memory
    level.client_observed_server_side_session_id = scene.session_of("ada").server_side_session_id
    assert scene.eve.condition("AnalyzePlan", level) == "INVALID_HANDLE.SESSION_CHANGED"
    eve = scene.session_of("eve").catalog
    assert (dict(eve.temp_views), dict(eve.global_temp_views)) == ({}, {})


def config(scene: Scene) -> None:
    request = pb.ConfigRequest(**scene.eve.who)
    request.operation.get_all.SetInParent()
    assert "spark.my.secret" not in [p.key for p in scene.eve.call("Config", request).pairs]
    request.operation.unset.keys.append("spark.my.secret")
    scene.eve.call("Config", request)


def add_artifacts(scene: Scene) -> None:
    """The same name holds something else."""
    scene.eve.call("AddArtifacts", iter([scene.artifact(scene.eve, "cache/one", b"eve's")]))
    assert scene.session_of("eve").artifacts.blob("one") == b"eve's"
    assert scene.session_of("eve").artifacts.folder != scene.session_of("ada").artifacts.folder


def artifact_status(scene: Scene) -> None:
    request = pb.ArtifactStatusesRequest(**scene.eve.who, names=["cache/one"])
    assert not scene.eve.call("ArtifactStatus", request).statuses["cache/one"].exists


def interrupt(scene: Scene) -> None:
    kinds = pb.InterruptRequest
    for fields in (
        {"interrupt_type": kinds.INTERRUPT_TYPE_ALL},
        {"interrupt_type": kinds.INTERRUPT_TYPE_TAG, "operation_tag": "nightly"},
        {"interrupt_type": kinds.INTERRUPT_TYPE_OPERATION_ID, "operation_id": scene.operation_id},
    ):
        scene.eve.call("Interrupt", pb.InterruptRequest(**scene.eve.who, **fields))
        assert not scene.backend.scheduler.runs[0].canceled.is_set()


def release_session(scene: Scene) -> None:
    answer = scene.eve.call("ReleaseSession", pb.ReleaseSessionRequest(**scene.eve.who))
    assert not answer.server_side_session_id


def fetch_error_details(scene: Scene) -> None:
    request = pb.FetchErrorDetailsRequest(**scene.eve.who, error_id=scene.error_id)
    assert scene.eve.condition("FetchErrorDetails", request) == "INVALID_HANDLE.SESSION_NOT_FOUND"
    analyze_plan(scene)
    assert not scene.eve.call("FetchErrorDetails", request).errors
    request = pb.FetchErrorDetailsRequest(**scene.ada.who, error_id=scene.error_id)
    assert scene.ada.call("FetchErrorDetails", request).errors


def clone_session(scene: Scene) -> None:
    request = pb.CloneSessionRequest(**scene.eve.who)
    assert scene.eve.condition("CloneSession", request) == "INVALID_HANDLE.SESSION_NOT_FOUND"
    own = pb.CloneSessionRequest(**scene.ada.who)
    copied = scene.ada.call("CloneSession", own).new_session_id
    other = pb.ReleaseSessionRequest(session_id=copied, user_context=scene.eve.who["user_context"])
    assert not scene.eve.call("ReleaseSession", other).server_side_session_id


TRIALS: dict[str, Callable[[Scene], None]] = {
    "ExecutePlan": execute_plan,
    "ReattachExecute": reattach_execute,
    "ReleaseExecute": release_execute,
    "AnalyzePlan": analyze_plan,
    "Config": config,
    "AddArtifacts": add_artifacts,
    "ArtifactStatus": artifact_status,
    "Interrupt": interrupt,
    "ReleaseSession": release_session,
    "FetchErrorDetails": fetch_error_details,
    "CloneSession": clone_session,
}


def test_every_call_is_tried():
    assert set(TRIALS) == {*UNARY, *STREAMED_RESPONSES, *STREAMED_REQUESTS}


@pytest.mark.parametrize("name", TRIALS)
def test_a_call_reaches_nothing_of_another_user(scene: Scene, name: str):
    TRIALS[name](scene)
    ada = scene.session_of("ada")
    assert not scene.backend.scheduler.runs[0].canceled.is_set()
    assert ada.operations.get(scene.operation_id) is not None
    assert ada.confs.get("spark.my.secret") == "42"
    assert ada.artifacts.blob("one") == b"ada's"
    assert set(ada.catalog.temp_views) == set(ada.catalog.global_temp_views) == {"mine"}
    relation = relations_pb2.Relation()
    relation.range.CopyFrom(range_plan(7).root.range)
    level = pb.AnalyzePlanRequest(**scene.ada.who)
    level.get_storage_level.relation.CopyFrom(relation)
    assert scene.ada.call("AnalyzePlan", level).get_storage_level.storage_level.use_memory
    scene.backend.scheduler.pace.set()
    assert next(scene.running).session_id == scene.ada.who["session_id"]
    scene.running.cancel()
