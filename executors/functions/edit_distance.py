"""Levenshtein's distance of two columns of text at once: the table's cells are visited one by one, rows together."""

from __future__ import annotations

import numpy as np
import polars as pl

LONGEST = 64
"""Characters of the longer texts up to which all rows go together; above it they go one by one."""


def within_reach(left: pl.Series, right: pl.Series) -> bool:
    """Whether both columns are short enough."""
    return all(int(s.str.len_chars().max() or 0) <= LONGEST for s in (left, right))  # type: ignore[arg-type]


def distances(left: pl.Series, right: pl.Series) -> pl.Series:
    """The distances, NULL where a text is."""
    rows = max(len(left), len(right))
    first, second = [s.new_from_index(0, rows) if len(s) < rows else s for s in (left, right)]
    found = np.empty(rows, dtype=np.int32)
    for start in range(0, rows, 65536):  # pieces that stay in the processor's cache
        piece = slice(start, start + 65536)
        found[piece] = _distances(first[piece].fill_null(""), second[piece].fill_null(""))
    return pl.Series(found).zip_with(first.is_not_null() & second.is_not_null(), pl.Series([None], dtype=pl.Int32))


def _characters(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Code points, a column a place, and lengths."""
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    width = max(int(lengths.max(initial=0)), 1)
    return np.array(texts.to_list(), dtype=f"U{width}").view(np.uint32).reshape(len(texts), width).T.copy(), lengths


def _distances(left: pl.Series, right: pl.Series) -> np.ndarray:
    (a, a_lengths), (b, b_lengths) = _characters(left), _characters(right)
    rows = len(a_lengths)
    row = [np.full(rows, j, dtype=np.int32) for j in range(len(b) + 1)]
    found = b_lengths.astype(np.int32)  # of an empty left text
    for i in range(1, int(a_lengths.max(initial=0)) + 1):
        current = [np.full(rows, i, dtype=np.int32)]
        for j in range(1, len(row)):
            changed = row[j - 1] + (a[i - 1] != b[j - 1])
            current.append(np.minimum(np.minimum(row[j], current[j - 1]) + 1, changed))
        row = current
        ends = a_lengths == i
        if ends.any():
            found[ends] = np.stack(row)[b_lengths[ends], np.flatnonzero(ends)]
    return found
