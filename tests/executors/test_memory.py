"""Tasks enter as memory allows, and those who overdraw are told."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from voltray.executors.admission import Admission
from voltray.executors.memory import release_freed_memory
from voltray.executors.memory_watch import MemoryWatch, own_bytes
from voltray.proto.failures import SparkError

MIB = 1 << 20


def test_tasks_enter_while_there_is_room() -> None:
    admission = Admission(100 * MIB, 0.3)
    free = threading.Event()
    with admission.admitted(60 * MIB, free):
        with admission.admitted(1 * MIB, free), admission.admitted(40 * MIB, free):
            assert admission.held == 100 * MIB
        with pytest.raises(SparkError) as raised, admission.admitted(50 * MIB, free):
            pass
    assert raised.value.failure.condition == "UNABLE_TO_ACQUIRE_MEMORY"
    with admission.admitted(500 * MIB, free):  # alone, and as much as there is
        assert admission.held == 100 * MIB
    assert admission.held == 0


def test_who_waits_enters_in_turn_or_leaves_when_cancelled() -> None:
    admission = Admission(100 * MIB, 30)
    entered: list[str] = []
    cancelled = threading.Event()
    failures: list[str] = []

    def task(name: str, flag: threading.Event) -> None:
        try:
            with admission.admitted(80 * MIB, flag):
                entered.append(name)
        except SparkError as error:
            failures.append(error.failure.condition)

    flags = {"a": threading.Event(), "b": cancelled, "c": threading.Event()}
    with admission.admitted(80 * MIB, threading.Event()):
        threads = [threading.Thread(target=task, args=pair) for pair in flags.items()]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        cancelled.set()
        threads[1].join(5)
    for thread in threads:
        thread.join(5)
    assert entered == ["a", "c"] and failures == ["OPERATION_CANCELED"]


def test_an_overdraft_is_noticed_while_tasks_run() -> None:
    # What other tests freed is given back before an overdraft is told: it must not count as held here.
    gc.collect()
    release_freed_memory()
    told = threading.Event()
    running = [1]
    watch = MemoryWatch(MIB, lambda: running[0], lambda held, limit: told.set())
    watch.wake()
    assert not told.wait(0.5)
    held = np.ones(watch.limit - own_bytes() + 256 * MIB, dtype=np.uint8)
    assert told.wait(10)
    running[0] = 0
    del held
