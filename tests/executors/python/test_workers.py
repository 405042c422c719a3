"""Workers that die, leak, hang, print or are cancelled cost their own task alone, and nothing of them stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.sql.types import LongType, StringType

from voltray.executors.python import protocol
from voltray.executors.python.files import SessionFiles
from voltray.executors.python.pool import LOGGING_CONF, Limits, WorkerPool
from voltray.executors.python.protocol import WorkerFunction, WorkerTask
from voltray.proto.failures import SparkError
from voltray.proto.session_files import SessionFile

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SESSION = "user/session"
# Workers do not have this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(limits=Limits(memory=1 << 30, seconds=4), files=SessionFiles())
    yield pool
    pool.end()


def run(pool: WorkerPool, function: Callable[[Any], Any], query: str = "query", **confs: str) -> list[Any]:
    dtype = LongType() if "longs" in function.__name__ else StringType()
    task = WorkerTask(
        protocol.SCALAR_ARROW,
        VERSION,
        (WorkerFunction((cloudpickle.dumps((function, dtype)),), (0,)),),
        tuple((k.replace("__", "."), v) for k, v in confs.items()),
    )

    def write(sink: BinaryIO) -> None:
        batch = pa.RecordBatch.from_arrays([pa.array([1, 2, 3], pa.int64())], names=["_0"])
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        sink.write(protocol.end_of_input())

    return [v for b in pool.run(SESSION, query, task, write) for v in b.column(0).to_pylist()]


def longs_as_they_are(values: pa.Array) -> pa.Array:
    return values


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def segmentation_fault(values: pa.Array) -> pa.Array:
    import ctypes

    return ctypes.string_at(0)


def exits(values: pa.Array) -> pa.Array:
    print("last words")
    os._exit(3)


def hangs(values: pa.Array) -> pa.Array:
    while True:
        pass


def takes_all_memory(values: pa.Array) -> pa.Array:
    import mmap

    kept = []
    while True:
        # Shared memory is not counted by the process's own limit, but is by the executor's watch.
        kept.append(mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        kept[-1].write(b"x" * (64 << 20))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (segmentation_fault, r"signal SIGSEGV(?s:.)*Segmentation fault(?s:.)*in segmentation_fault"),
        (exits, r"exit status 3(?s:.)*last words"),
        (hangs, r"longer than 4 s \(python-task-seconds\)"),
        (takes_all_memory, r"MiB allowed \(python-worker-memory\)|Cannot allocate memory|MemoryError"),
    ],
)
def test_a_worker_that_dies_costs_its_task_alone(pool: WorkerPool, function: Any, words: str) -> None:
    with pytest.raises(SparkError, match=words):
        run(pool, function)
    assert not pool.process_ids()
    assert run(pool, longs_as_they_are, "next") == [1, 2, 3]


def test_cancelling_ends_a_worker_with_its_children_and_lets_no_other_start(pool: WorkerPool, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def with_a_child(values: pa.Array) -> pa.Array:
        child = subprocess.Popen(["sleep", "1000"])
        pids.write_text(f"{os.getpid()} {child.pid}")
        child.wait()
        return values

    threading.Thread(target=lambda: (wait_for(pids.exists), time.sleep(0.1), pool.cancel("query"))).start()
    started = time.monotonic()
    with pytest.raises(SparkError, match="OPERATION_CANCELED"):
        run(pool, with_a_child)
    assert time.monotonic() - started < 4
    worker, _ = map(int, pids.read_text().split())
    assert wait_for(lambda: is_gone(worker))
    with pytest.raises(SparkError, match="OPERATION_CANCELED"):
        run(pool, longs_as_they_are)
    assert not pool.process_ids()


def test_what_a_function_prints_and_logs_comes_back(pool: WorkerPool) -> None:
    def logs(values: pa.Array) -> pa.Array:
        import logging

        print("printed", end="")
        logging.getLogger("mine").warning("logged")
        return pa.array(["a"] * len(values))

    assert run(pool, logs, **{LOGGING_CONF.replace(".", "__"): "true"}) == ["a"] * 3
    report = pool.take_report("query")
    assert report is not None
    assert [r for r in report.logs if '"logged"' in r and '"logger": "mine"' in r and '"func_name": "logs"' in r]
    assert pool.take_report("query") is None


def test_files_are_a_sessions_own_and_go_with_it(pool: WorkerPool, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inside/tool.sh", "echo")
        archive.getinfo("inside/tool.sh").external_attr = 0o755 << 16
    files = (
        SessionFile("pyfiles", "own_module.py", "1"),
        SessionFile("archives", "a.zip#unpacked", "2"),
        SessionFile("files", "sub/data.txt", "3"),
    )
    assert pool.files.missing(SESSION, ("1", "2", "3")) == ("1", "2", "3")
    pool.files.receive(SESSION, "1", 0, b"def answer():", last=False)
    pool.files.receive(SESSION, "1", 13, b" return 42", last=True)
    pool.files.receive(SESSION, "2", 0, (tmp_path / "a.zip").read_bytes(), last=True)
    pool.files.receive(SESSION, "3", 0, b"text", last=True)
    pool.files.install(SESSION, files)
    assert pool.files.missing("user/other", ("1", "9")) == ("9",)
    assert pool.files.missing("stranger/other", ("1",)) == ("1",)

    def uses_them(values: pa.Array) -> pa.Array:
        import own_module  # type: ignore[import-not-found]
        from pyspark.core.files import SparkFiles

        found = [str(own_module.answer()), Path(SparkFiles.get("sub/data.txt")).read_text()]
        found.append(str(os.access("unpacked/inside/tool.sh", os.F_OK)))
        Path(os.environ["TMPDIR"], "left behind").touch()
        return pa.array([" ".join(found), SparkFiles.getRootDirectory(), str(os.getpid())])

    found, root, pid = run(pool, uses_them)
    assert found == "42 text True"
    assert Path(root).is_dir()
    pool.end_session("user/other")
    pool.end_session("stranger/other")
    assert not pool.files.missing(SESSION, ("1",))
    pool.end_session(SESSION)
    assert not Path(root).exists()
    assert wait_for(lambda: is_gone(int(pid)))
    base = Path(root).parent.parent
    assert [p.name for p in base.iterdir()] == ["in-use"]
    pool.files.end()
    assert not base.exists()


def test_names_do_not_lead_out_of_the_folder(pool: WorkerPool) -> None:
    pool.files.receive(SESSION, "1", 0, b"x", last=True)
    pool.files.install(SESSION, (SessionFile("files", "../../x", "1"),))
    with pytest.raises(SparkError, match="leads out"):
        run(pool, longs_as_they_are)


def test_another_python_runs_the_session_and_says_when_it_is_not_there(pool: WorkerPool) -> None:
    def runs_under(values: pa.Array) -> pa.Array:
        return pa.array([sys.executable] * len(values))

    conf = {"spark__sql__execution__pyspark__python": "/no/such/python"}
    with pytest.raises(SparkError, match="Cannot run program"):
        run(pool, runs_under, **conf)
    link = pool.files.folder(SESSION).files / "environment"
    link.symlink_to(sys.prefix)
    found, *_ = run(pool, runs_under, spark__sql__execution__pyspark__python="environment/bin/python")
    assert found == str(link / "bin" / "python")
    own, *_ = run(pool, runs_under)
    assert own == sys.executable


def test_a_factory_that_was_killed_is_started_again(pool: WorkerPool) -> None:
    assert run(pool, longs_as_they_are) == [1, 2, 3]
    factory = pool.factories.current
    assert factory is not None
    factory.end()
    assert wait_for(lambda: not factory.alive)
    assert wait_for(lambda: all(is_gone(p) for p in pool.process_ids()))
    assert run(pool, longs_as_they_are) == [1, 2, 3]
