"""Log lines carry whose work they are of, and no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from sites import Site
from test_page import failing_plan

from voltray.driver.monitoring.logs import JsonFormatter, OperationIds, TextFormatter, within

logger = logging.getLogger("voltray.test")


@pytest.fixture(params=[TextFormatter, JsonFormatter])
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Return what is logged, in each form."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    voltray = logging.getLogger("voltray")
    level = voltray.level
    voltray.addHandler(handler)
    voltray.setLevel(logging.INFO)
    yield stream
    voltray.removeHandler(handler)
    voltray.setLevel(level)


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_of_an_operation_carry_its_ids(site: Site, lines: io.StringIO):
    operation_id = "00112233-4455-6677-8899-aabbccddeeff"
    with pytest.raises(grpc.RpcError):
        list(site.run(failing_plan(), "ada", operation_id=operation_id))
    site.wait_for("failed")
    (line,) = [line for line in lines.getvalue().splitlines() if "DIVIDE_BY_ZERO" in line]
    if line.startswith("{"):
        entry = json.loads(line)
        assert (entry["session"], entry["operation"], entry["user"]) == (site.session_id, operation_id, "ada")
        assert entry["level"] == "info" and entry["logger"] == "voltray.operations" and entry["time"].endswith("Z")
    else:
        assert f'[session={site.session_id} operation={operation_id} user="ada"]' in line
    logger.info("nobody's")
    assert site.session_id not in lines.getvalue().splitlines()[-1]


def test_secrets_and_line_ends_stay_out(lines: io.StringIO):
    with within(OperationIds("s", 'a"\nb', "o")):
        try:
            raise ValueError("password = 'hunter2'")
        except ValueError:
            logger.exception("options(token '%s')", "hunter3")
    text = lines.getvalue()
    assert "hunter" not in text and text.count("redacted") >= 2
    if text.startswith("{"):
        (entry,) = objects(lines)
        assert entry["user"] == 'a"\nb' and "ValueError" in entry["exception"]
    else:
        assert r'user="a\"\nb"' in text.splitlines()[0]
