"""The metrics, as Prometheus reads them."""

from __future__ import annotations

import grpc
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sites import Site, free_port
from test_page import failing_plan, range_plan

METRICS_PORT = free_port()


def metrics_of(text: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values in order."""
    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_metrics_count_what_was_done(site: Site):
    list(site.run(range_plan(10, 5)))
    with pytest.raises(grpc.RpcError):
        list(site.run(failing_plan(), "eve"))
    site.wait_for("failed")
    found = metrics_of(site.get("/metrics").text)
    assert found["voltray_sessions",] == found["voltray_sessions_opened_total",] == 2
    assert found["voltray_operations_total", "finished"] == found["voltray_operations_total", "failed"] == 1
    assert found["voltray_operations_total", "cancelled"] == 0
    assert found["voltray_operations_active", "running"] == found["voltray_queue_length",] == 0
    assert found["voltray_result_rows_total",] == 10 and found["voltray_result_bytes_total",] > 0
    assert found["voltray_operation_seconds_count", "finished"] == 1
    assert found["voltray_operation_seconds_bucket", "+Inf", "finished"] == 1
    assert 0 < found["voltray_operation_seconds_sum", "finished"] < 60
    assert found["voltray_driver_resident_bytes",] > 1 << 20
    assert not [key for key in found if {"ada", "eve", site.session_id} & set(key)]


@pytest.mark.parametrize("site_settings", [{"metrics_port": METRICS_PORT}])
def test_metrics_have_a_port_of_their_own_without_proof(guarded: Site):
    assert guarded.get("/metrics").status_code == 401
    assert ("voltray_sessions",) in metrics_of(guarded.get("/metrics", "eve").text)
    url = f"http://127.0.0.1:{METRICS_PORT}"
    assert ("voltray_sessions",) in metrics_of(requests.get(f"{url}/metrics", timeout=20).text)
    for path in ("/", "/api/status", "/login", "/sessions"):
        assert requests.get(url + path, timeout=20).status_code == 404
