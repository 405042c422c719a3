"""Session handles, as Spark 4.1.1 answers them."""

from __future__ import annotations

import time
import uuid

import pytest
from connect_wire import Wire, range_plan
from pyspark.sql.connect.proto import base_pb2 as pb


def test_every_response_names_both_session_ids(wire: Wire):
    response = wire.version()
    assert response.session_id == wire.session_id
    assert response.server_side_session_id
    assert wire.version().server_side_session_id == response.server_side_session_id


def test_sessions_are_a_users_own(wire: Wire):
    mine = wire.version().server_side_session_id
    theirs = wire.version(user_context=pb.UserContext(user_id="bob")).server_side_session_id
    assert mine != theirs


@pytest.mark.parametrize("handle", ["", "abc", "0011223344556677 8899aabbccddeeff"])
def test_a_session_id_is_a_uuid(wire: Wire, handle: str):
    told = wire.told(lambda: wire.version(session_id=handle))
    assert told.condition == "INVALID_HANDLE.FORMAT"
    assert told.sqlstate == "HY000"
    assert told.parameters == {"handle": handle}
    assert told.classes[:2] == ["org.apache.spark.SparkSQLException", "java.sql.SQLException"]
    assert told.error_id is None


def test_a_restarted_server_is_noticed(wire: Wire):
    wire.version()
    told = wire.told(lambda: wire.version(client_observed_server_side_session_id=str(uuid.uuid4())))
    assert told.condition == "INVALID_HANDLE.SESSION_CHANGED"
    # With an id the client asks this session for details, fails again and hides what happened.
    assert told.error_id is None


def test_a_released_session_stays_closed(wire: Wire):
    server_side = wire.version().server_side_session_id
    response = wire.stub.ReleaseSession(pb.ReleaseSessionRequest(**wire.who))
    assert response.server_side_session_id == server_side
    assert wire.stub.ReleaseSession(pb.ReleaseSessionRequest(**wire.who)).server_side_session_id == ""
    for action in (wire.version, lambda: wire.execute(range_plan(1)), lambda: wire.reattach(str(uuid.uuid4()))):
        assert wire.told(action).condition == "INVALID_HANDLE.SESSION_CLOSED"


def test_a_session_released_with_reconnect_may_come_again(wire: Wire):
    first = wire.version().server_side_session_id
    wire.stub.ReleaseSession(pb.ReleaseSessionRequest(**wire.who, allow_reconnect=True))
    assert wire.version().server_side_session_id != first


def test_calls_about_the_past_make_no_session(wire: Wire):
    told = wire.told(lambda: wire.reattach(str(uuid.uuid4())))
    assert told.condition == "INVALID_HANDLE.SESSION_NOT_FOUND"
    assert wire.told(lambda: wire.release(str(uuid.uuid4()))).condition == "INVALID_HANDLE.SESSION_NOT_FOUND"


def test_releasing_a_session_stops_its_queries(wire: Wire):
    wire.backend.scheduler.pace.clear()
    stream = wire.execute(range_plan(10))
    _wait(lambda: wire.backend.scheduler.runs)
    wire.stub.ReleaseSession(pb.ReleaseSessionRequest(**wire.who))
    assert wire.told(lambda: stream).condition == "OPERATION_CANCELED"
    assert wire.backend.scheduler.runs[0].canceled.is_set()


class TestClone:
    def test_a_clone_starts_with_the_confs_of_its_source(self, wire: Wire):
        def config(session_id: str, **operation: object) -> list[str]:
            request = pb.ConfigRequest(
                session_id=session_id, user_context=pb.UserContext(user_id=wire.user), operation=operation
            )
            return [p.value for p in wire.stub.Config(request).pairs]

        config(wire.session_id, set={"pairs": [{"key": "my.key", "value": "1"}]})
        clone = wire.stub.CloneSession(pb.CloneSessionRequest(**wire.who))
        config(wire.session_id, set={"pairs": [{"key": "my.key", "value": "2"}]})
        assert config(clone.new_session_id, get={"keys": ["my.key"]}) == ["1"]
        assert clone.new_server_side_session_id not in ("", clone.server_side_session_id)

    def test_the_target_must_be_new(self, wire: Wire):
        wire.version()
        target, closed = str(uuid.uuid4()), str(uuid.uuid4())
        wire.version(session_id=closed)
        wire.stub.ReleaseSession(pb.ReleaseSessionRequest(**{**wire.who, "session_id": closed}))

        def clone(to: str) -> object:
            return wire.stub.CloneSession(pb.CloneSessionRequest(**wire.who, new_session_id=to))

        clone(target)
        prefix = "INVALID_CLONE_SESSION_REQUEST.TARGET_SESSION_ID_"
        assert wire.told(lambda: clone(target)).condition == prefix + "ALREADY_EXISTS"
        assert wire.told(lambda: clone(closed)).condition == prefix + "ALREADY_CLOSED"
        assert wire.told(lambda: clone("x")).condition == prefix + "FORMAT"


class TestIdle:
    @pytest.fixture
    def server_settings(self) -> dict[str, object]:
        return {"session_idle_timeout": 1.0}

    def test_an_idle_session_is_closed_and_a_busy_one_is_not(self, wire: Wire):
        wire.backend.scheduler.pace.clear()
        wire.version()
        busy = str(uuid.uuid4())
        request = pb.ExecutePlanRequest(**{**wire.who, "session_id": busy}, plan=range_plan(1))
        stream = wire.stub.ExecutePlan(request)
        _wait(lambda: wire.backend.scheduler.runs)
        time.sleep(2.2)
        assert wire.told(wire.version).condition == "INVALID_HANDLE.SESSION_CLOSED"
        wire.backend.scheduler.pace.set()
        assert sum(r.arrow_batch.row_count for r in stream) == 1


def _wait(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
