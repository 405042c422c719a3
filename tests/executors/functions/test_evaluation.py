"""Errors arise for the rows that Spark evaluates, and for no others."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.proto.expressions import Attribute, Call, Cast, EvalMode, Expression, Literal, dtype_of
from voltray.proto.failures import SparkError
from voltray.proto.types import BOOLEAN, DOUBLE, INTEGER, STRING, DataType

X, TEXT = Attribute(1, "x", INTEGER), Attribute(2, "s", STRING)
FRAME = pl.DataFrame({"#1": [0, 1, None, 4], "#2": ["a", "1", None, "4"]}, schema={"#1": pl.Int32, "#2": pl.String})
ZERO, ONE = Literal(0, INTEGER), Literal(1, INTEGER)


def call(name: str, *args: Expression, dtype: DataType = BOOLEAN, mode: EvalMode = EvalMode.ANSI) -> Call:
    return Call(name, args, dtype, True, mode)


def values(expression: Expression, frame: pl.DataFrame = FRAME) -> list[Any]:
    compiled = compile_expression(expression, EvaluationContext()).alias("v")
    found = [
        frame.lazy().select(compiled).collect(engine=e).get_column("v").to_list() for e in ("in-memory", "streaming")
    ]
    assert found[0] == found[1]
    return found[0]


def condition_of(expression: Expression) -> str:
    try:
        values(expression)
    except SparkError as error:
        return error.condition
    return "no error"


X_OR_NULL = Cast(
    call("if", call("not", call("==", X, ZERO)), Literal(None, DOUBLE), Cast(X, DOUBLE), dtype=DOUBLE), DOUBLE
)
INVERSE = call("/", Cast(ONE, DOUBLE), Cast(X, DOUBLE), dtype=DOUBLE)
NOT_ZERO = call("not", call("==", X, ZERO))


def test_a_division_by_zero_raises() -> None:
    assert condition_of(INVERSE) == "DIVIDE_BY_ZERO"


def test_null_divides_nothing() -> None:
    quotient = call("/", Literal(None, DOUBLE), Literal(0.0, DOUBLE), dtype=DOUBLE)
    assert values(quotient)[0] is None


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("when", (NOT_ZERO, INVERSE), [None, 1.0, None, 0.25]),
        ("when", (call("==", X, ZERO), Literal(-1.0, DOUBLE), INVERSE), [-1.0, 1.0, None, 0.25]),
        ("if", (NOT_ZERO, INVERSE, Literal(0.0, DOUBLE)), [0.0, 1.0, 0.0, 0.25]),
        ("coalesce", (X_OR_NULL, INVERSE),
         [0.0, 1.0, None, 0.25]),
    ],
)  # fmt: skip
def test_branches_raise_only_where_they_are_taken(name: str, args: tuple[Expression, ...], expected: list[Any]) -> None:
    assert values(call(name, *args, dtype=DOUBLE)) == expected


def test_a_conjunction_guards_what_stands_behind() -> None:
    above = call(">", INVERSE, Literal(0.3, DOUBLE))
    assert values(call("and", NOT_ZERO, above)) == [False, True, None, False]
    assert condition_of(call("and", above, NOT_ZERO)) == "DIVIDE_BY_ZERO"


def test_a_disjunction_guards_what_stands_behind() -> None:
    assert values(call("or", call("==", X, ZERO), call(">", INVERSE, Literal(0.3, DOUBLE)))) == [
        True,
        True,
        None,
        False,
    ]


def test_guards_reach_into_nested_branches() -> None:
    number = Cast(TEXT, INTEGER)
    inner = call("if", call("==", TEXT, Literal("a", STRING)), ZERO, number, dtype=INTEGER)
    assert values(call("when", NOT_ZERO, inner, Literal(-1, INTEGER), dtype=INTEGER)) == [-1, 1, -1, 4]


def test_long_chains_of_conditions_that_may_raise_stay_small() -> None:
    chain: Expression = NOT_ZERO
    for _ in range(60):
        chain = call("and", chain, call(">", INVERSE, Literal(0.0, DOUBLE)))
    assert values(chain) == [False, True, None, True]


def test_constants_alone_make_one_value_for_every_row() -> None:
    overflow = call("+", Literal(2**31 - 1, INTEGER), X, dtype=INTEGER)
    assert condition_of(overflow) == "ARITHMETIC_OVERFLOW"
    assert values(call("+", ONE, ONE, dtype=INTEGER)) == [2]


@pytest.mark.parametrize("mode", [EvalMode.TRY, EvalMode.LEGACY])
def test_other_modes_do_not_raise(mode: EvalMode) -> None:
    quotient = call("/", Cast(ONE, DOUBLE), Cast(X, DOUBLE), dtype=DOUBLE, mode=mode)
    assert values(quotient) == [None, 1.0, None, 0.25]
    number = Cast(TEXT, INTEGER, True, mode)
    assert values(number) == [None, 1, None, 4]


def test_an_error_keeps_its_parameters_through_the_engine() -> None:
    with pytest.raises(SparkError) as caught:
        FRAME.lazy().select(compile_expression(Cast(TEXT, INTEGER), EvaluationContext())).collect()
    failure = caught.value.failure
    assert failure.condition == "CAST_INVALID_INPUT"
    assert failure.parameters["expression"] == "'a'"
    assert failure.sqlstate == "22018"


def test_arguments_carry_their_types() -> None:
    assert dtype_of(INVERSE) == DOUBLE
