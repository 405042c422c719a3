"""Parsing a column of text by a Java pattern, strictly, into timestamps."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.java_patterns import Field, Optional, Part, Text, read_pattern

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_OFFSETS = {
    1: r"Z|[+-]\d{2}(?:\d{2})?", 2: r"Z|[+-]\d{4}", 3: r"Z|[+-]\d{2}:\d{2}", 4: r"Z|[+-]\d{4}(?:\d{2})?",
    5: r"Z|[+-]\d{2}:\d{2}(?::\d{2})?",
}  # fmt: skip
_ZONE_TEXT = r"[A-Za-z][A-Za-z0-9_/+\-]*(?::\d{2})?|[+-]\d{2}(?::?\d{2})?(?::?\d{2})?"
_ABBREVIATIONS = {
    "PDT": "America/Los_Angeles", "PST": "America/Los_Angeles", "MDT": "America/Denver", "MST": "America/Denver",
    "CDT": "America/Chicago", "CST": "America/Chicago", "EDT": "America/New_York", "EST": "America/New_York",
    "CET": "Europe/Paris", "CEST": "Europe/Paris", "EET": "Europe/Helsinki", "EEST": "Europe/Helsinki",
    "WET": "Europe/Lisbon", "WEST": "Europe/Lisbon", "BST": "Europe/London", "JST": "Asia/Tokyo",
    "MSK": "Europe/Moscow", "IST": "Asia/Kolkata", "HST": "Pacific/Honolulu", "AKST": "America/Anchorage",
    "AKDT": "America/Anchorage",
}  # fmt: skip
# field -> (Java's name of it, least, greatest)
_RANGES = {
    "M": ("MonthOfYear", 1, 12), "d": ("DayOfMonth", 1, 31), "D": ("DayOfYear", 1, 366), "H": ("HourOfDay", 0, 23),
    "h": ("ClockHourOfAmPm", 1, 12), "K": ("HourOfAmPm", 0, 11), "k": ("ClockHourOfDay", 1, 24),
    "m": ("MinuteOfHour", 0, 59), "s": ("SecondOfMinute", 0, 59), "u": ("Year", -999999999, 999999999),
    "y": ("YearOfEra", 1, 999999999),
}  # fmt: skip
_SHOWN_RANGES = {"D": "1 - 365/366", "d": "1 - 28/31", "y": "1 - 999999999/1000000000"}
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTH_NAMES = [m.upper() for m in _MONTHS]


@dataclass(frozen=True, slots=True)
class _Reader:
    """A pattern as one regular expression; group i holds the field ``fields[i]``."""

    regex: str
    fields: tuple[Field, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """Instants or local times in microseconds, and the rows whose text did not fit."""

    micros: pl.Series
    bad: pl.Series


@lru_cache(maxsize=256)
def _reader(pattern: str) -> _Reader:
    fields: list[Field] = []
    steps = tuple(_regex(part, fields) for part in read_pattern(pattern, True))
    return _Reader("(?i)^" + "".join(steps) + "$", tuple(fields), steps)


def _regex(part: Part, fields: list[Field]) -> str:
    match part:
        case Text(text):
            return re.escape(text)
        case Optional(parts):
            return "(?:" + "".join([_regex(p, fields) for p in parts]) + ")?"
        case Field(letter, count):
            fields.append(Field({"L": "M"}.get(letter, letter), count))
            return f"({_field_regex(letter, count)})"


def _field_regex(letter: str, count: int) -> str:
    if letter in "uy":
        if count == 2:
            return r"\d{2}"
        exact = rf"\d{{{count}}}" if count >= 4 else rf"\d{{{count},19}}"
        return exact + (rf"|\+\d{{{count + 1},10}}|-\d{{{count},10}}" if count >= 4 else rf"|-\d{{{count},10}}")
    if letter in "ML" and count >= 3:
        return "|".join(m if count == 4 else m[:3] for m in _MONTHS)
    texts = {
        "a": "AM|PM",
        "G": "Anno Domini|Before Christ" if count == 4 else "AD|BC",
        "z": _ZONE_TEXT,
        "V": _ZONE_TEXT,
    }
    if letter in texts:
        return texts[letter]
    if letter in "Xx":
        return _OFFSETS[count] if letter == "X" else _OFFSETS[count].removeprefix("Z|")
    if letter == "Z":
        return {4: r"GMT(?:[+-]\d{2}:\d{2}(?::\d{2})?)?", 5: _OFFSETS[5]}.get(count, r"[+-]\d{4}")
    if letter == "O":
        return r"GMT(?:[+-]\d{1,2}(?::\d{2})?(?::\d{2})?)?"
    if letter == "S":
        return rf"\d{{1,{count}}}"
    if letter == "D":
        return {1: r"\d{1,19}", 2: r"\d{2,3}", 3: r"\d{3}"}[count]
    return r"\d{1,19}" if count == 1 else rf"\d{{{count}}}"


def parse(text: pl.Series, pattern: str, time_zone: str | None) -> Parsed:
    """Text as instants, local where the pattern has no zone; without ``time_zone`` as local times."""
    reader = _reader(pattern)
    if not reader.fields:
        bad = text.is_not_null() & ~text.str.contains(reader.regex)
        columns: list[pl.Series] = []
    else:
        groups = text.str.extract_groups(reader.regex)
        columns = groups.struct.unnest().get_columns()
        matched = text.str.contains(reader.regex)
        bad = text.is_not_null() & ~matched
    fields, flags = _read_fields(reader, columns, len(text))
    wrong = flags | bad.fill_null(False).to_numpy()
    local, impossible = _local_micros(fields, len(text))
    wrong |= impossible
    micros = pl.Series(np.where(wrong, 0, local), dtype=pl.Int64)
    if time_zone is not None:
        micros = _zoned(micros, reader, columns, time_zone)
    keep = pl.Series(~wrong) & text.is_not_null()
    return Parsed(micros.zip_with(keep, pl.Series([None], dtype=pl.Int64)), pl.Series(wrong) & text.is_not_null())


def _read_fields(
    reader: _Reader, columns: list[pl.Series], length: int
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """letter -> (numbers, where given), and the rows with a number out of its range."""
    fields: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    wrong = np.zeros(length, dtype=bool)
    for field, column in zip(reader.fields, columns, strict=True):
        if field.letter in "XxZOzV":
            continue
        given = column.is_not_null().to_numpy()
        numbers = _numbers(field, column)
        letter = "u" if field.letter == "y" and not any(f.letter == "G" for f in reader.fields) else field.letter
        if letter in _RANGES:
            _, low, high = _RANGES[letter]
            wrong |= given & ((numbers < low) | (numbers > high))
        if letter in fields:
            earlier, before = fields[letter]
            wrong |= given & before & (earlier != numbers)
            numbers, given = np.where(given, numbers, earlier), given | before
        fields[letter] = (numbers, given)
    return fields, wrong


def _numbers(field: Field, column: pl.Series) -> np.ndarray:
    if field.letter == "M" and field.count >= 3:
        known = {m if field.count == 4 else m[:3]: i + 1 for i, m in enumerate(_MONTHS)}
        numbers = column.str.to_lowercase().replace_strict(known, default=None, return_dtype=pl.Int64)
    elif field.letter == "a":
        numbers = (column.str.to_uppercase() == "PM").cast(pl.Int64)
    elif field.letter == "G":
        numbers = column.str.to_uppercase().is_in(["AD", "ANNO DOMINI"]).cast(pl.Int64)
    elif field.letter == "S":
        numbers = column.str.pad_end(9, "0").cast(pl.Int64, strict=False)
    else:
        numbers = column.str.strip_prefix("+").cast(pl.Int64, strict=False).fill_null(-(10**12))
        if field.letter in "uy" and field.count == 2:
            numbers = numbers + 2000
    return numbers.fill_null(0).to_numpy()


def _local_micros(fields: dict[str, tuple[np.ndarray, np.ndarray]], length: int) -> tuple[np.ndarray, np.ndarray]:
    def field(letter: str, default: int) -> np.ndarray:
        if letter not in fields:
            return np.full(length, default, dtype=np.int64)
        numbers, given = fields[letter]
        return np.where(given, numbers, default)

    year = field("u", 1970)
    if "y" in fields:
        era, of_era = field("G", 1), field("y", 1970)
        year = np.where(era == 1, of_era, 1 - of_era)
    year = np.clip(year, -290000, 290000)
    days, wrong = _days(fields, field, year, length)
    seconds = _hours(fields, field) * 3600 + field("m", 0) * 60 + field("s", 0)
    return days * 86_400_000_000 + seconds * 1_000_000 + field("S", 0) // 1000, wrong


def _days(
    fields: dict[str, tuple[np.ndarray, np.ndarray]], field: Callable[[str, int], np.ndarray], year: np.ndarray,
    length: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    month, day = field("M", 1), field("d", 1)
    first = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("M8[M]")
    size = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(np.int64)
    wrong = day > size
    days = first.astype("M8[D]").astype(np.int64) + day - 1
    if "D" in fields:
        ordinal, given = fields["D"]
        start = ((year - 1970) * 12).astype("M8[M]").astype("M8[D]").astype(np.int64)
        by_year = start + ordinal - 1
        wrong = np.where(given, (ordinal == 366) & ~leap, wrong)
        in_month = by_year.astype("M8[D]").astype("M8[M]")
        if "M" in fields:
            wrong |= given & (in_month.astype(np.int64) % 12 + 1 != month)
        if "d" in fields:
            wrong |= given & (by_year - in_month.astype("M8[D]").astype(np.int64) + 1 != day)
        days = np.where(given, by_year, days)
    return days, wrong


def _hours(fields: dict[str, tuple[np.ndarray, np.ndarray]], field: Callable[[str, int], np.ndarray]) -> np.ndarray:
    afternoon = field("a", 0) * 12
    if "H" in fields:
        return field("H", 0)
    if "k" in fields:
        return field("k", 0) % 24
    if "h" in fields:
        return field("h", 12) % 12 + afternoon  # type: ignore[no-any-return]
    return field("K", 0) + afternoon  # type: ignore[no-any-return]


def _zoned(micros: pl.Series, reader: _Reader, columns: list[pl.Series], time_zone: str) -> pl.Series:
    """Local microseconds to instants, by the zone in the text or else the session's."""
    local = micros.cast(pl.Datetime("us"))
    instants = zones.instant_series(local, time_zone).to_physical()
    for field, column in zip(reader.fields, columns, strict=True):
        if field.letter not in "XxZOzV":
            continue
        for name in column.unique().drop_nulls().to_list():
            there = zones.instant_series(local, _zone_name(name)).to_physical()
            instants = there.zip_with((column == name).fill_null(False), instants)
    return instants


def _zone_name(text: str) -> str:
    upper = text.upper()
    if upper in _ABBREVIATIONS:
        return _ABBREVIATIONS[upper]
    if upper == "Z" or upper == "GMT":
        return "UTC"
    digits = re.fullmatch(r"([+-])(\d{2})(\d{2})(\d{2})?", text)
    if digits:
        return digits[1] + ":".join(g for g in digits.groups()[1:] if g)
    return text


def problem(text: str, pattern: str) -> str:
    """Java's words for why a text does not fit a pattern."""
    reader = _reader(pattern)
    shown = f"Text '{text}' could not be parsed"
    position = 0
    for step in reader.steps:
        found = re.compile(step, re.IGNORECASE).match(text, position)
        if found is None:
            return f"{shown} at index {position}"
        position = found.end()
    if position < len(text):
        return f"{shown}, unparsed text found at index {position}"
    columns = pl.Series([text]).str.extract_groups(reader.regex).struct.unnest().get_columns() if reader.fields else []
    values = {
        f.letter: int(_numbers(f, c)[0]) for f, c in zip(reader.fields, columns, strict=True) if f.letter in _RANGES
    }
    for letter, value in values.items():
        name, low, high = _RANGES[letter]
        if not low <= value <= high:
            valid = _SHOWN_RANGES.get(letter, f"{low} - {high}")
            return f"{shown}: Invalid value for {name} (valid values {valid}): {value}"
    wrong = invalid_date(values.get("u", 1970), values.get("M", 1), values.get("d", 1))
    # Without a year Java's own parser is content: Spark finds out when it makes the date.
    return f"{shown}: {wrong}" if "u" in values else wrong


def invalid_date(year: int, month: int, day: int) -> str:
    """Java's words for a day that its month does not have."""
    if month == 2 and day == 29:
        return f"Invalid date 'February 29' as '{year}' is not a leap year"
    return f"Invalid date '{_MONTH_NAMES[month - 1]} {day}'"
