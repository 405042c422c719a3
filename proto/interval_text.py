"""Texts of intervals as Spark reads them: numbers with units, ``1-2`` year to month, ``1 02:03:04.5`` day to second."""

from __future__ import annotations

import re

from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import DayTimeIntervalType, YearMonthIntervalType

TRIMMED = "".join(map(chr, range(0x21))) + "\x7f"
"""What Spark trims off a text before it reads it."""
YEAR_MONTH_FIELDS = ("year", "month")
DAY_TIME_FIELDS = ("day", "hour", "minute", "second")
UNIT_MICROS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)
MAX_LONG = (1 << 63) - 1
MAX_INT = (1 << 31) - 1

# ---- numbers with units ---------------------------------------------------------------------------------
_MONTHS = {"year": 12, "month": 1}
_DAYS = {"week": 7, "day": 1}
_MICROS = {
    "hour": UNIT_MICROS[1], "minute": UNIT_MICROS[2], "second": UNIT_MICROS[3], "millisecond": 1000, "microsecond": 1,
}  # fmt: skip
_UNIT = re.compile("|".join((*_MONTHS, *_DAYS, *_MICROS)))
_DIGITS = re.compile(r"[0-9]*")
_SPACES = re.compile(r"[\x00-\x20]*")


def _invalid(reason: str, text: str, **parameters: str) -> SparkError:
    condition = f"INVALID_INTERVAL_FORMAT.{reason}"
    return spark_error(condition, ErrorKind.ILLEGAL_ARGUMENT, extra={"input": text, **parameters})


def _word(body: str, at: int) -> str:
    words = re.split(r"\s+", body)
    return words[max(len(words) - len(re.split(r"\s+", body[at:])), 0)]


def read_interval(text: str) -> tuple[int, int, int]:
    """Months, days and microseconds of ``1 year -2 days 3.5 seconds``; INVALID_INTERVAL_FORMAT for other texts."""
    body = text.strip(TRIMMED).lower()
    if not body:
        raise _invalid("INPUT_IS_EMPTY", text)
    at = 0
    if body.startswith("interval"):
        if body == "interval":
            raise _invalid("INPUT_IS_EMPTY", text)
        if body[8] > " ":
            raise _invalid("INVALID_PREFIX", text, prefix=_word(body, 0))
        at = _end(_SPACES, body, 8)
    months = days = micros = 0
    while at < len(body):
        value, fraction, at = _read_number(text, body, at)
        unit, at = _read_unit(text, body, at, fraction is not None)
        months += value * _MONTHS.get(unit, 0)
        days += value * _DAYS.get(unit, 0)
        micros += value * _MICROS.get(unit, 0) + (fraction or 0)
        if not _fits(months, MAX_INT) or not _fits(days, MAX_INT) or not _fits(micros, MAX_LONG):
            raise _invalid("ARITHMETIC_EXCEPTION", text)
    return months, days, micros


def _fits(value: int, largest: int) -> bool:
    return -largest - 1 <= value <= largest


def _end(pattern: re.Pattern[str], body: str, at: int) -> int:
    match = pattern.match(body, at)
    return match.end() if match is not None else at


def _read_number(text: str, body: str, at: int) -> tuple[int, int | None, int]:
    """A signed number, its microseconds behind the point (None without a point), and where its unit begins."""
    negative, start = body[at] == "-", at
    if body[at] in "+-":
        at = _end(_SPACES, body, at + 1)
        if at >= len(body):
            raise _invalid("MISSING_NUMBER", text, word=_word(body, start))
    elif body[at] not in "0123456789.":
        raise _invalid("UNRECOGNIZED_NUMBER", text, number=_word(body, at))
    stop = _end(_DIGITS, body, at)
    whole = int(body[at:stop] or 0)
    if whole > MAX_LONG:
        raise _invalid("ARITHMETIC_EXCEPTION", text)
    fraction: int | None = None
    bare = stop == start  # nothing stands before the point
    if stop < len(body) and body[stop] == ".":
        point, stop = stop, _end(_DIGITS, body, stop + 1)
        digits = body[point + 1 : stop]
        if len(digits) > 9:
            raise _invalid("INVALID_PRECISION", text, value=_word(body, point))
        if bare and not digits and stop < len(body):
            raise _invalid("INVALID_VALUE", text, value=_word(body, point))
        fraction = int(digits.ljust(6, "0")[:6])
    if stop >= len(body):
        raise _invalid("MISSING_UNIT", text, word=_word(body, start))
    if body[stop] > " ":
        raise _invalid("INVALID_VALUE", text, value=_word(body, stop))
    sign = -1 if negative else 1
    return sign * whole, None if fraction is None else sign * fraction, _end(_SPACES, body, stop)


def _read_unit(text: str, body: str, at: int, fractional: bool) -> tuple[str, int]:
    if fractional and body[at] != "s":
        raise _invalid("INVALID_FRACTION", text, unit=_word(body, at))
    match = _UNIT.match(body, at)
    if match is None:
        raise _invalid("INVALID_UNIT", text, unit=_word(body, at))
    stop = match.end()
    if body.startswith("s", stop):
        stop += 1
    if stop < len(body) and body[stop] > " ":
        raise _invalid("INVALID_UNIT", text, unit=_word(body, at))
    return match.group(), _end(_SPACES, body, stop)


# ---- fields of one type -----------------------------------------------------------------------------------
_SIGN = r"([+-]?)"
_FIRST = {"day": r"(\d{1,9})", "hour": r"(\d{1,10})", "minute": r"(\d{1,12})", "second": r"(\d{1,13}(?:\.\d{1,9})?)"}
_ALONE = {"day": r"(\d+)", "hour": r"(\d+)", "minute": r"(\d+)", "second": r"(\d+(?:\.\d{1,9})?)"}
_LATER = {"hour": r" +(\d{1,2})", "minute": r":(\d{1,2})", "second": r":(\d{1,2}(?:\.\d{1,9})?)"}
_LARGEST = {"hour": 23, "minute": 59, "second": 59}
_SHAPES = {
    ("day", "day"): "[+|-]d", ("day", "hour"): "[+|-]d h", ("day", "minute"): "[+|-]d h:m",
    ("day", "second"): "[+|-]d h:m:s.n", ("hour", "hour"): "[+|-]h", ("hour", "minute"): "[+|-]h:m",
    ("hour", "second"): "[+|-]h:m:s.n", ("minute", "minute"): "[+|-]m", ("minute", "second"): "[+|-]m:s.n",
    ("second", "second"): "[+|-]s.n", ("year", "year"): "[+|-]y", ("month", "month"): "[+|-]m",
    ("year", "month"): "[+|-]y-m",
}  # fmt: skip
IntervalType = DayTimeIntervalType | YearMonthIntervalType


def field_names(dtype: IntervalType) -> tuple[str, ...]:
    """The fields of an interval type, ``("day", "hour")`` for INTERVAL DAY TO HOUR."""
    names = DAY_TIME_FIELDS if isinstance(dtype, DayTimeIntervalType) else YEAR_MONTH_FIELDS
    return names[dtype.startField or 0 : (dtype.endField or 0) + 1]


def field_pattern(dtype: IntervalType) -> re.Pattern[str]:
    """What a text of the type looks like: the value alone, or the whole literal around it."""
    names = field_names(dtype)
    if isinstance(dtype, YearMonthIntervalType):
        body = "-".join([r"(\d+)"] * len(names))
    else:
        body = (_ALONE if len(names) == 1 else _FIRST)[names[0]] + "".join(_LATER[n] for n in names[1:])
    unit = names[0] if len(names) == 1 else rf"{names[0]}\s+to\s+{names[-1]}"
    return re.compile(rf"(?:{_SIGN}{body}|INTERVAL\s+{_SIGN}'{_SIGN}{body}'\s+{unit})", re.IGNORECASE | re.ASCII)


def read_fields(dtype: IntervalType, pattern: re.Pattern[str], text: str) -> int:
    """Months or microseconds of a text of the type; a Spark condition for other texts."""
    match = pattern.fullmatch(text.strip(TRIMMED))
    if match is None:
        raise unmatched(dtype, text)
    groups, count = match.groups(), len(field_names(dtype))
    if groups[1] is not None:
        negative, numbers = groups[0] == "-", groups[1 : 1 + count]
    else:
        signs = groups[1 + count : 3 + count]
        negative, numbers = (signs[0] == "-") != (signs[1] == "-"), groups[3 + count : 3 + 2 * count]
    sign = -1 if negative else 1
    if isinstance(dtype, YearMonthIntervalType):
        return _months(dtype, text, sign, [int(n) for n in numbers])
    return _microseconds(dtype, sign, list(numbers))


def _months(dtype: YearMonthIntervalType, text: str, sign: int, numbers: list[int]) -> int:
    units = [_MONTHS[name] for name in field_names(dtype)]
    months = sign * sum(n * unit for n, unit in zip(numbers, units, strict=True))
    if not _fits(months, MAX_INT) or (len(numbers) == 2 and numbers[1] > 11):
        raise _invalid("INTERVAL_PARSING", text, interval="year-month")
    return months


def _microseconds(dtype: DayTimeIntervalType, sign: int, numbers: list[str]) -> int:
    names = field_names(dtype)
    if len(names) == 1 and names[0] != "second":  # a day, hour or minute alone wraps
        micros = sign * int(numbers[0]) * _DAY_TIME_MICROS[names[0]]
        return (micros + MAX_LONG + 1) % (1 << 64) - MAX_LONG - 1
    micros = 0
    for place, (name, number) in enumerate(zip(names, numbers, strict=True)):
        whole, _, fraction = number.partition(".")
        largest = _LARGEST[name] if place else MAX_LONG // _DAY_TIME_MICROS[name]
        if int(whole) > largest:
            raise OutOfRange(f"requirement failed: {name} {int(whole)} outside range [0, {largest}]")
        micros += sign * (int(whole) * _DAY_TIME_MICROS[name] + int((fraction or "0")[:6].ljust(6, "0")))
    if not _fits(micros, MAX_LONG):
        raise OutOfRange("long overflow")
    return micros


class OutOfRange(Exception):
    """A field is beyond its range: Spark has no condition for it, and a literal and a cast tell it differently."""


_DAY_TIME_MICROS = dict(zip(DAY_TIME_FIELDS, UNIT_MICROS, strict=True))


def unmatched(dtype: IntervalType, text: str) -> SparkError:
    """INVALID_INTERVAL_FORMAT for a text that has not the shape of a type."""
    names = field_names(dtype)
    day_time = isinstance(dtype, DayTimeIntervalType)
    shape = _SHAPES[names[0], names[-1]]
    unit = (names[0] if len(names) == 1 else f"{names[0]} TO {names[-1]}").upper()
    return _invalid(
        "UNMATCHED_FORMAT_STRING_WITH_NOTICE" if day_time else "UNMATCHED_FORMAT_STRING",
        text,
        intervalStr="day-time" if day_time else "year-month",
        typeName=dtype.simpleString(),
        supportedFormat=f"`{shape}`, `INTERVAL [+|-]'{shape}' {unit}`",
    )
