"""Interval literals and operators' precedence as text is read."""

from __future__ import annotations

import pytest

from voltray.driver.sql.parser import parse_expression
from voltray.proto.expressions import Literal
from voltray.proto.failures import SparkError
from voltray.proto.interval_text import read_interval
from voltray.proto.types import DayTimeIntervalType, YearMonthIntervalType


@pytest.mark.parametrize(
    ("text", "value", "dtype"),
    [
        ("interval 2 years 4 months", 28, YearMonthIntervalType(0, 1)),
        ("interval -'1-1' year to month", -13, YearMonthIntervalType(0, 1)),
        ("interval 1 week 3 seconds", 604_803_000_000, DayTimeIntervalType(0, 3)),
        ("interval '1 02' day to hour", 93_600_000_000, DayTimeIntervalType(0, 1)),
        ("interval '- 1 day'", -86_400_000_000, DayTimeIntervalType(0, 0)),
    ],
)
def test_an_interval_is_read(text: str, value: int, dtype: object) -> None:
    assert parse_expression(text) == Literal(value, dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("interval 1 month 1 day", "_LEGACY_ERROR_TEMP_0029"),
        ("interval '1' year to second", "INVALID_INTERVAL_FORMAT.UNSUPPORTED_FROM_TO_EXPRESSION"),
        ("interval '1 25' day to hour", "_LEGACY_ERROR_TEMP_0063"),
        ("interval '1day'", "INVALID_TYPED_LITERAL"),
        ("interval 1.5 day", "INVALID_INTERVAL_FORMAT.INVALID_FRACTION"),
        ("interval 2147483647 day", "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION"),
        ("foo 'x'", "UNSUPPORTED_TYPED_LITERAL"),
        ("X'XuZ'", "INVALID_TYPED_LITERAL"),
        ("1E309", "INVALID_NUMERIC_LITERAL_RANGE"),
        ("1 > > 2", "PARSE_SYNTAX_ERROR"),
    ],
)
def test_what_is_no_literal_is_refused(text: str, condition: str) -> None:
    with pytest.raises(SparkError) as failure:
        parse_expression(text)
    assert failure.value.condition == condition


def test_the_word_interval_may_name_a_column() -> None:
    assert "interval" in str(parse_expression("interval - 1"))


@pytest.mark.parametrize(
    ("text", "same"),
    [("1 | 2 & 3", "1 | (2 & 3)"), ("1 ^ 3 & 2", "1 ^ (3 & 2)"), ("4 | 1 << 2", "4 | (1 << 2)"),
     ("8 >>> 1 + 1", "8 >>> (1 + 1)"), ("'a' || 2 + 2", "('a' || 2) + 2")],
)  # fmt: skip
def test_operators_bind_as_in_spark(text: str, same: str) -> None:
    def shape(expression: object) -> object:
        args = getattr(expression, "args", None)
        return expression if args is None else (expression.name, [shape(a) for a in args])  # type: ignore[attr-defined]

    assert shape(parse_expression(text)) == shape(parse_expression(same))


def test_units_give_months_days_and_microseconds() -> None:
    assert read_interval("interval 1 year -2 days .5 seconds") == (12, -2, 500_000)
