"""Limits as clients meet them: queued, refused, told, given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from connect_wire import Wire, range_plan
from pyspark.sql.connect.proto import base_pb2 as pb

from voltray.driver.connect.memory import GivingBack
from voltray.driver.scheduler.admission import QUEUE_STAGE


def wait(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server_settings(tmp_path: Path) -> dict[str, Any]:
    limits = tmp_path / "limits.toml"
    limits.write_text(
        "[users.ada]\nrunning_queries = 1\nqueued_queries = 1\n"
        'confs = { "spark.sql.session.timeZone" = "Asia/Tokyo" }\n'
        '[users.bob]\nresult_size = 10\nenvironment = { TEAM = "research" }\n'
    )
    return {"limits": str(limits)}


def time_zone(wire: Wire) -> str:
    request = pb.ConfigRequest(**wire.who, operation={"get": {"keys": ["spark.sql.session.timeZone"]}})
    return str(wire.stub.Config(request).pairs[0].value)


def test_a_query_waits_in_the_queue_and_is_told_its_place(wire: Wire):
    pairs = [{"key": "spark.connect.progress.reportInterval", "value": "50ms"}]
    wire.stub.Config(pb.ConfigRequest(**wire.who, operation={"set": {"pairs": pairs}}))
    wire.backend.scheduler.pace.clear()
    first = wire.execute(range_plan(3))
    wait(lambda: wire.backend.scheduler.runs)
    second = wire.execute(range_plan(3), reattachable=True)
    wait(lambda: wire.backend.admission.queued() == 1)
    told = wire.told(lambda: wire.execute(range_plan(3)))
    assert (told.condition, told.sqlstate) == ("USER_LIMIT_EXCEEDED.QUEUED_QUERIES", "53400")
    assert told.parameters == {"holder": "user ada", "limit": "1", "waiting": "1"}
    while not (stages := next(second).execution_progress.stages):
        pass
    assert (stages[0].stage_id, stages[0].num_tasks, stages[0].num_completed_tasks) == (QUEUE_STAGE, 1, 0)
    wire.backend.scheduler.pace.set()
    assert list(first) and list(second)
    wait(lambda: wire.backend.admission.running() == 0)


def test_a_queued_query_is_interrupted_or_left_by_its_client(wire: Wire):
    wire.backend.scheduler.pace.clear()
    first = wire.execute(range_plan(3))
    wait(lambda: wire.backend.scheduler.runs)
    for give_up in ("interrupt", "leave"):
        stream = wire.execute(range_plan(3), tags=["second"])
        wait(lambda: wire.backend.admission.queued() == 1)
        if give_up == "leave":
            stream.cancel()
        else:
            kind = pb.InterruptRequest.INTERRUPT_TYPE_TAG
            request = pb.InterruptRequest(**wire.who, interrupt_type=kind, operation_tag="second")
            assert len(wire.stub.Interrupt(request).interrupted_ids) == 1
            assert wire.told(lambda stream=stream: stream).condition == "OPERATION_CANCELED"
        wait(lambda: wire.backend.admission.queued() == 0)
    wire.backend.scheduler.pace.set()
    assert list(first)
    assert len(wire.backend.scheduler.runs) == 1


def test_results_confs_and_environment_are_the_users(wire: Wire):
    assert time_zone(wire) == "Asia/Tokyo"
    wire.user = "bob"
    assert time_zone(wire) != "Asia/Tokyo"
    assert wire.told(lambda: wire.execute(range_plan(3))).condition == "USER_LIMIT_EXCEEDED.RESULT_SIZE"
    session = next(s for s in _sessions(wire) if s.user == "bob")
    assert ("spark.executorEnv.TEAM", "research") in session.evaluation_context().confs


def test_memory_is_given_back():
    GivingBack(0).soon()


def _sessions(wire: Wire) -> Any:
    return wire.server._sessions.all()
