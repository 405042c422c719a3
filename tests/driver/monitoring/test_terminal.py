"""`voltray status`."""

from __future__ import annotations

import json

import grpc
import pytest
from click.testing import CliRunner
from sites import Site, sql_plan
from test_page import range_plan

from voltray.driver.main import main
from voltray.driver.monitoring.terminal import page_of_remote


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["status", *words], env={"COLUMNS": "160"})
    return result.exit_code, result.output


def test_status_once_and_as_json(site: Site):
    list(site.run(range_plan(10, 5)))
    site.wait_for("finished")
    with pytest.raises(grpc.RpcError):
        list(site.run(sql_plan("select '\x1b[2J[bold]'"), user="eve"))
    site.wait_for("failed")
    code, text = run("--url", site.url, "--once")
    assert code == 0 and "finished" in text and "'Range 0, 10" in text and "[bold]" in text and "\x1b" not in text
    code, text = run("--url", site.url, "--json")
    assert code == 0 and json.loads(text)["operations"][1]["rows"] == 10


def test_status_brings_the_token(guarded: Site):
    code, text = run("--url", guarded.url, "--once")
    assert code == 1 and "401" in text and "asks for a token" in text
    code, text = run("--url", guarded.url, "--once", "--token", "t-ada")
    assert code == 0 and "No operations" in text


def test_the_page_beside_a_remote():
    assert page_of_remote("sc://localhost") == ("http://localhost:4040", None)
    assert page_of_remote("sc://a.example:15002/;use_ssl=true;token=x=y") == ("https://a.example:4040", "x=y")
    assert page_of_remote("sc://[::1]:15002/;token=t") == ("http://[::1]:4040", "t")
    assert run("--url", "ftp://nowhere", "--once")[0] == 1
