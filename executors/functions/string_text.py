"""Single characters, phonetics, distances, masks and checks of text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl

from voltray.executors.functions import edit_distance
from voltray.executors.functions.columns import by_unique, by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    STRING_INPUT,
    STRING_OR_BINARY,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.string import constant
from voltray.executors.functions.to_string import decode_utf8
from voltray.proto.edit_distance import edit_distance as edits_between
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BOOLEAN, INTEGER, LONG, STRING, ArrayType


def looped(function: Callable[..., Any], dtype: pl.DataType) -> Callable[..., pl.Expr]:
    """A Python function of each distinct value (or row of values) as a body; NULL in, NULL out."""

    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            if len(columns) == 1:
                return by_unique(columns[0], function, dtype)
            return by_unique_rows(list(columns), function, dtype)

        return evaluation.columnwise(run, *values, dtype=dtype)

    return body


def _ascii(text: str) -> int:
    return ord(text[0]) if text else 0


def _chr(number: int) -> str:
    return "" if number < 0 else chr(number & 0xFF)


_SOUNDEX = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "01230127022455012623017202", strict=True))


def soundex(text: str) -> str:
    """The Soundex code; text that does not begin with an ASCII letter stays as it is."""
    if not text or not (text[0].isascii() and text[0].isalpha()):
        return text
    first = text[0].upper()
    code, last = first, _SOUNDEX[first]
    for character in text[1:]:
        digit = _SOUNDEX.get(character.upper()) if character.isascii() else None
        if digit is None:
            last = "0"
            continue
        if digit == "7":  # H and W stand aside: equal codes around them count once
            continue
        if digit != "0" and digit != last:
            code += digit
            if len(code) == 4:
                break
        last = digit
    return code.ljust(4, "0")


def levenshtein(left: str, right: str, threshold: int = -1) -> int:
    """Edit distance; -1 where it is above a threshold."""
    distance = edits_between(left, right)
    return -1 if 0 <= threshold < distance else distance


def _levenshtein(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
    if len(values) > 2:
        return looped(_distance, pl.Int32())(evaluation, *values)

    def run(rows: Rows, left: pl.Series, right: pl.Series) -> pl.Series:
        if edit_distance.within_reach(left, right):
            return edit_distance.distances(left, right)
        return by_unique_rows([left, right], levenshtein, pl.Int32())

    return evaluation.columnwise(run, *values)


def _distance(left: str, right: str, *threshold: int) -> int:
    if threshold and threshold[0] < 0:
        return -1
    return levenshtein(left, right, *threshold)


def luhn_check(text: str) -> bool:
    """Whether a string of digits passes the Luhn test."""
    if not text or not (text.isascii() and text.isdigit()):
        return False
    total = 0
    for position, character in enumerate(reversed(text)):
        digit = int(character) * (1 + position % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def _mask(evaluation: Evaluation, value: pl.Expr, *marks: pl.Expr) -> pl.Expr:
    constants = [constant(a) for a in evaluation.call.args[1:]]
    if all(c is not None or isinstance(a, Literal) for c, a in zip(constants, evaluation.call.args[1:], strict=True)):
        run = partial(_masked, *constants)
        return evaluation.columnwise(lambda rows, column: by_unique(column, run, pl.String()), value)

    def rows_of(rows: Rows, *columns: pl.Series) -> pl.Series:
        cells = zip(*[c.to_list() for c in columns], strict=True)
        return pl.Series(
            [None if c[0] is None else _masked(c[1], c[2], c[3], c[4], c[0]) for c in cells], dtype=pl.String
        )

    return evaluation.columnwise(rows_of, value, *marks)


def _masked(upper: str | None, lower: str | None, digit: str | None, other: str | None, text: str) -> str:
    def masked(character: str) -> str:
        if character.isupper():
            mark = upper
        elif character.islower():
            mark = lower
        elif character.isdecimal():
            mark = digit
        else:
            mark = other
        return character if mark is None else mark

    return "".join(map(masked, text))


def quote(text: str) -> str:
    """In single quotes, with single quotes and backslashes escaped."""
    return "'" + text.replace("'", "\\'") + "'"


# ---- UTF-8 ----------------------------------------------------------------------------------------------
def _is_utf8(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return evaluation.columnwise(lambda rows, column: by_unique(column, valid_utf8, pl.Boolean()), value)


def valid_utf8(value: str | bytes) -> bool:
    """Whether bytes are UTF-8."""
    if isinstance(value, str):
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _make_utf8(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return evaluation.columnwise(lambda rows, column: decode_utf8(column), value)


def _validate_utf8(raises: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
        def run(rows: Rows, column: pl.Series) -> pl.Series:
            bad = ~by_unique(column, valid_utf8, pl.Boolean())
            if raises:
                rows.refuse(bad, _invalid_utf8, column)
            return column.zip_with(~bad.fill_null(True), pl.Series([None], dtype=column.dtype)).cast(pl.String)

        return evaluation.columnwise(run, value)

    return body


def _invalid_utf8(value: bytes) -> SparkError:
    shown = "".join(f"\\x{b:02X}" for b in value)
    return spark_error("INVALID_UTF8_STRING", ErrorKind.ILLEGAL_ARGUMENT, str=shown)


# ---- sentences ------------------------------------------------------------------------------------------
def sentences(text: str) -> list[list[str]]:
    """Sentences as lists of words, broken as English text is."""
    import regex

    found: list[list[str]] = []
    for sentence in regex.split(r"(?<=[.!?\u3002]['\")\]]*)\s+|\n\n+", text):
        words = regex.findall(r"[\p{L}\p{N}\p{M}_]+(?:['\u2019.:\u00b7](?=[\p{L}\p{N}])[\p{L}\p{N}\p{M}_]+)*", sentence)
        if words:
            found.append(list(words))
    return found


def _sentences(evaluation: Evaluation, text: pl.Expr, language: pl.Expr, country: pl.Expr) -> pl.Expr:
    return looped(sentences, pl.List(pl.List(pl.String())))(evaluation, text)


_MARK = Accept((type(STRING),), (STRING,), '"STRING"')
_MASK = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("upperChar", _MARK, default=Literal("X", STRING)),
        Parameter("lowerChar", _MARK, default=Literal("x", STRING)),
        Parameter("digitChar", _MARK, default=Literal("n", STRING)),
        Parameter("otherChar", _MARK, default=Literal(None, STRING)),
    )
)
_MASK_NAMES = ("X", "x", "n", "NULL")


def _resolve_mask(resolution: Any) -> Expression:
    call = resolution.finish()
    for argument, parameter in zip(call.args[1:], _MASK.parameters[1:], strict=False):
        mark = constant(argument)
        if mark is not None and len(str(mark)) != 1:
            raise resolution.mismatch("INPUT_SIZE_NOT_ONE", exprName=parameter.name)
    return call  # type: ignore[no-any-return]


def _mask_name(names: tuple[str, ...]) -> str:
    return f"mask({', '.join([*names, *_MASK_NAMES[len(names) - 1 :]])})"


def _sentences_name(names: tuple[str, ...]) -> str:
    return f"sentences({', '.join([*names, *[''] * (3 - len(names))])})"


_TEXT = parameters(("str", STRING_INPUT))
_LOOP = "A loop a distinct value."
WORDS = ArrayType(ArrayType(STRING, False), False)
_SENTENCES = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("lang", STRING_INPUT, default=Literal("", STRING)),
        Parameter("country", STRING_INPUT, default=Literal("", STRING)),
    )
)
_DISTANCE = Signature(
    (
        Parameter("str1", STRING_INPUT),
        Parameter("str2", STRING_INPUT),
        Parameter("threshold", accepts_type(INTEGER), optional=True),
    )
)

FUNCTIONS: tuple[Function, ...] = (
    Function(("ascii",), _TEXT, INTEGER, looped(_ascii, pl.Int32()), notes=_LOOP),
    Function(("chr",), parameters(("n", accepts_type(LONG))), STRING, looped(_chr, pl.String()), notes=_LOOP),
    Function(("char",), parameters(("n", accepts_type(LONG))), STRING, looped(_chr, pl.String()), notes=_LOOP),
    Function(("soundex",), _TEXT, STRING, looped(soundex, pl.String()), notes=_LOOP),
    Function(("levenshtein",), _DISTANCE, INTEGER, _levenshtein, notes="Longer texts: a loop a distinct pair."),
    Function(("luhn_check",), _TEXT, BOOLEAN, looped(luhn_check, pl.Boolean()), nullable=always_nullable, notes=_LOOP),
    Function(("mask",), _MASK, STRING, _mask, resolve=_resolve_mask, display=_mask_name, nullable=always_nullable,
        notes=_LOOP),
    Function(("quote",), _TEXT, STRING, looped(quote, pl.String()), nullable=always_nullable, notes=_LOOP),
    Function(
        ("is_valid_utf8",), parameters(("str", STRING_OR_BINARY)), BOOLEAN, _is_utf8, nullable=always_nullable,
        notes=_LOOP,
    ),
    Function(("make_valid_utf8",), parameters(("str", STRING_OR_BINARY)), STRING, _make_utf8, nullable=always_nullable),
    Function(
        ("validate_utf8",), parameters(("str", STRING_OR_BINARY)), STRING, _validate_utf8(True),
        nullable=always_nullable, notes=_LOOP,
    ),
    Function(
        ("try_validate_utf8",), parameters(("str", STRING_OR_BINARY)), STRING, _validate_utf8(False),
        nullable=always_nullable, notes=_LOOP,
    ),
    Function(
        ("sentences",), _SENTENCES, WORDS, _sentences, display=_sentences_name, nullable=always_nullable,
        notes=_LOOP,
    ),
)  # fmt: skip
