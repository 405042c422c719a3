"""Executions: streams, reattaching, releasing, interrupting, buffers."""

from __future__ import annotations

import threading
import time
import uuid

import grpc
import pyarrow as pa
import pytest
from connect_fakes import ENDLESS
from connect_wire import Wire, range_plan
from pyspark.sql.connect.proto import base_pb2 as pb


def rows(responses) -> list[int]:
    batches = [pa.ipc.open_stream(r.arrow_batch.data).read_all() for r in responses if r.HasField("arrow_batch")]
    return [number for batch in batches for number in batch.column("id").to_pylist()]


def wait(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class TestPlain:
    def test_a_stream_has_schema_rows_and_ids(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        responses = list(wire.execute(range_plan(5, 2), operation_id=operation_id))
        assert responses[0].schema.struct.fields[0].name == "id"
        assert rows(responses) == [0, 1, 2, 3, 4]
        assert {r.operation_id for r in responses} == {operation_id}
        assert len({r.response_id for r in responses}) == len(responses)
        assert [r.arrow_batch.start_offset for r in responses if r.HasField("arrow_batch")] == [0, 2, 4]
        assert not any(r.HasField("result_complete") for r in responses)

    def test_an_operation_id_serves_once(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        list(wire.execute(range_plan(1), operation_id=operation_id))
        wait(lambda: wire.told(lambda: wire.reattach(operation_id)).condition == "INVALID_HANDLE.OPERATION_NOT_FOUND")
        again = wire.told(lambda: wire.execute(range_plan(1), operation_id=operation_id))
        assert again.condition == "INVALID_HANDLE.OPERATION_ABANDONED"

    def test_an_operation_id_is_a_uuid(self, wire: Wire):
        assert wire.told(lambda: wire.execute(range_plan(1), operation_id="zz")).condition == "INVALID_HANDLE.FORMAT"

    def test_a_client_that_goes_stops_its_query(self, wire: Wire):
        stream = wire.execute(range_plan(ENDLESS, 10))
        next(stream)
        stream.cancel()
        wait(lambda: wire.backend.scheduler.runs[0].canceled.is_set())


class TestReattachable:
    def test_a_stream_ends_with_result_complete(self, wire: Wire):
        responses = list(wire.execute(range_plan(3), reattachable=True))
        assert responses[-1].HasField("result_complete")

    def test_reattaching_continues_after_a_response(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        responses = list(wire.execute(range_plan(6, 2), reattachable=True, operation_id=operation_id))
        again = list(wire.reattach(operation_id, responses[0].response_id))
        assert [r.response_id for r in again] == [r.response_id for r in responses[1:]]
        assert [r.response_id for r in wire.reattach(operation_id)] == [r.response_id for r in responses]

    def test_the_same_request_twice_is_one_execution(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        first = list(wire.execute(range_plan(6, 2), reattachable=True, operation_id=operation_id))
        second = list(wire.execute(range_plan(6, 2), reattachable=True, operation_id=operation_id))
        assert [r.response_id for r in first] == [r.response_id for r in second]
        assert len(wire.backend.scheduler.runs) == 1
        other = wire.told(lambda: wire.execute(range_plan(7), reattachable=True, operation_id=operation_id))
        assert other.condition == "INVALID_HANDLE.OPERATION_ALREADY_EXISTS"

    def test_a_query_goes_on_without_its_client(self, wire: Wire):
        wire.backend.scheduler.pace.clear()
        operation_id = str(uuid.uuid4())
        stream = wire.execute(range_plan(4, 2), reattachable=True, operation_id=operation_id)
        wait(lambda: wire.backend.scheduler.runs)
        stream.cancel()
        wire.backend.scheduler.pace.set()
        assert rows(wire.reattach(operation_id)) == [0, 1, 2, 3]
        assert not wire.backend.scheduler.runs[0].canceled.is_set()

    def test_a_second_reader_takes_the_place_of_the_first(self, wire: Wire):
        wire.backend.scheduler.pace.clear()
        operation_id = str(uuid.uuid4())
        first = wire.execute(range_plan(2), reattachable=True, operation_id=operation_id)
        wait(lambda: wire.backend.scheduler.runs)
        second = wire.reattach(operation_id)
        assert wire.told(lambda: first).condition == "INVALID_CURSOR.DISCONNECTED"
        wire.backend.scheduler.pace.set()
        assert rows(second) == [0, 1]

    def test_cursors(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        responses = list(wire.execute(range_plan(6, 2), reattachable=True, operation_id=operation_id))
        unknown = wire.told(lambda: wire.reattach(operation_id, "nope"))
        assert (unknown.condition, unknown.sqlstate) == ("INVALID_CURSOR.POSITION_NOT_FOUND", "HY109")
        assert wire.release(operation_id, responses[0].response_id).operation_id == operation_id
        gone = wire.told(lambda: wire.reattach(operation_id))
        assert gone.condition == "INVALID_CURSOR.POSITION_NOT_AVAILABLE"
        assert gone.parameters == {"index": "1", "responseId": responses[0].response_id}
        assert rows(wire.reattach(operation_id, responses[0].response_id)) == [2, 3, 4, 5]

    def test_a_released_operation_is_gone(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        list(wire.execute(range_plan(1), reattachable=True, operation_id=operation_id))
        assert wire.release(operation_id).operation_id == operation_id
        assert wire.release(operation_id).operation_id == ""
        assert wire.told(lambda: wire.reattach(operation_id)).condition == "INVALID_HANDLE.OPERATION_NOT_FOUND"
        again = wire.told(lambda: wire.execute(range_plan(1), reattachable=True, operation_id=operation_id))
        assert again.condition == "INVALID_HANDLE.OPERATION_ABANDONED"

    def test_releasing_a_running_operation_stops_it(self, wire: Wire):
        wire.backend.scheduler.pace.clear()
        operation_id = str(uuid.uuid4())
        stream = wire.execute(range_plan(1), reattachable=True, operation_id=operation_id)
        wait(lambda: wire.backend.scheduler.runs)
        wire.release(operation_id)
        wait(lambda: wire.backend.scheduler.runs[0].canceled.is_set())
        assert wire.told(lambda: stream).condition == "OPERATION_CANCELED"

    def test_a_failure_is_told_again_to_who_asks_again(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        told = wire.told(lambda: wire.execute(range_plan(1, step=2), reattachable=True, operation_id=operation_id))
        assert told.condition == "DIVIDE_BY_ZERO"
        assert wire.told(lambda: wire.reattach(operation_id)).condition == "DIVIDE_BY_ZERO"


class TestBuffer:
    @pytest.fixture
    def server_settings(self) -> dict[str, object]:
        return {"reattach_buffer_bytes": 64 << 10}

    @pytest.mark.parametrize("reattachable", [True, False])
    def test_a_slow_reader_holds_the_query_back(self, wire: Wire, reattachable: bool):
        stream = wire.execute(range_plan(2000 * 1000, 1000), reattachable=reattachable)
        next(stream)
        run = wire.backend.scheduler.runs[0]
        before = -1
        while run.produced != before:
            before = run.produced
            time.sleep(0.3)
        assert run.produced < 1000  # what lies in the buffers of the transport counts too
        assert len(rows(stream)) == 2000 * 1000 - 1000

    def test_what_was_sent_is_dropped_first(self, wire: Wire):
        operation_id = str(uuid.uuid4())
        responses = list(wire.execute(range_plan(100_000, 1000), reattachable=True, operation_id=operation_id))
        told = wire.told(lambda: wire.reattach(operation_id))
        assert told.condition == "INVALID_CURSOR.POSITION_NOT_AVAILABLE"
        batches = [response for response in responses if response.HasField("arrow_batch")]
        assert rows(wire.reattach(operation_id, batches[-2].response_id)) == list(range(99_000, 100_000))


class TestBrokenConnection:
    @pytest.fixture
    def server_settings(self) -> dict[str, object]:
        return {"reattach_buffer_bytes": 24 << 20}

    def test_a_detached_query_waits_with_a_full_buffer_and_loses_nothing(self, wire: Wire):
        operation_id, batch = str(uuid.uuid4()), 50_000
        plan = range_plan(batch * 120, batch)
        stream = wire.execute(plan, reattachable=True, operation_id=operation_id)
        first = next(stream)
        time.sleep(0.5)
        stream.cancel()
        time.sleep(0.5)
        assert wire.backend.scheduler.runs[0].produced < 110
        numbers = rows(wire.reattach(operation_id, first.response_id))
        assert (numbers[0], numbers[-1], len(numbers)) == (batch, batch * 120 - 1, batch * 119)


class TestChunks:
    @pytest.mark.parametrize("size", [2000, None])
    def test_batches_are_cut_where_the_client_takes_chunks(self, wire: Wire, size: int | None):
        options = {"allow_arrow_batch_chunking": True, "preferred_arrow_chunk_size": size}
        option = pb.ExecutePlanRequest.RequestOption(result_chunking_options=options)
        stream = wire.execute(range_plan(1000), request_options=[option])
        batches = [r.arrow_batch for r in stream if r.HasField("arrow_batch")]
        assert [b.chunk_index for b in batches] == list(range(len(batches)))
        assert {b.num_chunks_in_batch for b in batches} == {len(batches)}
        assert {b.row_count for b in batches} == {1000}
        assert (len(batches) > 3) == (size is not None)
        whole = pa.ipc.open_stream(b"".join(b.data for b in batches)).read_all()
        assert whole.num_rows == 1000

    def test_the_stock_client_puts_chunks_together(self, wire: Wire, client):
        client.client._preferred_arrow_chunk_size = 1024
        assert client.range(0, 5000, 1, 2500).toArrow().num_rows == 5000


class TestInterrupt:
    def interrupt(self, wire: Wire, **fields) -> list[str]:
        return list(wire.stub.Interrupt(pb.InterruptRequest(**wire.who, **fields)).interrupted_ids)

    def start(self, wire: Wire, *tags: str):
        operation_id = str(uuid.uuid4())
        seen = len(wire.backend.scheduler.runs)
        stream = wire.execute(range_plan(5), reattachable=True, operation_id=operation_id, tags=tags)
        wait(lambda: len(wire.backend.scheduler.runs) > seen)
        return operation_id, stream

    def test_by_operation_tag_and_all(self, wire: Wire):
        wire.backend.scheduler.pace.clear()
        (one, first), (two, second), (three, third) = self.start(wire), self.start(wire, "t"), self.start(wire)
        assert self.interrupt(wire, interrupt_type=3, operation_id=one) == [one]
        assert self.interrupt(wire, interrupt_type=2, operation_tag="t") == [two]
        assert self.interrupt(wire, interrupt_type=1) == [three]
        for stream in (first, second, third):
            told = wire.told(lambda stream=stream: stream)
            assert (told.condition, told.sqlstate) == ("OPERATION_CANCELED", "HY008")
        assert self.interrupt(wire, interrupt_type=1) == []

    def test_requests_that_say_too_little(self, wire: Wire):
        def condition(**fields):
            return wire.told(lambda: self.interrupt(wire, **fields)).condition

        prefix = "INVALID_PARAMETER_VALUE.INTERRUPT_TYPE_"
        assert condition(interrupt_type=2) == prefix + "TAG_REQUIRES_TAG"
        assert condition(interrupt_type=3) == prefix + "OPERATION_ID_REQUIRES_ID"
        assert condition() == "UNSUPPORTED_FEATURE.INTERRUPT_TYPE"

    @pytest.mark.parametrize("tag", ["", "a,b"])
    def test_tags_have_rules(self, wire: Wire, tag: str):
        told = wire.told(lambda: wire.execute(range_plan(1), tags=[tag]))
        assert "Spark Connect tag cannot" in told.message
        assert "java.lang.IllegalArgumentException" in told.classes


def test_progress_is_told_while_a_query_works(wire: Wire):
    pairs = [{"key": "spark.connect.progress.reportInterval", "value": "50ms"}]
    wire.stub.Config(pb.ConfigRequest(**wire.who, operation={"set": {"pairs": pairs}}))
    wire.backend.scheduler.pace.clear()
    stream = wire.execute(range_plan(3), reattachable=True)
    told = [next(stream), next(stream)]
    assert all(r.execution_progress.stages[0].num_tasks == 10 for r in told)
    wire.backend.scheduler.pace.set()
    assert rows(stream) == [0, 1, 2]


def test_the_stock_clients_progress_bar_moves(wire: Wire, client):
    seen = []
    client.registerProgressHandler(lambda **fields: seen.append(fields))
    assert client.range(5).count  # builds nothing yet
    assert client.range(3).toArrow().num_rows == 3
    assert seen
    assert seen[-1]["done"]


def test_a_stopping_server_tells_queries_that_do_not_end(wire: Wire):
    wire.backend.scheduler.pace.clear()
    stream = wire.execute(range_plan(3), reattachable=True)
    wait(lambda: wire.backend.scheduler.runs)
    stopping = threading.Thread(target=wire.server.stop, args=(0.5,))
    stopping.start()
    time.sleep(0.2)
    with pytest.raises(grpc.RpcError) as refused:
        list(wire.execute(range_plan(1)))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    told = wire.told(lambda: stream)
    assert told.condition == "OPERATION_CANCELED"
    assert "stopping" in told.message
    details = pb.FetchErrorDetailsRequest(**wire.who, error_id=told.error_id)
    assert wire.stub.FetchErrorDetails(details).HasField("root_error_idx")
    stopping.join()


def test_a_stopping_server_lets_queries_finish(wire: Wire):
    wire.backend.scheduler.pace.clear()
    stream = wire.execute(range_plan(3), reattachable=True)
    wait(lambda: wire.backend.scheduler.runs)
    threading.Timer(0.3, wire.backend.scheduler.pace.set).start()
    stopping = threading.Thread(target=wire.server.stop, args=(10,))
    stopping.start()
    assert rows(stream) == [0, 1, 2]
    stopping.join(5)
    assert not stopping.is_alive()
