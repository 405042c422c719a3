"""Traces, as a collector gets them: an operation below its client's span, stages below it, tasks below those."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pyspark.sql.connect.proto import base_pb2 as pb
from sites import free_port, serve, wait_until
from test_page import failing_plan, range_plan

from voltray.driver.settings import SettingError

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Keeps the spans that come."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    data = gzip.decompress(data)
                request = ExportTraceServiceRequest.FromString(data)
                spans.extend(s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, start: str) -> list[Any]:
        return [s for s in self.spans if s.name.startswith(start)]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a collector of traces."""
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_spans_form_a_tree_below_the_clients(tmp_path: Path, collector: Collector):
    serving = serve(tmp_path, {"otel_endpoint": collector.url})
    site = next(serving)
    scheduler = site.backend.scheduler
    execute = scheduler.execute

    def execute_with_notes(plan: Any, context: Any, *, operation_id: str, user: str) -> Any:
        query = site.backend.monitor.query(operation_id)
        options: dict[str, Any] = {"partitions": 2, "caches": (), "file_bytes": 0, "operators": tuple}
        first = query.stage(0, "hash", 2, inputs=(), **options)
        for index in range(2):
            first.task_done(index, index, first.began + 0.001, 0.002, 5, 40)
        first.end()
        query.stage(1, "result", 1, inputs=(0,), **options).task_done(0, 0, first.began + 0.01, 0.001, 10, 80)
        return execute(plan, context, operation_id=operation_id, user=user)

    scheduler.execute = execute_with_notes
    who = {"session_id": site.session_id, "user_context": pb.UserContext(user_id="ada")}
    request = pb.ExecutePlanRequest(**who, plan=range_plan(10, 5), tags=["nightly"])
    list(site.stub.ExecutePlan(request, metadata=[("traceparent", CLIENT)]))
    with pytest.raises(grpc.RpcError):
        list(site.run(failing_plan()))
    site.wait_for("failed")
    assert next(serving, None) is None
    # What was left has been sent as the server stopped.
    finished, failed = sorted(wait_until(lambda: collector.named("operation")), key=lambda s: s.start_time_unix_nano)
    assert finished.trace_id.hex() == CLIENT.split("-")[1] and finished.parent_span_id.hex() == CLIENT.split("-")[2]
    told = attributes(finished)
    assert (told["enduser.id"], told["voltray.state"], told["voltray.rows"]) == ("ada", "finished", 10)
    assert failed.parent_span_id == b"" and failed.trace_id != finished.trace_id
    assert attributes(failed)["error.type"] == failed.status.message == "DIVIDE_BY_ZERO"
    stages = [s for s in collector.named("stage") if s.trace_id == finished.trace_id]
    assert {s.name: s.parent_span_id for s in stages} == dict.fromkeys(("stage 0", "stage 1"), finished.span_id)
    parents = {s.name: s.span_id for s in stages}
    tasks = [s for s in collector.named("task") if s.trace_id == finished.trace_id]
    assert sorted(t.name for t in tasks) == ["task 0.0", "task 0.1", "task 1.0"]
    assert all(t.parent_span_id == parents[f"stage {t.name.split()[1].split('.')[0]}"] for t in tasks)
    assert all(0 < t.end_time_unix_nano - t.start_time_unix_nano < 10_000_000 for t in tasks)


def test_nothing_is_loaded_without_an_endpoint():
    code = (
        "import sys; from voltray.driver.monitoring.traces import traces_of; assert traces_of('') is None;"
        "import voltray.driver.connect.server; names = ('opentelemetry', 'aiohttp', 'jinja2', 'prometheus_client');"
        "print([m for m in sys.modules if m.startswith(names)])"
    )
    environment = {"PATH": "", "HOME": "/"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_an_endpoint_without_opentelemetry_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingError, match="install voltray"):
        next(serve(tmp_path, {"otel_endpoint": f"http://127.0.0.1:{free_port()}"}))
