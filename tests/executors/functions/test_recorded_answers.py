"""Spark's answers, recorded by ``record.py``, and ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sample_row import answer  # type: ignore[import-not-found]

from voltray.proto.failures import SparkError

FOLDER = Path(__file__).parent / "recorded"
# What differs, with its reason: a test fails here once it starts to pass.
KNOWN: dict[str, str] = dict(
    line.split("\t")[:2]  # type: ignore[misc]
    for line in (FOLDER / "known_differences.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def _answers(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def _difference(recorded: dict[str, Any]) -> str | None:
    confs = recorded.get("confs", {})
    zone = confs.get("spark.sql.session.timeZone", "Etc/UTC")
    ansi = confs.get("spark.sql.ansi.enabled", "true") == "true"
    try:
        found = answer(recorded["expression"], ansi, zone)
    except SparkError as error:
        if "error" not in recorded:
            return f"raised {error.condition}"
        wanted = recorded["error"]
        return None if wanted in (None, error.condition) else f"raised {error.condition}, not {wanted}"
    except BaseException as crash:  # noqa: BLE001  a panic in the engine is no Exception
        return f"{type(crash).__name__}: {str(crash)[:200]}"
    if "error" in recorded:
        return f"gave {found.value!r}, not {recorded['error']}"
    mine = (found.dtype, found.nullable, found.value)
    theirs = (recorded["type"], recorded["nullable"], recorded["value"])
    return None if mine == theirs else f"gave {mine}, not {theirs}"


@pytest.mark.parametrize("name", sorted(p.name for p in FOLDER.glob("*.jsonl")))
def test_answers_are_those_of_spark(name: str) -> None:
    differences = {r["expression"]: _difference(r) for r in _answers(name)}
    new = {e: d for e, d in differences.items() if d is not None and e not in KNOWN}
    fixed = [e for e, d in differences.items() if d is None and e in KNOWN]
    assert not new, "\n".join(f"{e}: {d}" for e, d in new.items())
    assert not fixed, f"no longer differ: {fixed}"
