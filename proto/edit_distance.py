"""How far two words are from each other."""

from __future__ import annotations


def edit_distance(left: str, right: str) -> int:
    """Levenshtein's: characters put in, taken out or changed between two words."""
    if len(left) < len(right):
        left, right = right, left
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]
