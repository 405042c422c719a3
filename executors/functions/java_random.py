"""Spark's XORShiftRandom, whole columns at a time.

A step of the generator is linear over GF(2): so a long sequence is cut into lanes, each lane's first state is
found by applying the matrix of so many steps, and all lanes advance together in NumPy.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from voltray.executors.functions.math_strict import log

States = npt.NDArray[np.uint64]

_MASK = (1 << 64) - 1
_MASK32 = (1 << 32) - 1


def _murmur3(data: bytes, seed: int) -> int:
    """Scala's MurmurHash3.bytesHash of a whole number of words."""
    h = seed
    for at in range(0, len(data), 4):
        k = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & _MASK32
        k = ((k << 15) | (k >> 17)) & _MASK32
        h ^= k * 0x1B873593 & _MASK32
        h = ((h << 13) | (h >> 19)) & _MASK32
        h = (h * 5 + 0xE6546B64) & _MASK32
    h ^= len(data)
    h = (h ^ (h >> 16)) * 0x85EBCA6B & _MASK32
    h = (h ^ (h >> 13)) * 0xC2B2AE35 & _MASK32
    return h ^ (h >> 16)


def first_state(seed: int) -> int:
    """The state that a seed starts from."""
    data = (seed & _MASK).to_bytes(8, "big")
    low = _murmur3(data, 0x3C074A61)
    return (_murmur3(data, low) << 32) | low


def step(state: int) -> int:
    """The next state."""
    state ^= (state << 21) & _MASK
    state ^= state >> 35
    return state ^ ((state << 4) & _MASK)


def _step_all(states: States) -> States:
    states = states ^ (states << np.uint64(21))
    states = states ^ (states >> np.uint64(35))
    return states ^ (states << np.uint64(4))


def _apply(matrix: States, vectors: States) -> States:
    result = np.zeros_like(vectors)
    for bit in range(64):
        result ^= matrix[bit] * ((vectors >> np.uint64(bit)) & np.uint64(1))
    return result


@lru_cache(maxsize=64)
def _power(steps: int) -> bytes:
    """The matrix of so many steps, column by column, as bytes."""
    columns = np.array([1 << b for b in range(64)], dtype=np.uint64)
    if steps == 0:
        return columns.tobytes()
    half = np.frombuffer(_power(steps // 2), dtype=np.uint64)
    squared = _apply(half, half)
    return (_step_all(squared) if steps % 2 else squared).tobytes()


def states(seed: int, count: int) -> States:
    """The first ``count`` states after a seed's."""
    start = first_state(seed)
    if count <= 256:
        found = np.empty(count, dtype=np.uint64)
        for position in range(count):
            start = step(start)
            found[position] = start
        return found
    length = 1 << (max(count - 1, 1).bit_length() + 1) // 2
    lanes = -(-count // length)
    current = np.array([start], dtype=np.uint64)
    while len(current) < lanes:  # the lanes known so far, moved on by as many lanes, double them
        jump = np.frombuffer(_power(length * len(current)), dtype=np.uint64)
        current = np.concatenate([current, _apply(jump, current)])
    current = current[:lanes]
    table = np.empty((lanes, length), dtype=np.uint64)
    for position in range(length):
        current = _step_all(current)
        table[:, position] = current
    return table.ravel()[:count]


def doubles(seed: int, count: int) -> npt.NDArray[np.float64]:
    """``nextDouble()``, so many times."""
    pairs = states(seed, 2 * count).reshape(-1, 2)
    high = (pairs[:, 0] & np.uint64((1 << 26) - 1)).astype(np.int64) << 27
    low = (pairs[:, 1] & np.uint64((1 << 27) - 1)).astype(np.int64)
    return (high + low).astype(np.float64) * 2.0**-53


def integers(seed: int, count: int) -> npt.NDArray[np.int32]:
    """``nextInt()``, so many times."""
    return (states(seed, count) & np.uint64(_MASK32)).astype(np.uint32).view(np.int32)


def gaussians(seed: int, count: int) -> npt.NDArray[np.float64]:
    """``nextGaussian()``, so many times: the polar method, two numbers a pair of doubles inside the circle."""
    wanted = max(count, 16)
    while True:
        v = (doubles(seed, 2 * wanted) * 2 - 1).reshape(-1, 2)
        s = v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1]
        inside = (s < 1) & (s != 0)
        if 2 * int(inside.sum()) >= count:
            break
        wanted *= 2
    s = s[inside]
    factor = np.sqrt(-2 * log(s) / s)
    return np.asarray((v[inside] * factor[:, None]).ravel()[:count])
