"""Logical nodes of common table expressions: those that refer to themselves, and those that are computed once."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.logical import Leaf, LogicalPlan, SameOutput
from voltray.proto.expressions import Attribute


@dataclass(frozen=True, slots=True)
class Recursion(LogicalPlan):
    """All rows of ``left``, then again and again those that ``right`` makes of the rows before, until there are none.

    ``right`` reads them through ``RecursionReference`` s with the same ``loop_id``. ``attributes`` are the output, by
    position. ``level_limit`` and ``row_limit`` (None: none) raise; ``limit`` rows are enough and stop the loop.
    """

    left: LogicalPlan
    right: LogicalPlan
    attributes: tuple[Attribute, ...]
    loop_id: str
    level_limit: int | None = None
    row_limit: int | None = None
    limit: int | None = None

    @property
    def output(self) -> tuple[Attribute, ...]:
        """The attributes given."""
        return self.attributes


@dataclass(frozen=True, slots=True)
class RecursionReference(Leaf):
    """The rows of a recursion's last level, by position."""

    loop_id: str = ""


@dataclass(frozen=True, slots=True)
class ComputedOnce(SameOutput):
    """A plan whose values differ each time; all with one ``shared_id`` are the same rows, by position."""

    shared_id: str
