"""Java's DateTimeFormatter patterns, read and checked as Spark does before it formats or parses with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from voltray.proto.failures import ErrorKind, SparkError, spark_error

DEFAULT_TIMESTAMP_PATTERN = "yyyy-MM-dd HH:mm:ss"
_DOCROOT = "https://spark.apache.org/docs/latest"
_POLICY = '"spark.sql.legacy.timeParserPolicy"'

_WEEK_BASED = frozenset("YWwuec")
_UNSUPPORTED = frozenset("ABnNp")
_UNSUPPORTED_PARSING = frozenset("EFqQ")
_UNSUPPORTED_NARROW = ("GGGGG", "MMMMM", "LLLLL", "EEEEE", "QQQQQ", "qqqqq")
_RESERVED = frozenset("{}#")
# How often a letter may stand in a row; Java refuses more.
_LONGEST = {
    "G": 4, "y": 6, "M": 4, "L": 4, "d": 2, "D": 3, "E": 4, "a": 1, "h": 2, "H": 2, "k": 2, "K": 2, "m": 2, "s": 2,
    "S": 9, "F": 1, "Q": 4, "q": 4, "z": 4, "O": 4, "X": 5, "x": 5, "Z": 5, "V": 2,
}  # fmt: skip
_LEGACY_LETTERS = frozenset("GyYMLwWDdFEuaHkKhmsSzZX")


@dataclass(frozen=True, slots=True)
class Field:
    """A run of one pattern letter."""

    letter: str
    count: int


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text."""

    text: str


@dataclass(frozen=True, slots=True)
class Optional:
    """A section in square brackets."""

    parts: tuple[Part, ...]


Part = Field | Text | Optional


class _IllegalPattern(Exception):
    """Java's IllegalArgumentException for a pattern it cannot read."""


@lru_cache(maxsize=512)
def read_pattern(pattern: str, parsing: bool) -> tuple[Part, ...]:
    """The parts of a pattern, or Spark's error for one that it refuses."""
    try:
        _check_letters(pattern, parsing)
        parts, _ = _parts(pattern, 0, parsing, nested=False)
        has_era = any(isinstance(p, Field) and p.letter == "G" for p in _flat(parts))
        return parts if has_era else _proleptic(parts)
    except _IllegalPattern:
        if _legacy_accepts(pattern):
            raise _changed(pattern) from None
        shown = {"docroot": _DOCROOT, "pattern": _quoted(pattern)}
        raise spark_error("INVALID_DATETIME_PATTERN.WITH_SUGGESTION", ErrorKind.RUNTIME, extra=shown) from None
    except SparkError:
        if _legacy_accepts(pattern):
            raise _changed(pattern) from None
        raise


def _flat(parts: tuple[Part, ...]) -> list[Part]:
    return [x for p in parts for x in (_flat(p.parts) if isinstance(p, Optional) else [p])]


def _proleptic(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Without an era, y means the proleptic year."""
    changed: list[Part] = []
    for part in parts:
        match part:
            case Field("y", count):
                changed.append(Field("u", count))
            case Optional(inner):
                changed.append(Optional(_proleptic(inner)))
            case Field() | Text():
                changed.append(part)
    return tuple(changed)


def _parts(pattern: str, at: int, parsing: bool, nested: bool) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while at < len(pattern):
        char = pattern[at]
        if char == "'":
            text, at = _quotation(pattern, at)
            parts.append(Text(text))
        elif char == "[":
            inner, at = _parts(pattern, at + 1, parsing, nested=True)
            parts.append(Optional(inner))
        elif char == "]":
            if not nested:
                raise _IllegalPattern
            return tuple(parts), at + 1
        elif char.isascii() and char.isalpha():
            end = at
            while end < len(pattern) and pattern[end] == char:
                end += 1
            parts.append(_field(pattern, char, end - at, parsing))
            at = end
        elif char in _RESERVED:
            raise _IllegalPattern
        else:
            parts.append(Text(char))
            at += 1
    return tuple(parts), at  # Java closes open sections at the end


def _quotation(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at : at + 2] == "''":
        return "'", at + 2
    text, at = [], at + 1
    while at < len(pattern):
        if pattern[at] != "'":
            text.append(pattern[at])
            at += 1
        elif pattern[at : at + 2] == "''":
            text.append("'")
            at += 2
        else:
            return "".join(text), at + 1
    raise _IllegalPattern


def _check_letters(pattern: str, parsing: bool) -> None:
    """What Spark refuses before it shows the pattern to Java."""
    bare = "".join(pattern.split("'")[::2])
    for letter in bare:
        if letter in _WEEK_BASED:
            condition = "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN"
            raise spark_error(condition, ErrorKind.ILLEGAL_ARGUMENT, c=letter)
    for letter in bare:
        if letter in _UNSUPPORTED or (parsing and letter in _UNSUPPORTED_PARSING):
            shown = {"c": letter, "pattern": pattern}
            raise spark_error("INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER", ErrorKind.ILLEGAL_ARGUMENT, extra=shown)
    if any(style in bare for style in (*_UNSUPPORTED_NARROW, "y" * 7)):
        raise spark_error("INVALID_DATETIME_PATTERN.LENGTH", ErrorKind.ILLEGAL_ARGUMENT, pattern=pattern)


def _field(pattern: str, letter: str, count: int, parsing: bool) -> Field:
    if count > _LONGEST.get(letter, 0) or (letter == "V" and count != 2) or (letter == "O" and count not in (1, 4)):
        raise _IllegalPattern
    return Field(letter, count)


def _legacy_accepts(pattern: str) -> bool:
    """Whether SimpleDateFormat, Spark's old formatter, would take the pattern."""
    quoted = False
    for position, char in enumerate(pattern):
        if char == "'":
            quoted = not quoted
        elif (not quoted and char.isascii() and char.isalpha() and char not in _LEGACY_LETTERS) or (
            not quoted and char == "X" and pattern[position : position + 4] == "XXXX"
        ):
            return False
    return not quoted


def _quoted(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _changed(pattern: str) -> SparkError:
    condition = "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"
    return spark_error(condition, ErrorKind.UPGRADE, config=_POLICY, docroot=_DOCROOT, pattern=_quoted(pattern))
