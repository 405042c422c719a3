"""Whether two results are the same rows, numbers compared by value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal


def same_rows(left: Iterable[Sequence[object]], right: Iterable[Sequence[object]]) -> bool:
    """Return whether the rows are equal in order, floats and decimals to a relative 1e-9."""
    a, b = [tuple(r) for r in left], [tuple(r) for r in right]
    return len(a) == len(b) and all(len(x) == len(y) and all(map(same_cell, x, y)) for x, y in zip(a, b, strict=True))


def same_cell(left: object, right: object) -> bool:
    """Return whether two cells are equal, numbers by value."""
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return math.isclose(float(left), float(right), rel_tol=1e-9, abs_tol=1e-9)
    return left == right
