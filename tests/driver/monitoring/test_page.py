"""The status page and its API: what is told of operations, who sees what, who may stop what."""

from __future__ import annotations

import re
import ssl
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from pyspark.sql.connect.proto import base_pb2 as pb
from sites import Site, free_port, serve, sql_plan, wait_until

sys.path.insert(0, str(Path(__file__).parents[1] / "connect"))
sys.path.insert(0, str(Path(__file__).parents[1] / "connect" / "security"))
from certificates import Authority
from connect_fakes import ENDLESS
from connect_wire import range_plan


def failing_plan() -> pb.Plan:
    """A plan that divides by zero."""
    plan = range_plan(10)
    plan.root.range.step = 2
    return plan


def fail(site: Site, user: str = "ada") -> None:
    with pytest.raises(grpc.RpcError):
        list(site.run(failing_plan(), user))


def test_finished_and_failed_operations_are_told(site: Site):
    list(site.run(range_plan(10, 5), tags=["nightly"]))
    done = site.wait_for("finished")
    assert (done["rows"], done["user"], done["tags"]) == (10, "ada", ["nightly"])
    assert done["bytes"] > 0 and done["ended"] >= done["began"] and done["statement"].startswith("'Range 0, 10, 1")
    fail(site)
    failed = site.wait_for("failed")
    assert failed["condition"] == "DIVIDE_BY_ZERO" and "Division by zero" in failed["message"]
    assert [o["number"] for o in site.operations(query="?state=failed")] == [failed["number"]]
    assert [o["number"] for o in site.operations(query="?text=NIGHTLY")] == [done["number"]]
    (session,) = site.get("/api/status").json()["sessions"]
    assert session["session_id"] == site.session_id and session["operations_ended"] == 2
    page = site.get("/").text
    assert "DIVIDE_BY_ZERO" in page and "nightly" in page
    assert site.session_id in site.get("/sessions").text
    assert "Division by zero" in site.get(f"/operations/{failed['number']}").text
    assert site.get("/operations/99").status_code == 404


def test_cancelling_stops_the_operation(site: Site):
    site.backend.scheduler.pace.clear()
    running = site.run(range_plan(ENDLESS, 10))
    told = site.wait_for("running")
    path = f"/api/operations/{told['number']}/cancel"
    assert site.post(path).status_code == 403  # a page elsewhere cannot send the header
    assert site.post(path, headers={"X-Voltray": "1"}).json() == {"cancelled": True}
    with pytest.raises(grpc.RpcError, match=r"OPERATION_CANCELED.*status page"):
        list(running)
    assert site.wait_for("cancelled")["condition"] == "OPERATION_CANCELED"
    assert wait_until(lambda: site.backend.scheduler.runs[0].canceled.is_set())
    assert site.post(path, headers={"X-Voltray": "1"}).json() == {"cancelled": False}


def test_cancelling_by_the_form(site: Site):
    site.backend.scheduler.pace.clear()
    running = site.run(range_plan(ENDLESS, 10))
    number = site.wait_for("running")["number"]
    page = site.get(f"/operations/{number}").text
    action, token = re.search(r'action="\.\./(operations/\d+/cancel)"><input[^>]*value="(\w+)"', page).groups()
    refused = {"no token": {}, "made up": {"form": "0" * 64}, "not ASCII": {"form": "é"}}
    assert {w: site.post(f"/{action}", data=d).status_code for w, d in refused.items()} == dict.fromkeys(refused, 403)
    foreign = [{"Origin": o} for o in ("http://evil.example", "null", "http://127.0.0.1:1")]
    foreign.append({"Sec-Fetch-Site": "cross-site"})
    for headers in foreign:
        assert site.post(f"/{action}", data={"form": token}, headers=headers).status_code == 403
    assert site.wait_for("running")
    answer = site.post(f"/{action}", data={"form": token}, headers={"Origin": site.url}, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"../{number}")
    with pytest.raises(grpc.RpcError):
        list(running)
    assert site.wait_for("cancelled")


def test_queued_operations_tell_their_place(site: Site):
    site.backend.admission._server_running = 1
    site.backend.scheduler.pace.clear()
    running = [site.run(range_plan(ENDLESS, 10)) for _ in range(3)]
    states = wait_until(lambda: (found := sorted((o["state"], o["queue_position"]) for o in site.operations()))[1:] == [
        ("queued", 2), ("running", 0)] and found)  # fmt: skip
    assert states[0] == ("queued", 1)
    assert "queued · place 2" in site.get("/?state=queued").text
    for one in running:
        one.cancel()


def test_nothing_is_told_without_a_token(guarded: Site):
    list(guarded.run(range_plan(3)))
    api = ["/api/status", "/api/operations/1", "/metrics"]
    for path in ["/", "/sessions", "/executors", "/operations/1", "/nothing", *api]:
        answer = guarded.get(path)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert guarded.get(path, headers={"Authorization": "Bearer t-mallory"}).status_code == 401
        assert guarded.session_id not in answer.text and "Range" not in answer.text
    assert guarded.post("/api/operations/1/cancel", headers={"X-Voltray": "1"}).status_code == 401
    assert guarded.post("/operations/1/cancel").status_code == 401


def test_a_user_sees_their_own_alone_and_an_admin_all(guarded: Site):
    guarded.backend.scheduler.pace.clear()
    running = guarded.run(range_plan(ENDLESS, 10), "ada")
    number = guarded.wait_for("running", "ada")["number"]
    assert guarded.operations("eve") == [] and guarded.get("/api/status", "eve").json()["sessions"] == []
    assert "No operation" in guarded.get("/", "eve").text or "Nothing has run yet" in guarded.get("/", "eve").text
    path = f"/api/operations/{number}"
    assert guarded.get(path, "eve").status_code == guarded.get(path.removeprefix("/api"), "eve").status_code == 404
    assert guarded.post(f"{path}/cancel", "eve", headers={"X-Voltray": "1"}).status_code == 404
    assert guarded.get(path, "ada").json()["state"] == "running"
    assert guarded.get(path, "root").json()["user"] == "ada"
    assert [s["user"] for s in guarded.get("/api/status", "root").json()["sessions"]] == ["ada"]
    assert guarded.post(f"{path}/cancel", "root", headers={"X-Voltray": "1"}).json() == {"cancelled": True}
    with pytest.raises(grpc.RpcError, match="by root"):
        list(running)


def test_logging_in_by_the_form(guarded: Site):
    list(guarded.run(range_plan(3)))
    browser = requests.Session()
    assert 'name="token"' in browser.get(guarded.url, timeout=20).text
    wrong = browser.post(f"{guarded.url}/login", data={"token": "t-mallory"}, timeout=20)
    assert wrong.status_code == 401 and not browser.cookies and "not known" in wrong.text
    right = browser.post(f"{guarded.url}/login", data={"token": "t-ada"}, timeout=20, allow_redirects=False)
    cookie = right.headers["Set-Cookie"]
    assert right.status_code == 303 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and "t-ada" not in cookie
    page = browser.get(guarded.url, timeout=20)
    assert page.status_code == 200 and "Range" in page.text
    form = {"form": re.search(r'action="logout"><input[^>]*value="(\w+)"', page.text)[1]}
    kept = dict(browser.cookies)
    assert browser.post(f"{guarded.url}/logout", data=form, timeout=20).status_code == 401
    assert requests.get(guarded.url, cookies=kept, timeout=20).status_code == 401


def test_a_name_that_leads_here_by_foreign_dns_is_refused(site: Site, guarded: Site):
    port = site.url.rpartition(":")[2]
    for name in ("localhost", "127.0.0.1", "[::1]", "a.localhost"):
        assert site.get("/", headers={"Host": f"{name}:{port}"}).status_code == 200, name
    assert site.get("/", headers={"Host": f"evil.example:{port}"}).status_code == 421
    assert site.get("/api/status", headers={"Host": "evil.example"}).status_code == 421
    # Who has to prove their name cannot be made to by a page elsewhere.
    assert guarded.get("/", "ada", headers={"Host": "voltray.example"}).status_code == 200


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_what_users_write_is_escaped_and_secrets_are_hidden(site: Site):
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"><svg onload=alert(3)>"
    query = f"select '{attack}' from t options (password 'hunter2')"
    for plan in (sql_plan(query), failing_plan()):
        with pytest.raises(grpc.RpcError):
            list(site.run(plan, tags=[attack.replace(",", "")], user='<b onclick="x">'))
    site.wait_for("failed")
    searched = f"/?text={requests.utils.quote(attack)}&user={requests.utils.quote(attack)}"
    for path in ("/", "/operations/1", "/operations/2", "/sessions", searched):
        page = site.get(path)
        found = Tags(page.text)
        assert found.tags.count("script") == 1 and "b" not in (found.tags if path != searched else [])
        assert not [a for a in found.attributes if a.startswith("on")]
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "&lt;script&gt;alert(1)" in site.get("/operations/1").text
    assert "hunter2" not in site.get("/operations/1").text + site.get("/").text + site.get("/api/status").text


@pytest.mark.parametrize("site_settings", [{"ui_operations": 3}])
def test_only_the_last_operations_are_kept(site: Site):
    for _ in range(5):
        list(site.run(range_plan(1)))
    wait_until(lambda: [o["number"] for o in site.operations()] == [5, 4, 3])
    assert site.get("/api/operations/1").status_code == 404
    assert not site.backend.monitor.running()


def test_the_page_takes_the_next_port_where_its_own_is_taken(site: Site, tmp_path: Path):
    taken = int(site.url.rpartition(":")[2])
    for other in serve(tmp_path / "other", {"ui_port": taken}):
        assert taken < int(other.url.rpartition(":")[2]) <= taken + 16
        assert other.get("/").status_code == 200


def test_static_files_are_all_that_is_open(guarded: Site):
    assert guarded.get("/static/style.css").headers["Content-Type"].startswith("text/css")
    for path in ("/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static/server.py", "/static/nothing.css"):
        assert guarded.get(path).status_code in (401, 404), path


def test_client_certificates_prove_the_name(tmp_path: Path):
    authority = Authority(tmp_path)
    server = authority.issue("localhost", "server")
    ada = authority.issue("ada", "ada")
    settings: dict[str, Any] = {
        "tls_certificate": server[0], "tls_key": server[1], "tls_client_ca": authority.path, "auth_certificates": True,
    }  # fmt: skip
    for site in serve(tmp_path, {**settings, "ui_port": free_port()}):
        assert site.url.startswith("https://")
        answer = requests.get(site.url, cert=tuple(map(str, ada)), verify=str(authority.path), timeout=20)
        assert answer.status_code == 200 and ">ada<" in answer.text
        with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError, ssl.SSLError)):
            requests.get(site.url, verify=str(authority.path), timeout=20)


def test_a_trusted_proxy_names_the_user(tmp_path: Path):
    proxied = {"auth_proxy_header": "x-forwarded-user", "auth_proxy_peers": "127.0.0.1"}
    for site in serve(tmp_path, proxied):
        assert site.get("/").status_code == 401 and 'name="token"' in site.get("/").text
        assert ">ada<" in site.get("/", headers={"x-forwarded-user": "ada"}).text
