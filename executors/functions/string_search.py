"""Finding text in text, and cutting at it: contains, instr, locate, split_part, substring_index, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    STRING_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.string import constant, is_binary
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BINARY, BOOLEAN, INTEGER, STRING, BinaryType, StringType


def _both(left: pl.Expr, right: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(left.is_not_null() & right.is_not_null()).then(value)


def _test(text_method: str, binary_method: str) -> Callable[..., pl.Expr]:
    """contains, starts_with or ends_with."""

    def body(evaluation: Evaluation, value: pl.Expr, part: pl.Expr) -> pl.Expr:
        if is_binary(evaluation):
            found = getattr(value.bin, binary_method)(part)
        elif text_method == "contains":
            found = value.str.contains(part, literal=True)
        else:
            found = getattr(value.str, text_method)(part)
        return found if constant(evaluation.call.args[1]) is not None else _both(value, part, found)

    return body


def _position(value: pl.Expr, part: pl.Expr) -> pl.Expr:
    """The 1-based character position of the first occurrence, 0 if there is none."""
    at = value.str.find(part, literal=True)
    before = value.cast(pl.Binary).bin.slice(0, at).cast(pl.String)
    # A slice up to NULL would be the whole text.
    return pl.when(at.is_null()).then(0).otherwise(before.str.len_chars() + 1).cast(pl.Int32)


def _instr(evaluation: Evaluation, value: pl.Expr, part: pl.Expr) -> pl.Expr:
    return _both(value, part, _position(value, part))


def _locate(evaluation: Evaluation, part: pl.Expr, value: pl.Expr, start: pl.Expr) -> pl.Expr:
    """From a 1-based position on; a NULL or non-positive start finds nothing."""
    if constant(evaluation.call.args[2]) == 1:
        return _both(value, part, _position(value, part))

    def find(wanted: str, text: str, at: int) -> int:
        return 0 if at < 1 else text.find(wanted, at - 1) + 1 if at - 1 <= len(text) or wanted else 1

    def found(wanted: str, text: str, at: int) -> int:
        return 1 if not wanted and at >= 1 else find(wanted, text, at)

    def run(rows: Rows, wanted: pl.Series, text: pl.Series, at: pl.Series) -> pl.Series:
        return by_unique_rows([wanted, text, at.fill_null(0)], found, pl.Int32())

    result = evaluation.columnwise(run, part, value, start)
    return pl.when(start.is_null()).then(pl.lit(0, pl.Int32)).otherwise(result)


def _locate_nullable(args: tuple[Expression, ...]) -> bool:
    return any_argument_nullable(args[:2])


def _find_in_set(evaluation: Evaluation, wanted: pl.Expr, texts: pl.Expr) -> pl.Expr:
    def position(word: str, words: str) -> int:
        return 0 if "," in word else ([*words.split(","), word].index(word) + 1) % (words.count(",") + 2)

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), position, pl.Int32())

    return evaluation.columnwise(run, wanted, texts)


# ---- cutting ------------------------------------------------------------------------------------------
def _substring_index(evaluation: Evaluation, value: pl.Expr, delimiter: pl.Expr, count: pl.Expr) -> pl.Expr:
    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), substring_index, pl.String())

    text, number = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
    if isinstance(text, str) and isinstance(number, int) and (len(text) == 1 or number == 1) and text:
        if number == 0:
            return pl.when(value.is_not_null()).then(pl.lit(""))
        parts = value.str.split(text)
        kept = parts.list.head(number) if number > 0 else parts.list.tail(-number)
        return kept.list.join(text)
    return evaluation.columnwise(run, value, delimiter, count)


def substring_index(text: str, delimiter: str, count: int) -> str:
    """What stands before the n-th delimiter, or after the n-th from the end; occurrences may overlap."""
    if not delimiter or count == 0:
        return ""
    if count > 0:
        at = -1
        for _occurrence in range(count):
            at = text.find(delimiter, at + 1)
            if at < 0:
                return text
        return text[:at]
    at = len(text) - len(delimiter) + 1
    for _occurrence in range(-count):
        at = text.rfind(delimiter, 0, at - 1 + len(delimiter)) if at > 0 else -1
        if at < 0:
            return text
    return text[at + len(delimiter) :]


def zero_index() -> SparkError:
    """INVALID_INDEX_OF_ZERO."""
    return spark_error("INVALID_INDEX_OF_ZERO", ErrorKind.RUNTIME)


def _split_part(evaluation: Evaluation, value: pl.Expr, delimiter: pl.Expr, number: pl.Expr) -> pl.Expr:
    index = evaluation.checked(number, (number == 0) & value.is_not_null() & delimiter.is_not_null(), zero_index)
    text = constant(evaluation.call.args[1])
    if isinstance(text, str) and text:
        parts = value.str.split(text)
        at = pl.when(index > 0).then(index - 1).otherwise(index)
        part = parts.list.get(at, null_on_oob=True).fill_null("")
        return pl.when(value.is_not_null() & number.is_not_null()).then(part)

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), _part, pl.String())

    return evaluation.columnwise(run, value, delimiter, index)


def _part(text: str, delimiter: str, number: int) -> str:
    parts = text.split(delimiter) if delimiter else [text]
    at = number - 1 if number > 0 else len(parts) + number
    return parts[at] if number != 0 and 0 <= at < len(parts) else ""


# ---- replacing ----------------------------------------------------------------------------------------
def _replace(evaluation: Evaluation, value: pl.Expr, wanted: pl.Expr, other: pl.Expr) -> pl.Expr:
    text, new = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
    if isinstance(text, str) and isinstance(new, str):
        return value.str.replace_all(text, new, literal=True) if text else value

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), lambda s, a, b: s.replace(a, b) if a else s, pl.String())

    return evaluation.columnwise(run, value, wanted, other)


def _translate(evaluation: Evaluation, value: pl.Expr, wanted: pl.Expr, other: pl.Expr) -> pl.Expr:
    source, target = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
    if isinstance(source, str) and isinstance(target, str):
        table = _translation(source, target)
        return value.str.replace_many(list(table), list(table.values())) if table else value

    def translated(text: str, a: str, b: str) -> str:
        return text.translate({ord(c): new for c, new in _translation(a, b).items()})

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), translated, pl.String())

    return evaluation.columnwise(run, value, wanted, other)


def _translation(source: str, target: str) -> dict[str, str]:
    """Character to character (or nothing); the first mention counts, and \\0 ends the target."""
    table: dict[str, str] = {}
    for position, character in enumerate(source):
        replacement = target[position] if position < len(target) else ""
        table.setdefault(character, "" if replacement == "\0" else replacement)
    return table


def _elt(evaluation: Evaluation, index: pl.Expr, *values: pl.Expr) -> pl.Expr:
    count = len(values)
    bad = (index < 1) | (index > count)
    checked = index
    if evaluation.call.mode.name == "ANSI":
        checked = evaluation.checked(index, bad, lambda cell: bad_index(cell, count), index)
    chain: Any = pl
    for position, value in enumerate(values, 1):
        chain = chain.when(checked == position).then(value)
    return chain.otherwise(None)  # type: ignore[no-any-return]


def bad_index(index: int, size: int) -> SparkError:
    """INVALID_ARRAY_INDEX."""
    return spark_error("INVALID_ARRAY_INDEX", ErrorKind.ARRAY_INDEX, indexValue=index, arraySize=size)


def _resolve_elt(resolution: Any) -> Expression:
    index = resolution.coerce(0, INTEGER)
    if all(isinstance(dtype_of(a), BinaryType) for a in resolution.args[1:]):
        return resolution.call((index, *resolution.args[1:]), BINARY)  # type: ignore[no-any-return]
    values = [resolution.coerce(i, STRING) for i in range(1, len(resolution.args))]
    return resolution.call((index, *values), STRING)  # type: ignore[no-any-return]


_INT = accepts_type(INTEGER)
_SAME = Accept((StringType, BinaryType), (STRING, BINARY), '("STRING" or "BINARY")', common="T")
_TESTED = parameters(("left", _SAME), ("right", _SAME))
_LOCATE = Signature(
    (
        Parameter("substr", STRING_INPUT),
        Parameter("str", STRING_INPUT),
        Parameter("start", _INT, default=Literal(1, INTEGER)),
    )
)
_REPLACE = Signature(
    (
        Parameter("src", STRING_INPUT),
        Parameter("search", STRING_INPUT),
        Parameter("replace", STRING_INPUT, default=Literal("", STRING)),
    )
)


def _locate_name(name: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({', '.join(names if len(names) > 2 else (*names, '1'))})"


def _tested_nullable(args: tuple[Expression, ...]) -> bool:
    return isinstance(dtype_of(args[0]), BinaryType) or any_argument_nullable(args)


FUNCTIONS: tuple[Function, ...] = (
    Function(("contains",), _TESTED, BOOLEAN, _test("contains", "contains"), nullable=_tested_nullable),
    Function(("startswith",), _TESTED, BOOLEAN, _test("starts_with", "starts_with"), nullable=_tested_nullable),
    Function(("endswith",), _TESTED, BOOLEAN, _test("ends_with", "ends_with"), nullable=_tested_nullable),
    Function(("instr",), parameters(("str", STRING_INPUT), ("substr", STRING_INPUT)), INTEGER, _instr),
    Function(("locate",), _LOCATE, INTEGER, _locate, display=_locate_name("locate"), nullable=_locate_nullable),
    Function(("position",), _LOCATE, INTEGER, _locate, display=_locate_name("position"), nullable=_locate_nullable),
    Function(("find_in_set",), parameters(("str", STRING_INPUT), ("str_array", STRING_INPUT)), INTEGER, _find_in_set),
    Function(
        ("substring_index",), parameters(("str", STRING_INPUT), ("delim", STRING_INPUT), ("count", _INT)), STRING,
        _substring_index,
    ),
    Function(
        ("split_part",), parameters(("str", STRING_INPUT), ("delimiter", STRING_INPUT), ("partNum", _INT)), STRING,
        _split_part, nullable=always_nullable,
    ),
    Function(
        ("replace",), _REPLACE, STRING, _replace,
        display=lambda names: f"replace({', '.join(names if len(names) > 2 else (*names, ''))})",
    ),
    Function(
        ("translate",), parameters(("input", STRING_INPUT), ("from", STRING_INPUT), ("to", STRING_INPUT)), STRING,
        _translate,
    ),
    Function(
        ("elt",), Signature((Parameter("n", _INT), Parameter("input", STRING_INPUT)), repeated=1, minimum=2), STRING,
        _elt, resolve=_resolve_elt, nullable=always_nullable,
    ),
)  # fmt: skip
