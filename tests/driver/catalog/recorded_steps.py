"""Steps of a session and what they answer, in a form that compares across servers.

``python tests/driver/catalog/recorded_steps.py sc://HOST:PORT FOLDER FILE.jsonl`` records the steps of a file
anew from a server, such as a real Spark.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def answers(session: Any, folder: Path, steps: list[str]) -> list[str]:
    """What each step gives: a value, or the class, condition and parameters of its error."""
    from pyspark.sql import functions

    warehouse = session.conf.get("spark.sql.warehouse.dir")
    names = {"s": session, "F": functions, "c": session.catalog, "B": str(folder), "os": os}
    return [_shown(_answer(step, names), str(folder), warehouse) for step in steps]


def _answer(step: str, names: dict[str, Any]) -> str:
    try:
        try:
            return repr(eval(compile(step, "step", "eval"), names))
        except SyntaxError:
            exec(step, names)
            return "done"
    except Exception as error:  # noqa: BLE001  whatever a step raises is its answer
        condition = error.getCondition() if hasattr(error, "getCondition") else None
        parameters = (error.getMessageParameters() or {}) if hasattr(error, "getMessageParameters") else {}
        return f"{type(error).__name__} {condition} {sorted(parameters.items()) if condition else ''}".strip()


def _shown(answer: str, folder: str, warehouse: str) -> str:
    return _JOB_ID.sub("<job>", answer.replace(folder, "<folder>").replace(warehouse, "<warehouse>"))


def recording(path: Path) -> list[dict[str, str]]:
    """The steps of a file with their recorded answers."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main(remote: str, folder: str, file: str) -> None:
    """Record a file's steps from a server."""
    from pyspark.sql.connect.session import SparkSession

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.chmod(folder, 0o777)
    path = Path(file)
    steps = [r["step"] for r in recording(path)]
    session = SparkSession.builder.remote(remote).create()
    found = answers(session, Path(folder), steps)
    lines = [json.dumps({"step": s, "answer": a}, ensure_ascii=False) for s, a in zip(steps, found, strict=True)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
