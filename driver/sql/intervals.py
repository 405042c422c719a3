"""Interval literals: their grammar in sqlglot's parser, and the literals that they mean.

``INTERVAL 1 DAY 2 HOURS``, ``INTERVAL '1 02' DAY TO HOUR`` and ``INTERVAL '1 day 2 hours'``. Whatever else follows
the word leaves it a name: ``interval - 1`` subtracts from a column.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from voltray.driver.sql.context import SqlText
from voltray.proto import types as t
from voltray.proto.expressions import Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.interval_text import (
    DAY_TIME_FIELDS,
    MAX_LONG,
    UNIT_MICROS,
    YEAR_MONTH_FIELDS,
    OutOfRange,
    field_pattern,
    read_fields,
    read_interval,
)  # fmt: skip

INTERVAL_LITERAL = "__interval"
"""An interval literal as a call: its form (text, units, range or twice), then its parts."""

_SINGULAR = ("nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "year")
_UNITS = frozenset([*_SINGULAR, *[f"{unit}s" for unit in _SINGULAR]])
_RANGE_UNITS = frozenset([*YEAR_MONTH_FIELDS, *DAY_TIME_FIELDS])
_RANGES: dict[tuple[str, str], t.YearMonthIntervalType | t.DayTimeIntervalType] = {
    ("year", "month"): t.YearMonthIntervalType(0, 1),
    **{(a, b): t.DayTimeIntervalType(i, j + i + 1)
       for i, a in enumerate(DAY_TIME_FIELDS) for j, b in enumerate(DAY_TIME_FIELDS[i + 1 :])},
}  # fmt: skip
_EXTRA_FIELDS = {"week": 0, "millisecond": 3, "microsecond": 3, "nanosecond": 3}


# ---- grammar ----------------------------------------------------------------------------------------------
def parse_interval(parser: Any) -> exp.Expression | None:
    """An interval literal from here, or nothing (and no token taken)."""
    index = parser._index
    first = parser._curr
    if not parser._match(TokenType.INTERVAL):
        return None
    parts = _range(parser)
    form = "range" if parts else "units"
    if not parts:
        parts = _pairs(parser)
    if parts:
        if _range(parser) or (form == "range" and _pairs(parser)):
            form = "twice"
    else:
        text = _string(parser)
        if text is None:
            parser._retreat(index)
            return None
        form, parts = "text", [text]
    node = exp.Anonymous(this=INTERVAL_LITERAL, expressions=[exp.Literal.string(form), *parts])
    node.meta["start"], node.meta["end"] = first.start, parser._prev.end
    return node


def _pairs(parser: Any) -> list[exp.Expression]:
    """Sign, value and unit of each ``value unit``."""
    parts: list[exp.Expression] = []
    while True:
        index = parser._index
        value = _value(parser)
        token: Token | None = parser._curr
        if not value or token is None or token.text.lower() not in _UNITS or token.token_type == TokenType.STRING:
            parser._retreat(index)
            return parts
        parser._advance()
        follows_to = parser._curr is not None and parser._curr.text.lower() == "to"
        if follows_to and token.text.lower() in _RANGE_UNITS:
            parser._retreat(index)
            return parts
        parts += [*value, exp.Literal.string(token.text)]


def _range(parser: Any) -> list[exp.Expression]:
    """Sign, value and the two units of ``value unit TO unit``."""
    index = parser._index
    value = _value(parser)
    start = parser._curr
    if value and start is not None and start.text.lower() in _RANGE_UNITS:
        parser._advance()
        if parser._curr is not None and parser._curr.text.lower() == "to":
            parser._advance()
            stop = parser._curr
            if stop is not None and stop.text.lower() in _RANGE_UNITS:
                parser._advance()
                return [*value, exp.Literal.string(start.text), exp.Literal.string(stop.text)]
    parser._retreat(index)
    return []


def _value(parser: Any) -> list[exp.Expression]:
    """Sign and value, a string or a number that no letters touch."""
    sign = parser._prev.text if parser._match_set((TokenType.PLUS, TokenType.DASH)) else ""
    text = _string(parser)
    if text is not None:
        return [exp.Literal.string(sign), text]
    token, following = parser._curr, parser._next
    touching = token is not None and following is not None and following.start == token.end + 1
    if token is None or token.token_type != TokenType.NUMBER or touching:
        return []
    parser._advance()
    return [exp.Literal.string(sign), exp.Literal.number(token.text)]


def _string(parser: Any) -> exp.Expression | None:
    words: list[str] = []
    while parser._curr is not None and parser._curr.token_type in (TokenType.STRING, TokenType.RAW_STRING):
        words.append(parser._curr.text)
        parser._advance()
    return exp.Literal.string("".join(words)) if words else None


# ---- meaning ----------------------------------------------------------------------------------------------
def interval_literal(node: exp.Anonymous, text: SqlText) -> Literal:
    """The literal of a parsed interval, a parser's condition for what it may not be."""
    form, *parts = node.expressions
    origin = text.origin(node)
    source = origin.fragment if origin is not None else ""
    contexts = (origin,) if origin is not None else ()
    try:
        match form.name:
            case "text":
                return _of_text(parts[0].name, source)
            case "range":
                return _of_range(parts)
            case "units":
                return _of_units(parts, source)
        raise spark_error("_LEGACY_ERROR_TEMP_0024", ErrorKind.PARSE, message="An interval takes one unit TO unit.")
    except SparkError as error:
        raise _of_parser(error, contexts) from None
    except OutOfRange as error:
        raise spark_error("_LEGACY_ERROR_TEMP_0063", ErrorKind.PARSE, msg=error, contexts=contexts) from None


def _of_parser(error: SparkError, contexts: tuple[Any, ...]) -> SparkError:
    failure = error.failure
    kind = ErrorKind.PARSE if failure.kind is ErrorKind.ILLEGAL_ARGUMENT else failure.kind
    return spark_error(
        failure.condition, kind, contexts=contexts, message=failure.message, sqlstate=failure.sqlstate,
        extra=failure.parameters,
    )  # fmt: skip


def _of_text(value: str, source: str) -> Literal:
    try:
        months, days, micros = read_interval(value)
    except SparkError:
        shown = f"'{value}'"
        raise spark_error("INVALID_TYPED_LITERAL", ErrorKind.PARSE, valueType='"INTERVAL"', value=shown) from None
    words = [word.lower() for word in value.split()]
    units = [word.removesuffix("s") for word in words if word.isascii() and word.isalpha() and word != "interval"]
    return _typed(months, days, micros, units, source)


def _signed_text(sign: str, value: str) -> str:
    if sign != "-":
        return value
    return value[1:] if value.startswith("-") else f"-{value}"


def _of_units(parts: list[exp.Expression], source: str) -> Literal:
    words, units = [], []
    for sign, value, unit in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if value.is_string and any(c.isalpha() for c in value.name):
            message = f"The value of an interval's unit is a number: {value.name}"
            raise spark_error("_LEGACY_ERROR_TEMP_0026", ErrorKind.PARSE, message=message, value=value.name)
        number = _signed_text(sign.name, value.name) if value.is_string else sign.name + value.name
        words.append(f" {number} {unit.name}")
        units.append(unit.name.lower().removesuffix("s"))
    return _typed(*read_interval("".join(words)), units, source)


def _of_range(parts: list[exp.Expression]) -> Literal:
    sign, value, start, stop = parts
    if not value.is_string:
        message = "The value of an interval from unit TO unit is a string."
        raise spark_error("_LEGACY_ERROR_TEMP_0027", ErrorKind.PARSE, message=message)
    text, names = _signed_text(sign.name, value.name), (start.name.lower(), stop.name.lower())
    dtype = _RANGES.get(names)
    if dtype is None:
        condition = "INVALID_INTERVAL_FORMAT.UNSUPPORTED_FROM_TO_EXPRESSION"
        raise spark_error(condition, ErrorKind.PARSE, extra={"input": text, "from": names[0], "to": names[1]})
    return Literal(read_fields(dtype, field_pattern(dtype), text), dtype)


def _typed(months: int, days: int, micros: int, units: list[str], source: str) -> Literal:
    """A year-month or a day-time interval by the units that were written."""
    year_month = [YEAR_MONTH_FIELDS.index(u) for u in units if u in YEAR_MONTH_FIELDS]
    day_time = [
        _EXTRA_FIELDS[u] if u in _EXTRA_FIELDS else DAY_TIME_FIELDS.index(u)
        for u in units if u not in YEAR_MONTH_FIELDS
    ]  # fmt: skip
    if year_month and day_time:
        message = f"Year-month and day-time fields do not mix in one interval: {source}"
        raise spark_error("_LEGACY_ERROR_TEMP_0029", ErrorKind.PARSE, message=message, literal=source)
    if year_month:
        return Literal(months, t.YearMonthIntervalType(min(year_month), max(year_month)))
    total = days * UNIT_MICROS[0] + micros
    if not -MAX_LONG - 1 <= total <= MAX_LONG:
        raise spark_error("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", ErrorKind.ARITHMETIC)
    return Literal(total, t.DayTimeIntervalType(min(day_time), max(day_time)))
