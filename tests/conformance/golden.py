"""Statements recorded from Spark 4.1.1, run on a server and compared: schemas, rows and error conditions.

usage: golden.py REMOTE [--only NAME] [--write]

Each file of ``golden/`` holds a script, a JSON line a statement, run in order in one session:
``{"sql", "schema": [[name, type]...], "rows": [[cell...]...]}`` or ``{"sql", "error": condition, ...}``. Cells are
``str`` of the collected value (``repr`` for floats). ``--write`` records how many statements of each file match.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
COUNTS = Path(__file__).parent / "golden_counts.tsv"
TIME_ZONE = "America/Los_Angeles"
_NUMBER = re.compile(r"^-?(\d+\.\d*|\d*\.\d+|\d+)(e[-+]?\d+)?$", re.IGNORECASE)
Row = Sequence[str | None]


def scripts() -> list[str]:
    """Names of the recorded scripts."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def recorded_counts() -> Mapping[str, int]:
    """How many statements of each script are known to match."""
    rows = [line.split("\t") for line in COUNTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {name: int(count) for name, count in rows}


def mismatches(remote: str, script: str) -> tuple[int, list[str]]:
    """Run a script in a session of its own; how many statements match, and what is wrong with the others."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.remote(remote).create()
    session.conf.set("spark.sql.session.timeZone", TIME_ZONE)
    matched, wrong = 0, []
    for record in _records(script):
        why = _verdict(record, _run(session, record["sql"]))
        if why is None:
            matched += 1
        else:
            wrong.append(f"{why}: {record['sql'][:200]}")
    session.stop()
    return matched, wrong


def _records(script: str) -> Iterator[dict[str, Any]]:
    for line in (FOLDER / f"{script}.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _cell(value: Any) -> str | None:
    return None if value is None else repr(value) if isinstance(value, float) else str(value)


def _run(session: Any, sql: str) -> dict[str, Any]:
    from pyspark.errors import PySparkException

    try:
        frame = session.sql(sql)
        rows = [[_cell(v) for v in row] for row in frame.collect()]
        return {"schema": [[f.name, f.dataType.simpleString()] for f in frame.schema.fields], "rows": rows}
    except PySparkException as failure:
        return {"error": failure.getCondition()}
    except Exception as failure:  # noqa: BLE001 - the client's own failures are results too
        return {"error": f"CLIENT:{type(failure).__name__}"}


def _verdict(want: Mapping[str, Any], got: Mapping[str, Any]) -> str | None:
    if "error" in want or "error" in got:
        same = want.get("error") == got.get("error")
        return None if same else f"wanted {want.get('error', 'an answer')}, got {got.get('error', 'an answer')}"
    if want["schema"] != got["schema"]:
        return f"wanted the schema {want['schema']}, got {got['schema']}"
    return None if _same_rows(want["rows"], got["rows"]) else "other rows"


def _same_rows(want: Sequence[Row], got: Sequence[Row]) -> bool:
    def key(row: Row) -> list[str]:
        return ["" if c is None else c for c in row]

    pairs = list(zip(sorted(want, key=key), sorted(got, key=key), strict=False))
    return len(want) == len(got) and all(
        len(a) == len(b) and all(_same_cell(x, y) for x, y in zip(a, b, strict=True)) for a, b in pairs
    )


def _same_cell(a: str | None, b: str | None) -> bool:
    if a == b:
        return True
    if a is None or b is None or not (_NUMBER.match(a) and _NUMBER.match(b)):
        return False
    if not any(mark in a + b for mark in ".eE"):
        return False
    x, y = float(a), float(b)
    return abs(x - y) <= 1e-6 * max(1.0, abs(x), abs(y))


def main() -> None:
    """Run the scripts, print what differs, and record the counts where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("remote")
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    counts, rates = [], []
    for script in scripts():
        if arguments.only not in script:
            continue
        matched, wrong = mismatches(arguments.remote, script)
        counts.append(f"{script}\t{matched}")
        rates.append(matched / (matched + len(wrong)))
        print(
            f"{script}: {matched} of {matched + len(wrong)}",
            *wrong[: 5 if arguments.only else 0],
            sep="\n  ",
            flush=True,
        )
    print(f"mean of files {100 * sum(rates) / len(rates):.1f} %")
    if arguments.write:
        head = "# script<TAB>statements that match; a count may only rise"
        COUNTS.write_text("\n".join([head, *counts]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
