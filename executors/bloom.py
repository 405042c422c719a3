"""Bloom filters over whole columns: each value sets a few bits of one 64-bit word, so that a look-up reads one word."""

from __future__ import annotations

import numpy as np
import polars as pl

from voltray.executors.hashing import hash_of

WORD_BITS = 64
_BITS_A_VALUE = 4
_MIXER = np.uint64(0xFF51AFD7ED558CCD)
# A filter with more of its bits set lets too much through.
_FULL = 0.6
Words = np.ndarray


def empty_words(bits: int) -> Words:
    """A filter of about ``bits`` bits that holds nothing; the number of its words is a power of two."""
    return np.zeros(1 << max(0, (bits // WORD_BITS).bit_length() - 1), dtype=np.uint64)


def add_values(words: Words, values: pl.Series) -> None:
    """Put values into a filter."""
    places, bits = _places_and_bits(values, len(words))
    np.bitwise_or.at(words, places, bits)


def may_contain(words: Words, values: pl.Series) -> np.ndarray:
    """Of each value whether it may be in the filter; what was put in surely is."""
    places, bits = _places_and_bits(values, len(words))
    found: np.ndarray = (words[places] & bits) == bits
    return found


def is_useful(words: Words) -> bool:
    """Whether a filter still tells values apart."""
    return int(np.bitwise_count(words).sum(dtype=np.int64)) <= _FULL * WORD_BITS * len(words)


def _places_and_bits(values: pl.Series, count: int) -> tuple[np.ndarray, np.ndarray]:
    hashed = hash_of(values) * _MIXER
    hashed ^= hashed >> np.uint64(33)
    places = (hashed >> np.uint64(WORD_BITS // 2)) & np.uint64(count - 1)
    bits = np.zeros(len(hashed), dtype=np.uint64)
    for number in range(_BITS_A_VALUE):
        bits |= np.uint64(1) << ((hashed >> np.uint64(6 * number)) & np.uint64(WORD_BITS - 1))
    return places.astype(np.int64), bits
