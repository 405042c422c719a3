"""Sessions' Python on one executor and on three: own modules and files, logs, profiles, and nothing left afterwards."""

from __future__ import annotations

import os
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark import cloudpickle
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
from pyspark.sql.types import LongType, StringType

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession as ConnectSession

cloudpickle.register_pickle_by_value(sys.modules[__name__])
LOGGING = "spark.sql.pyspark.worker.logging.enabled"


@pytest.fixture(params=["spark_remote", pytest.param("spark3_remote", marks=pytest.mark.cluster)])
def new_session(request: pytest.FixtureRequest) -> Iterator[Callable[[], ConnectSession]]:
    remote = request.getfixturevalue(request.param)
    sessions: list[Any] = []

    def start() -> ConnectSession:
        sessions.append(SparkSession.builder.remote(remote).create())
        return sessions[-1]

    yield start
    for session in sessions:
        session.stop()


def values_of(spark: ConnectSession, function: Any, rows: int = 6) -> list[Any]:
    return [r[0] for r in spark.range(0, rows, 1, 3).select(function("id")).collect()]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@udf(StringType())
def version_and_place(_: int) -> str:
    import conflicting  # type: ignore[import-not-found]
    import packed  # type: ignore[import-not-found]
    from pyspark.core.files import SparkFiles

    root = SparkFiles.getRootDirectory()
    archived = Path(root, "archived", "inside.txt").read_text()
    data = Path(SparkFiles.get("data.txt")).read_text()
    return f"{conflicting.VERSION} {packed.VERSION} {archived} {data}|{os.getpid()}|{root}"


def make_artifacts(folder: Path, version: str) -> None:
    folder.mkdir()
    (folder / "conflicting.py").write_text(f"VERSION = {version!r}\n")
    (folder / "data.txt").write_text(f"data{version}")
    with zipfile.ZipFile(folder / "packed.zip", "w") as packed:
        packed.writestr("packed/__init__.py", f"VERSION = {version!r}\n")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("inside.txt", f"inside{version}")


def test_sessions_have_their_own_versions_which_go_with_them(new_session: Any, tmp_path: Path) -> None:
    sessions = {version: new_session() for version in ("1", "2")}
    for version, session in sessions.items():
        folder = tmp_path / version
        make_artifacts(folder, version)
        session.addArtifacts(str(folder / "conflicting.py"), str(folder / "packed.zip"), pyfile=True)
        session.addArtifacts(str(folder / "data.txt"), file=True)
        session.addArtifacts(f"{folder / 'archive.zip'}#archived", archive=True)
    found = {v: [t.split("|") for t in values_of(s, version_and_place)] for v, s in sessions.items()}
    for version, rows in found.items():
        assert {r[0] for r in rows} == {f"{version} {version} inside{version} data{version}"}
    pids = {v: {int(r[1]) for r in rows} for v, rows in found.items()}
    assert not pids["1"] & pids["2"]
    sessions["1"].stop()
    assert eventually(lambda: all(gone(p) for p in pids["1"]))
    assert eventually(lambda: not any(Path(r[2]).exists() for r in found["1"]))
    assert not any(gone(p) for p in pids["2"])
    with pytest.raises(PySparkException, match="conflicting"):
        values_of(new_session(), version_and_place)


@udf(LongType())
def talks(value: int) -> int:
    import logging

    print("printed", value)
    logging.getLogger("mine").error("logged %d", value)
    return 1 // (value - 100)


def test_logs_come_back_to_their_session_alone(new_session: Any) -> None:
    spark, other = new_session(), new_session()
    with pytest.raises(PySparkException, match="FEATURE_NOT_ENABLED"):
        spark.tvf.python_worker_logs()
        spark.tvf.python_worker_logs().collect()
    for session in (spark, other):
        session.conf.set(LOGGING, "true")
    values_of(spark, talks)
    rows = spark.tvf.python_worker_logs().where("logger = 'mine'").orderBy("msg").collect()
    assert [(r.level, r.msg, r.context) for r in rows] == [
        ("ERROR", f"logged {i}", {"func_name": "talks"}) for i in range(6)
    ]
    assert spark.sql("SELECT * FROM python_worker_logs() WHERE msg = 'printed'").count() == 6
    assert other.tvf.python_worker_logs().count() == 0
    with pytest.raises(PySparkException, match="ZeroDivisionError"):
        values_of(other, talks, 200)
    assert other.tvf.python_worker_logs().where("msg = 'logged 100'").count() == 1


def test_profiles_come_back(new_session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spark = new_session()
    spark.conf.set("spark.sql.pyspark.udf.profiler", "perf")
    plus_one = udf(lambda value: value + 1, LongType())
    assert values_of(spark, plus_one) == [1, 2, 3, 4, 5, 6]
    spark.profile.show()
    assert "Profile of UDF" in capsys.readouterr().out


@udf(LongType())
def dies(value: int) -> int:
    os._exit(7)


@udf(LongType())
def hangs(value: int) -> int:
    while True:
        pass


def test_a_death_or_a_hang_is_its_own_querys(new_session: Any) -> None:
    spark, other = new_session(), new_session()
    with pytest.raises(PySparkException, match=r"PYTHON_WORKER_CRASHED|exit status 7"):
        values_of(spark, dies)
    spark.addTag("hanging")
    failures: list[BaseException] = []

    def hang() -> None:
        spark.addTag("hanging")
        try:
            values_of(spark, hangs)
        except PySparkException as failure:
            failures.append(failure)

    thread = threading.Thread(target=hang)
    thread.start()
    time.sleep(1.5)
    started = time.monotonic()
    assert other.sql("SELECT 1").collect() == [(1,)]
    assert time.monotonic() - started < 5
    spark.interruptTag("hanging")
    thread.join(15)
    assert not thread.is_alive()
    assert "OPERATION_CANCELED" in str(failures[0])
    spark.clearTags()
    assert values_of(spark, udf(lambda value: value, LongType())) == list(range(6))


@udf(LongType())
def priorities(_: int) -> int:
    """How much lower the worker's priority is than that of what started it."""
    import os

    factory = os.getppid()
    return os.getpriority(os.PRIO_PROCESS, 0) - os.getpriority(os.PRIO_PROCESS, factory)


def test_functions_give_way_to_everybodys_queries(new_session: Any) -> None:
    # Ray's own workers may be at 15 already, and 19 is the lowest.
    assert set(values_of(new_session(), priorities)) <= {4, 5}


def test_tracebacks_are_short_whole_or_hidden(new_session: Any) -> None:
    spark = new_session()

    def inner(value: int) -> int:
        return value // 0

    outer = udf(lambda value: inner(value), LongType())

    def text(**confs: str) -> str:
        for name, value in confs.items():
            spark.conf.set(f"spark.sql.execution.pyspark.udf.{name}.enabled", value)
        with pytest.raises(PySparkException) as failure:
            values_of(spark, outer, 1)
        return str(failure.value)

    short = text()
    assert "in inner" in short
    assert "pyspark/worker.py" not in short
    whole = text(simplifiedTraceback="false")
    assert "in inner" in whole
    assert "pyspark/worker.py" in whole
    hidden = text(hideTraceback="true")
    assert "ZeroDivisionError" in hidden
    assert "Traceback" not in hidden


def test_many_sessions_leave_nothing_behind(new_session: Any) -> None:
    whereabouts = udf(lambda _: f"{os.getpid()}|{os.getcwd()}", StringType())
    seen: set[str] = set()
    for _ in range(6):
        spark = new_session()
        seen.update(values_of(spark, whereabouts))
        spark.stop()
    pids = {int(s.split("|")[0]) for s in seen}
    folders = {s.split("|")[1] for s in seen}
    assert len(folders) >= 6
    assert eventually(lambda: all(gone(p) for p in pids))
    assert eventually(lambda: not any(Path(f).exists() for f in folders))
