"""Whether two results are the same rows, numbers compared by value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal


def same_rows(left: Iterable[Sequence[object]], right: Iterable[Sequence[object]], *, ordered: bool = True) -> bool:
    """Return whether the rows are equal; in order, or as they come when sorted by their cells."""
    a, b = [tuple(r) for r in left], [tuple(r) for r in right]
    if not ordered:
        a, b = sorted(a, key=_sort_key), sorted(b, key=_sort_key)
    return len(a) == len(b) and all(len(x) == len(y) and all(map(same_cell, x, y)) for x, y in zip(a, b, strict=True))


def same_cell(left: object, right: object) -> bool:
    """Return whether two cells are equal, numbers by value and texts without blanks at their end.

    A decimal beside a float (Spark's average of decimals is one, DuckDB's is not) may differ in its last digit.
    """
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        decimals = [x for x in (left, right) if isinstance(x, Decimal)]
        unit = float(Decimal(1).scaleb(int(decimals[0].as_tuple().exponent))) if len(decimals) == 1 else 1e-9
        return math.isclose(float(left), float(right), rel_tol=1e-9, abs_tol=unit)
    if isinstance(left, str) and isinstance(right, str):
        return left.rstrip() == right.rstrip()
    return left == right


def _sort_key(row: tuple[object, ...]) -> list[str]:
    return [f"{float(c):.1f}" if isinstance(c, float | Decimal) else str(c) for c in row]
