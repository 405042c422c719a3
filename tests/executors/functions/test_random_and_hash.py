"""Random sequences and hashes of whole columns against their definitions, a value at a time."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from voltray.executors.functions import java_random, math_strict
from voltray.executors.functions.hash_columns import MURMUR3, XXHASH64, hash_columns
from voltray.executors.functions.java_numbers import java_double, java_strings
from voltray.proto.types import INTEGER, LONG, STRING


def test_a_long_sequence_is_its_steps_one_by_one() -> None:
    state, wanted = java_random.first_state(42), []
    for _ in range(5000):
        state = java_random.step(state)
        wanted.append(state)
    assert java_random.states(42, 5000).tolist() == wanted


def test_the_first_numbers_are_those_of_spark() -> None:
    assert java_random.doubles(0, 2).tolist() == [0.7604953758285915, 0.5234194256885571]
    assert java_random.gaussians(5, 2).tolist() == [1.5298496477243015, 0.2517460544935095]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=70), min_size=1, max_size=30))
def test_a_text_hashes_alike_alone_and_among_others(texts: list[str]) -> None:
    for algorithm in (MURMUR3, XXHASH64):
        together = hash_columns(algorithm, [pl.Series(texts)], [STRING], 42)
        alone = [hash_columns(algorithm, [pl.Series([t])], [STRING], 42)[0] for t in texts]
        assert together.tolist() == alone


def test_null_leaves_a_hash_as_it_is() -> None:
    columns = [pl.Series([1, None], dtype=pl.Int32), pl.Series([7, 7], dtype=pl.Int64)]
    both = hash_columns(MURMUR3, columns, [INTEGER, LONG], 42)
    assert both[1] == hash_columns(MURMUR3, columns[1:], [LONG], 42)[1]


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_doubles_print_alike_alone_and_in_columns(value: float) -> None:
    text = java_strings(pl.Series([value, 1.0]))[0]
    assert text == java_double(value)
    if value == value and abs(value) != float("inf"):
        assert float(text) == value or abs(value) >= 2.0**53


def _cube_root(x: Any) -> Any:
    """To the last digit: the platform's own is three of them off now and then."""
    with localcontext() as context:
        context.prec = 40
        return np.array([float(Decimal(float(v)) ** (Decimal(1) / 3)) for v in x])


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=1e-300, max_value=1e300))
def test_elementary_functions_are_within_a_last_digit_of_the_platform(value: float) -> None:
    x = np.array([value])
    for mine, theirs in (
        (math_strict.log, np.log), (math_strict.cbrt, _cube_root), (math_strict.atan, np.arctan),
        (math_strict.log10, np.log10),
    ):  # fmt: skip
        found, wanted = mine(x)[0], theirs(x)[0]
        assert abs(found - wanted) <= 2 * np.spacing(abs(wanted))
