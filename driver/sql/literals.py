"""Literals of SQL text: numbers with and without suffixes, typed strings, intervals."""

from __future__ import annotations

import re
from decimal import Decimal

from voltray.proto import types as t
from voltray.proto.expressions import Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error

_SUFFIX_TYPES: dict[str, t.DataType] = {"L": t.LONG, "S": t.SHORT, "Y": t.BYTE, "D": t.DOUBLE, "F": t.FLOAT}
_BOUNDS = {"L": 63, "S": 15, "Y": 7}


def number(text: str) -> Literal:
    """An unsuffixed number: the smallest of INT, BIGINT and DECIMAL; DECIMAL with a point; DOUBLE with an exponent."""
    if re.search(r"[eE]", text):
        return Literal(float(text), t.DOUBLE)
    if "." in text:
        return _decimal(text)
    value = int(text)
    if -(2**31) <= value < 2**31:
        return Literal(value, t.INTEGER)
    if -(2**63) <= value < 2**63:
        return Literal(value, t.LONG)
    return _decimal(text)


def suffixed_number(text: str) -> Literal:
    """A number with a suffix: ``1L``, ``2S``, ``3Y``, ``4.5D``, ``6F``, ``7.8BD``."""
    upper = text.upper()
    if upper.endswith("BD"):
        return _decimal(text[:-2])
    digits, suffix = text[:-1], upper[-1]
    dtype = _SUFFIX_TYPES[suffix]
    if suffix in ("D", "F"):
        return Literal(float(digits), dtype)
    value, bits = int(digits), _BOUNDS[suffix]
    if not -(2**bits) <= value < 2**bits:
        raise spark_error(
            "INVALID_NUMERIC_LITERAL_RANGE",
            ErrorKind.PARSE,
            rawStrippedQualifier=digits,
            minValue=-(2**bits),
            maxValue=2**bits - 1,
            typeName=dtype.simpleString(),
        )
    return Literal(value, dtype)


def _decimal(text: str) -> Literal:
    value = Decimal(text)
    _, digits, exponent = value.as_tuple()
    scale = max(-int(exponent), 0)
    precision = max(len(digits) + max(int(exponent), 0), scale)
    if precision > t.MAX_DECIMAL_PRECISION:
        raise spark_error(
            "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
            ErrorKind.PARSE,
            precision=precision,
            maxPrecision=t.MAX_DECIMAL_PRECISION,
        )
    return Literal(value, t.DecimalType(max(precision, 1), scale))


# ---- intervals ------------------------------------------------------------------------------------
_MICROSECONDS = {
    "week": 7 * 86_400_000_000,
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
    "millisecond": 1_000,
    "microsecond": 1,
}
_MONTHS = {"year": 12, "month": 1}
_DAY_TIME = ("day", "hour", "minute", "second")
_YEAR_MONTH = ("year", "month")


def unit_name(text: str) -> str:
    """A unit in lower case and singular."""
    lower = text.lower()
    return lower[:-1] if lower.endswith("s") and lower != "s" else lower


def interval(pairs: list[tuple[str, str]], text: str) -> Literal:
    """An interval of (value, unit) pairs: year-month or day-time; Spark refuses a mixture."""
    units = [unit_name(u) for _, u in pairs]
    try:
        if all(u in _MONTHS for u in units):
            months = sum(int(v) * _MONTHS[u] for (v, _), u in zip(pairs, units, strict=True))
            return Literal(months, _year_month(units))
        if all(u in _MICROSECONDS for u in units):
            parts = zip(pairs, units, strict=True)
            micros = sum(int(Decimal(v) * _MICROSECONDS[u]) for (v, _), u in parts)
            return Literal(micros, _day_time(units))
    except (ValueError, ArithmeticError) as failure:
        raise _invalid(text) from failure
    unknown = [u for u in units if u not in _MONTHS and u not in _MICROSECONDS]
    if unknown:
        raise _invalid(text)
    raise spark_error(
        "_LEGACY_ERROR_TEMP_0029",
        ErrorKind.PARSE,
        message=f"Cannot mix year-month and day-time fields: {text}",
    )


def _year_month(units: list[str]) -> t.DataType:
    places = [_YEAR_MONTH.index(u) for u in units]
    return t.YearMonthIntervalType(min(places), max(places))


def _day_time(units: list[str]) -> t.DataType:
    fields = {"week": 0, "millisecond": 3, "microsecond": 3}
    places = [fields[u] if u in fields else _DAY_TIME.index(u) for u in units]
    return t.DayTimeIntervalType(min(places), max(places))


_YEAR_TO_MONTH = re.compile(r"^\s*([+-]?)\s*(\d+)-(\d+)\s*$")
_DAY_TO_SECOND = re.compile(
    r"^\s*(?P<sign>[+-]?)\s*(?:(?P<day>\d+)(?:\s+|$))?(?:(?P<hour>\d+))?(?::(?P<minute>\d+))?(?::(?P<second>\d+(?:\.\d{1,9})?))?\s*$"
)


def interval_range(text: str, start: str, stop: str) -> Literal:
    """``INTERVAL '1-2' YEAR TO MONTH`` and ``INTERVAL '1 02:03:04.5' DAY TO SECOND`` with their shorter forms."""
    start, stop = unit_name(start), unit_name(stop)
    if (start, stop) == ("year", "month"):
        match = _YEAR_TO_MONTH.match(text)
        if match is None or int(match[3]) > 11:
            raise _invalid(text)
        months = int(match[2]) * 12 + int(match[3])
        return Literal(-months if match[1] == "-" else months, t.YearMonthIntervalType(0, 1))
    if start not in _DAY_TIME or stop not in _DAY_TIME:
        raise _invalid(text)
    first, last = _DAY_TIME.index(start), _DAY_TIME.index(stop)
    return Literal(_day_time_value(text, first, last), t.DayTimeIntervalType(first, last))


def _day_time_value(text: str, first: int, last: int) -> int:
    sign, body = (-1, text.strip()[1:]) if text.strip().startswith("-") else (1, text.strip().lstrip("+"))
    pieces = re.split(r"[ T:]+", body.strip())
    if len(pieces) != last - first + 1:
        raise _invalid(text)
    try:
        names = _DAY_TIME[first : last + 1]
        return sign * sum(int(Decimal(p) * _MICROSECONDS[n]) for p, n in zip(pieces, names, strict=True))
    except ArithmeticError as failure:
        raise _invalid(text) from failure


_PAIR = re.compile(r"([+-]?\s*\d*\.?\d+)\s*([a-z]+)", re.IGNORECASE)


def interval_text(text: str) -> Literal:
    """``INTERVAL '3 days 2 hours'``: every unit in the string."""
    body = re.sub(r"^\s*interval\s+", "", text, flags=re.IGNORECASE)
    pairs = [(value.replace(" ", ""), unit) for value, unit in _PAIR.findall(body)]
    if not pairs or _PAIR.sub("", body).strip():
        raise _invalid(text)
    return interval(pairs, text)


def _invalid(text: str) -> SparkError:
    return spark_error("INVALID_INTERVAL_FORMAT.UNRECOGNIZED_NUMBER", ErrorKind.PARSE, input=text, number=text)
