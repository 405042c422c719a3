"""Which tasks run a second time, and which results go on after a loss."""

from __future__ import annotations

import pytest

from voltray.driver.scheduler.resuming import SentBatches
from voltray.driver.scheduler.stragglers import stragglers
from voltray.proto.failures import SparkError


@pytest.mark.parametrize(
    ("running", "finished", "expected"),
    [
        ([(3, 0, 9.0)], [1.0, 2.0, 3.0], ((3, 0),)),
        ([(3, 0, 3.9)], [1.0, 2.0, 3.0], ()),  # not twice the median
        ([(2, 0, 9.0), (3, 1, 9.0)], [1.0, 2.0], ()),  # half of the stage is done
        ([(3, 0, 9.0), (3, 1, 0.1)], [1.0, 2.0, 3.0], ()),  # has a copy
        ([(3, 0, 0.9)], [0.1, 0.1, 0.1], ()),  # short anyway
    ],
)
def test_slow_tasks_run_a_second_time(
    running: list[tuple[int, int, float]], finished: list[float], expected: tuple[tuple[int, int], ...]
) -> None:
    assert stragglers(running, finished, 2.0) == expected


def test_batches_that_were_sent_are_not_sent_again() -> None:
    sent = SentBatches()
    assert sent.is_new(2, b"ab") and sent.is_new(3, b"abc")
    sent.begin_again()
    assert not sent.is_new(2, b"ab") and not sent.is_new(3, b"abc") and sent.is_new(1, b"a")
    sent.end()


@pytest.mark.parametrize("again", [[(2, b"ba")], [(2, b"ab")], []])
def test_other_batches_than_those_sent_are_an_error(again: list[tuple[int, bytes]]) -> None:
    sent = SentBatches()
    assert sent.is_new(2, b"ab") and sent.is_new(3, b"abc")
    sent.begin_again()
    with pytest.raises(SparkError):
        for count, data in again:
            sent.is_new(count, data)
        sent.end()
