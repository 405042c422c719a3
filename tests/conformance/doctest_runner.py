"""Run the doctests that ship inside the installed PySpark client against a server.

usage: doctest_runner.py REMOTE OUT.jsonl MODULE...

Each of those modules tests itself when run as ``__main__``; a stand-in for ``doctest.testmod`` lets every
documented object run by itself, under a time limit, and writes a JSON line for it.
"""

from __future__ import annotations

import doctest
import io
import json
import os
import runpy
import signal
import sys
import traceback
from types import ModuleType
from typing import Any, TextIO

LIMIT_SECONDS = 60


class OutOfTimeError(Exception):
    """An example took too long."""


def run_modules(modules: list[str], sink: TextIO) -> None:
    """Run the doctests of each module, a line of JSON for each object."""
    for module in modules:
        doctest.testmod = _recorder(module, sink)
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit:
            pass
        except BaseException:  # noqa: BLE001
            _write(sink, module, "<module>", 1, 1, traceback.format_exc()[-3000:])


def _recorder(module: str, sink: TextIO) -> Any:
    def testmod(
        m: ModuleType,
        name: str | None = None,
        globs: dict[str, Any] | None = None,
        optionflags: int = 0,
        extraglobs: dict[str, Any] | None = None,
        **_: Any,
    ) -> doctest.TestResults:
        found = doctest.DocTestFinder().find(m, name or m.__name__, globs=globs, extraglobs=extraglobs)
        for test in found:
            if test.examples:
                failed, text = _run(test, optionflags)
                _write(sink, module, test.name, len(test.examples), failed, text)
        return doctest.TestResults(0, 0)

    return testmod


def _run(test: doctest.DocTest, optionflags: int) -> tuple[int, str]:
    output = io.StringIO()
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(LIMIT_SECONDS)
    try:
        runner = doctest.DocTestRunner(verbose=False, optionflags=optionflags)
        failed = runner.run(test, out=output.write, clear_globs=False).failed
    except Exception:  # noqa: BLE001
        failed = len(test.examples)
        output.write(traceback.format_exc())
    finally:
        signal.alarm(0)
    return failed, output.getvalue()[:6000]


def _out_of_time(*_: object) -> None:
    raise OutOfTimeError(f"no answer in {LIMIT_SECONDS} s")


def _write(sink: TextIO, module: str, name: str, attempted: int, failed: int, text: str) -> None:
    record = {"module": module, "name": name, "attempted": attempted, "failed": failed, "text": text}
    sink.write(json.dumps(record) + "\n")
    sink.flush()


if __name__ == "__main__":
    os.environ["SPARK_CONNECT_TESTING_REMOTE"] = sys.argv[1]
    os.environ["SPARK_TESTING"] = "1"
    with open(sys.argv[2], "a", encoding="utf-8") as out:
        run_modules(sys.argv[3:], out)
