"""Which tasks of a stage are so slow that a second copy of them is worth its while."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

# As Spark has it: no copies before three quarters of the stage are done, none of tasks that are short anyway.
_DONE_SHARE = 0.75
_SHORTEST_SECONDS = 1.0


def stragglers(
    running: Sequence[tuple[int, int, float]], finished: Sequence[float], multiple: float
) -> tuple[tuple[int, int], ...]:
    """(task, executor) of each running (task, executor, seconds) that has no copy and is slow beside the finished."""
    copies = Counter(index for index, _, _ in running)
    if len(finished) < _DONE_SHARE * (len(finished) + len(copies)):
        return ()
    limit = max(_SHORTEST_SECONDS, multiple * statistics.median(finished))
    return tuple([(index, executor) for index, executor, age in running if age > limit and copies[index] == 1])
