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
    """Return whether two cells are equal, numbers by value.

    A decimal beside a float (Spark's average of decimals is one, DuckDB's is not) may differ in its last digit.
    """
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        decimals = [x for x in (left, right) if isinstance(x, Decimal)]
        unit = float(Decimal(1).scaleb(int(decimals[0].as_tuple().exponent))) if len(decimals) == 1 else 1e-9
        return math.isclose(float(left), float(right), rel_tol=1e-9, abs_tol=unit)
    return left == right
