"""A stage's state and the slots change in the ways named, and in no other."""

from __future__ import annotations

from collections import Counter

from voltray.driver.scheduler.slots import (
    SlotPool,
    SlotState,
    came_up,
    choose,
    choose_for_small,
    is_turn,
    released,
    taken,
    went_down,
)
from voltray.driver.scheduler.state import (
    MAX_ATTEMPTS,
    StageState,
    TaskStatus,
    failed,
    finished,
    is_exhausted,
    lost,
    started,
)


def test_a_task_waits_runs_and_is_done() -> None:
    state = StageState.of(1, 2)
    assert state.waiting == (0, 1)
    running = started(state, 0)
    assert running.waiting == (1,) and running.tasks[0].attempts == 1
    done = finished(running, 0, "outcome")
    assert done.done_count == 1 and not done.is_done and done.tasks[0].outcome == "outcome"
    assert state == StageState.of(1, 2), "transitions leave the old state as it was"


def test_a_failed_task_starts_elsewhere() -> None:
    state = failed(started(StageState.of(1, 1), 0), 0, 2)
    assert state.tasks[0].status is TaskStatus.WAITING
    assert state.tasks[0].avoided == {2}


def test_a_task_has_so_many_attempts() -> None:
    state = StageState.of(1, 1)
    for _ in range(MAX_ATTEMPTS):
        assert not is_exhausted(state, 0)
        state = failed(started(state, 0), 0, 0)
    assert is_exhausted(state, 0)


def test_lost_output_gives_a_task_its_attempts_back() -> None:
    state = finished(started(StageState.of(1, 1), 0), 0, "x")
    again = lost(state, 0)
    assert again.waiting == (0,) and again.tasks[0].attempts == 0 and again.tasks[0].outcome is None


def test_the_preferred_executor_takes_a_task_while_it_has_a_slot() -> None:
    state = SlotState(2, (1, 0))
    assert choose(state, 0, frozenset()) == 0
    assert choose(SlotState(2, (2, 0)), 0, frozenset()) == 1
    assert choose(state, None, frozenset()) == 1
    assert choose(state, None, frozenset((1,))) == 0
    assert choose(SlotState(1, (1, 1)), 0, frozenset()) is None


def test_slots_are_counted_by_executor_and_query() -> None:
    state = taken(taken(SlotState(2, (0, 0)), 1, "q"), 1, "q")
    assert state.running == (0, 2) and state.count_of("q") == 2
    assert released(released(state, 1, "q"), 1, "q") == SlotState(2, (0, 0))


def test_the_query_with_fewer_tasks_goes_first() -> None:
    state = taken(SlotState(4, (0,)), 0, "busy")
    assert is_turn(state, "idle", Counter(busy=1))
    assert not is_turn(state, "busy", Counter(idle=1))


def test_a_pool_gives_out_no_more_than_it_has() -> None:
    pool = SlotPool(SlotState(1, (0,)))
    assert pool.try_take("a") == 0
    assert pool.try_take("b") is None
    assert pool.take("b", None, 0.01) is None
    pool.release(0, "a")
    assert pool.take("b", None, 0.01) == 0


def test_small_tasks_go_where_the_fewest_tasks_run() -> None:
    pool = SlotPool(SlotState(1, (0, 0, 0)))
    assert pool.try_take("large") == 0
    assert [pool.take_small(None, frozenset()) for _ in range(5)] == [1, 2, 0, 1, 2]
    assert pool.take_small(2, frozenset()) == 2
    pool.release_small(1)
    pool.release_small(1)
    assert pool.take_small(None, frozenset()) == 1
    assert pool.try_take("other") == 1  # a slot is free whatever small tasks run beside


def test_an_executor_that_is_down_takes_no_task() -> None:
    state = went_down(SlotState(2, (0, 0)), 0)
    assert choose(state, 0, frozenset()) == 1
    assert choose_for_small(went_down(state, 1), {}, 0, frozenset()) is None
    assert choose(came_up(state, 0), 0, frozenset()) == 0


def test_a_pool_knows_since_when_there_is_no_executor() -> None:
    pool = SlotPool(SlotState(1, (0,)))
    assert pool.seconds_down == 0
    pool.set_up(0, False)
    assert pool.seconds_down > 0 and pool.try_take("a") is None
    pool.set_up(0, True)
    assert pool.seconds_down == 0
