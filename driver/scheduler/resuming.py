"""A result that goes on after its executor was lost: the task runs again, and what the client has is not sent twice.

Nothing is assumed about the order of rows. Each batch sent leaves its row count and checksum; the batches of the next
attempt must begin with the same ones. Where they do not (a group by gives its rows in any order), the query fails.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from voltray.proto.failures import ErrorKind, SparkError, spark_error


@dataclass(slots=True)
class SentBatches:
    """The batches of one result task that have gone to the client."""

    marks: list[tuple[int, int]] = field(default_factory=list)
    position: int = 0
    """Batches that the present attempt has given."""

    def is_new(self, row_count: int, data: Any) -> bool:
        """Whether a batch is one that the client has not got; an error if it is another than the one it got."""
        mark = (row_count, zlib.crc32(data))
        place, self.position = self.position, self.position + 1
        if place == len(self.marks):
            self.marks.append(mark)
            return True
        if self.marks[place] != mark:
            raise not_repeatable()
        return False

    def begin_again(self) -> None:
        """The task was lost; its next attempt begins with its first batch."""
        self.position = 0

    def end(self) -> None:
        """The attempt gave all its batches; an error if they are fewer than the client got."""
        if self.position < len(self.marks):
            raise not_repeatable()


def not_repeatable() -> SparkError:
    """The error of a result that was broken off and comes in another order when it is computed again."""
    text = (
        "An executor was lost after a part of the result had gone to the client, and computed again the rows came in "
        "another order. Please run the query again; a result that is sorted by a unique key can be resumed."
    )
    return spark_error("INTERNAL_ERROR_EXECUTOR", ErrorKind.SPARK, message=text)
