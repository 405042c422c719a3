"""Threads with a large stack: plans nest thousands of levels deep, and so do the passes over them."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

STACK_BYTES = 256 << 20
"""Reserved, not used: a page of a stack costs memory only once it is touched."""
RECURSION_LIMIT = 150_000
IDLE_SECONDS = 30.0
Result = TypeVar("Result")
Task = Callable[[], None]

_starting = threading.Lock()


def allow_deep_recursion() -> None:
    """Let Python recurse as deep as the stacks of :class:`DeepThreads` hold."""
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)


def start_deep_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread with a large stack; threads of others keep the size they had."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    with _starting:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
    return thread


class DeepThreads(ThreadPoolExecutor):
    """An executor whose threads have a large stack, come as they are needed and end when idle.

    There is no bound of its own: the server bounds the calls it takes.
    """

    def __init__(self, name: str) -> None:
        super().__init__(max_workers=1)  # gRPC asks for this class; none of its own threads ever starts
        self._name = name
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._counting = threading.Lock()
        self._idle = 0
        self._threads_alive = 0
        self._ended = False

    def submit(self, function: Callable[..., Result], /, *arguments: Any, **options: Any) -> Future[Result]:
        """Run a function on a thread of its own choice."""
        future: Future[Result] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*arguments, **options))
            except BaseException as failure:  # noqa: BLE001 - the future hands it on
                future.set_exception(failure)

        with self._counting:
            if self._ended:
                raise RuntimeError("the server has stopped")
            needs_thread = self._idle <= 0
            if needs_thread:
                self._threads_alive += 1
            else:
                self._idle -= 1
            self._tasks.put(task)
        if needs_thread:
            start_deep_thread(self._work, f"{self._name}-{self._threads_alive}")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; threads end with the task they are at."""
        with self._counting:
            self._ended = True
            for _ in range(self._threads_alive):
                self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._next_task()) is not None:
            task()
            del task
            with self._counting:
                self._idle += 1
        with self._counting:
            self._threads_alive -= 1

    def _next_task(self) -> Task | None:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._tasks.get(timeout=IDLE_SECONDS)
            with self._counting:
                # A task that counted on this thread is on its way as long as nothing is counted idle.
                if self._idle > 0:
                    self._idle -= 1
                    return None
