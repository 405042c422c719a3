"""Spark's random doubles (XORShiftRandom) from any position on, for rows that come in pieces.

The generator's step is linear over bits, so the states 2^k steps on are found by tables of bytes, and n states by
doubling what is known.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voltray.executors.functions.java_random import first_state

Words = NDArray[np.uint64]
_UNIT = 1.0 / (1 << 53)


def random_doubles(seed: int, start: int, count: int) -> NDArray[np.float64]:
    """Doubles number ``start`` and on, as nextDouble() of a generator with this seed gives them."""
    states = _states(first_state(seed), 2 * start, 2 * count)
    high = states[0::2] & np.uint64((1 << 26) - 1)
    low = states[1::2] & np.uint64((1 << 27) - 1)
    return ((high << np.uint64(27)) + low).astype(np.float64) * _UNIT


def _states(seed: int, start: int, count: int) -> Words:
    """States number ``start`` + 1 and on."""
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    state = np.array([seed], dtype=np.uint64)
    for power in range(start.bit_length()):
        if start >> power & 1:
            state = _apply(_tables(power), state)
    known = _step(state)
    power = 0
    while len(known) < count:
        known = np.concatenate([known, _apply(_tables(power), known[: count - len(known)])])
        power += 1
    return known[:count]


def _step(state: Words) -> Words:
    state = state ^ (state << np.uint64(21))
    state = state ^ (state >> np.uint64(35))
    return state ^ (state << np.uint64(4))


@lru_cache(maxsize=64)
def _tables(power: int) -> Words:
    """For each of the eight bytes of a state and each of its values, the share of the state 2^power steps on."""
    if power == 0:
        return _from_basis(_step(np.uint64(1) << np.arange(64, dtype=np.uint64)))
    half = _tables(power - 1)
    return _from_basis(_apply(half, _apply(half, np.uint64(1) << np.arange(64, dtype=np.uint64))))


def _from_basis(images: Words) -> Words:
    tables = np.zeros((8, 256), dtype=np.uint64)
    for bit in range(8):
        has_bit = (np.arange(256) >> bit & 1).astype(bool)
        tables[:, has_bit] ^= images[bit::8][:, None]
    return tables


def _apply(tables: Words, states: Words) -> Words:
    result = np.zeros(len(states), dtype=np.uint64)
    for byte in range(8):
        result ^= tables[byte][(states >> np.uint64(8 * byte)) & np.uint64(255)]
    return result
