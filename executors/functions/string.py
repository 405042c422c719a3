"""Strings (and, where Spark takes them, byte strings): case, length, parts, padding, trimming, joining."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.hash_columns import bytes_of
from voltray.executors.functions.registry import (
    ANY,
    STRING_INPUT,
    STRING_OR_BINARY,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import (
    BINARY,
    INTEGER,
    STRING,
    ArrayType,
    BinaryType,
    DataType,
    StringType,
    carrier,
)  # fmt: skip

TO_THE_END = 2147483647


def is_binary(evaluation: Evaluation, position: int = 0) -> bool:
    """Whether an argument is a byte string."""
    return isinstance(dtype_of(evaluation.call.args[position]), BinaryType)


def constant(expression: Expression) -> Any:
    """A literal's value, None for anything else."""
    return expression.value if isinstance(expression, Literal) else None


# ---- case and length ----------------------------------------------------------------------------------
def _upper(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value.str.to_uppercase()


def _lower(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value.str.to_lowercase()


def _initcap(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    word = pl.element()
    words = value.str.to_lowercase().str.split(" ")
    return words.list.eval(word.str.slice(0, 1).str.to_uppercase() + word.str.slice(1)).list.join(" ")


def _length(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    size = value.bin.size() if is_binary(evaluation) else value.str.len_chars()
    return size.cast(pl.Int32)


def _octets(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    size = value.bin.size() if is_binary(evaluation) else value.str.len_bytes()
    return size.cast(pl.Int32)


def _bits(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return _octets(evaluation, value) * 8


# ---- parts --------------------------------------------------------------------------------------------
def cut(value: pl.Expr, offset: Any, length: Any, binary: bool) -> pl.Expr:
    """A slice by characters or bytes."""
    return value.bin.slice(offset, length) if binary else value.str.slice(offset, length)


def _substring(evaluation: Evaluation, value: pl.Expr, position: pl.Expr, length: pl.Expr) -> pl.Expr:
    """From the 1-based position (0 counts as 1, negative from the end) so many characters, also out of range."""
    binary = is_binary(evaluation)
    start, size = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
    if start is not None and start >= 0 and size is not None:
        return cut(value, max(start - 1, 0), max(size, 0), binary)
    total = (value.bin.size() if binary else value.str.len_chars()).cast(pl.Int64)
    at = position.cast(pl.Int64)
    begin = pl.when(at > 0).then(at - 1).when(at < 0).then(total + at).otherwise(pl.lit(0, pl.Int64))
    end = begin + length.cast(pl.Int64).clip(lower_bound=0)
    first = begin.clip(lower_bound=0)
    piece = cut(value, first, (end - first).clip(lower_bound=0), binary)
    return pl.when(value.is_not_null() & position.is_not_null() & length.is_not_null()).then(piece)


def _left(evaluation: Evaluation, value: pl.Expr, length: pl.Expr) -> pl.Expr:
    piece = cut(value, 0, length.clip(lower_bound=0), is_binary(evaluation))
    return pl.when(value.is_not_null() & length.is_not_null()).then(piece)


def _right(evaluation: Evaluation, value: pl.Expr, length: pl.Expr) -> pl.Expr:
    total = value.str.len_chars().cast(pl.Int64)
    start = (total - length.clip(lower_bound=0)).clip(lower_bound=0)
    piece = value.str.slice(start)
    return pl.when(value.is_not_null() & length.is_not_null()).then(piece)


def _overlay(evaluation: Evaluation, value: pl.Expr, other: pl.Expr, at: pl.Expr, length: pl.Expr) -> pl.Expr:
    binary = is_binary(evaluation)

    def replaced(text: Any, insert: Any, position: int, count: int) -> Any:
        removed = count if count >= 0 else len(insert)
        return _python_substring(text, 1, position - 1) + insert + _python_substring(text, position + removed, None)

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), replaced, pl.Binary() if binary else pl.String())

    return evaluation.columnwise(run, value, other, at, length)


def _python_substring(text: Any, position: int, length: int | None) -> Any:
    start = position - 1 if position > 0 else len(text) + position if position < 0 else 0
    end = len(text) if length is None else start + max(length, 0)
    return text[max(start, 0) : max(end, 0)]


def reversed_bytes(column: pl.Series) -> pl.Series:
    """Each text of one-byte characters backwards."""
    found = bytes_of(column)
    ends = np.cumsum(found.lengths)
    total = int(ends[-1]) if len(ends) else 0
    within = np.arange(total) - np.repeat(ends - found.lengths, found.lengths)
    source = np.repeat(found.starts + found.lengths - 1, found.lengths) - within
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(found.data[source]))]
    text = pl.Series(pl.from_arrow(pa.LargeStringArray.from_buffers(len(column), buffers[1], buffers[2])))
    return text if not column.null_count() else text.zip_with(column.is_not_null(), column)


def _reverse(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    dtype = dtype_of(evaluation.call.args[0])
    if isinstance(dtype, ArrayType):
        return value.list.reverse()

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        if column.str.len_bytes().sum() == column.str.len_chars().sum():  # no character of several bytes
            return reversed_bytes(column)
        return by_unique_rows([column], lambda text: text[::-1], pl.String())

    return evaluation.columnwise(run, value)


# ---- padding and trimming -----------------------------------------------------------------------------
def _pad(at_start: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr, length: pl.Expr, padding: pl.Expr) -> pl.Expr:
        width, fill = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
        if isinstance(width, int) and isinstance(fill, str) and len(fill) == 1:
            width = max(width, 0)
            padded = value.str.pad_start(width, fill) if at_start else value.str.pad_end(width, fill)
            return padded.str.slice(0, width)

        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            return by_unique_rows(list(columns), _padded, carrier(evaluation.call.dtype))

        def _padded(text: Any, size: int, filler: Any) -> Any:
            missing = max(size, 0) - len(text)
            if missing <= 0 or not filler:
                return text[: max(size, 0)]
            more = (filler * (missing // len(filler) + 1))[:missing]
            return more + text if at_start else text + more

        return evaluation.columnwise(run, value, length, padding)

    return body


_STRIP: dict[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "both": lambda value, characters: value.str.strip_chars(characters),
    "leading": lambda value, characters: value.str.strip_chars_start(characters),
    "trailing": lambda value, characters: value.str.strip_chars_end(characters),
}


def _trim(side: str, characters_first: bool) -> Callable[..., pl.Expr]:
    strip = _STRIP[side]

    def body(evaluation: Evaluation, *args: pl.Expr) -> pl.Expr:
        if len(args) == 1:
            return strip(args[0], " ")
        characters, value = args if characters_first else (args[1], args[0])
        stripped = strip(value, characters)
        return pl.when(value.is_not_null() & characters.is_not_null()).then(stripped)

    return body


def _trim_name(keyword: str, name: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({names[0]})" if len(names) == 1 else f"TRIM({keyword} {names[0]} FROM {names[1]})"


# ---- joining ------------------------------------------------------------------------------------------
def _concat(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
    if not values:
        return pl.lit("", pl.String)
    if isinstance(evaluation.call.dtype, ArrayType):
        joined = pl.concat_list(*values) if len(values) > 1 else values[0]
        return pl.when(pl.all_horizontal([v.is_not_null() for v in values])).then(joined)
    if isinstance(evaluation.call.dtype, BinaryType):
        return reduce(lambda a, b: a + b, values)
    return pl.concat_str(list(values))


def _resolve_concat(resolution: Any) -> Expression:
    """All byte strings, all arrays, or everything as text."""
    types = [dtype_of(a) for a in resolution.args]
    if any(isinstance(t, ArrayType) for t in types):
        common = resolution.common_type(resolution.args)
        if not isinstance(common, ArrayType):
            shown = "(" + " or ".join(f'"{t.simpleString().upper()}"' for t in types) + ")"
            raise resolution.mismatch("DATA_DIFF_TYPES", functionName="`concat`", dataType=shown)
        return resolution.call(tuple(resolution.cast(a, common) for a in resolution.args), common)  # type: ignore[no-any-return]
    if types and all(isinstance(t, BinaryType) for t in types):
        return resolution.call(dtype=BINARY)  # type: ignore[no-any-return]
    args = tuple(
        a if isinstance(t, StringType) else resolution.cast(a, STRING) if isinstance(t, BinaryType)
        else resolution.coerce(i, STRING, '("STRING" or "BINARY" or "ARRAY")')
        for i, (a, t) in enumerate(zip(resolution.args, types, strict=True))
    )  # fmt: skip
    return resolution.call(args, STRING)  # type: ignore[no-any-return]


def _concat_ws(evaluation: Evaluation, separator: pl.Expr, *values: pl.Expr) -> pl.Expr:
    types = [dtype_of(a) for a in evaluation.call.args[1:]]
    if not values:
        return pl.when(separator.is_not_null()).then(pl.lit(""))
    text = constant(evaluation.call.args[0])
    if isinstance(text, str) and not any(isinstance(t, ArrayType) for t in types):
        return pl.concat_str(list(values), separator=text, ignore_nulls=True)
    lists = [
        v.fill_null(pl.lit([], pl.List(pl.String))) if isinstance(t, ArrayType) else v.reshape((-1, 1)).arr.to_list()
        for v, t in zip(values, types, strict=True)
    ]
    parts = pl.concat_list(lists) if len(lists) > 1 else lists[0]
    return parts.list.drop_nulls().list.join(separator)


def _resolve_concat_ws(resolution: Any) -> Expression:
    args = [resolution.coerce(0, STRING)]
    for position, argument in enumerate(resolution.args[1:], 1):
        dtype = dtype_of(argument)
        if isinstance(dtype, ArrayType):
            args.append(resolution.coerce(position, ArrayType(STRING), '("STRING" or "ARRAY<STRING>")'))
        else:
            args.append(resolution.coerce(position, STRING, '("STRING" or "ARRAY<STRING>")'))
    return resolution.call(tuple(args))  # type: ignore[no-any-return]


def _separator_nullable(args: tuple[Expression, ...]) -> bool:
    return nullable_of(args[0])


def _repeat(evaluation: Evaluation, value: pl.Expr, count: pl.Expr) -> pl.Expr:
    repeated = value.repeat_by(count.clip(lower_bound=0)).list.join("")
    return pl.when(value.is_not_null() & count.is_not_null()).then(repeated)


def _space(evaluation: Evaluation, count: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series) -> pl.Series:
        return by_unique_rows([column], lambda n: " " * max(n, 0), pl.String())

    return evaluation.columnwise(run, count)


# ---- types --------------------------------------------------------------------------------------------
def _first_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


def _reversed_type(args: tuple[Expression, ...]) -> DataType:
    dtype = dtype_of(args[0])
    return dtype if isinstance(dtype, ArrayType) else STRING


def _resolve_pad(resolution: Any) -> Expression:
    """Without padding text: blanks, or zero bytes for byte strings."""
    bytes_alone = _is_bytes(resolution.args[0]) and (len(resolution.args) < 3 or _is_bytes(resolution.args[2]))
    args = [resolution.args[0] if bytes_alone else resolution.coerce(0, STRING)]
    args.append(resolution.coerce(1, INTEGER))
    if len(resolution.args) > 2:
        args.append(resolution.coerce(2, BINARY if _is_bytes(args[0]) else STRING))
    else:
        args.append(Literal(b"\x00", BINARY) if _is_bytes(args[0]) else Literal(" ", STRING))
    return resolution.call(tuple(args))  # type: ignore[no-any-return]


def _is_bytes(expression: Expression) -> bool:
    return isinstance(dtype_of(expression), BinaryType)


def _pad_name(name: str) -> Callable[[tuple[str, ...]], str]:
    def shown(names: tuple[str, ...]) -> str:
        blank = "X'00'" if names[0].startswith("X'") else " "
        return f"{name}({', '.join(names if len(names) != 2 else (*names, blank))})"

    return shown


_INT = accepts_type(INTEGER)
_TEXT = parameters(("str", STRING_INPUT))
_TEXT_OR_BYTES = parameters(("expr", STRING_OR_BINARY))
_REVERSED = Accept((StringType, ArrayType), (STRING,), '("STRING" or "ARRAY")')
_SUBSTRING = Signature(
    (
        Parameter("str", STRING_OR_BINARY),
        Parameter("pos", _INT),
        Parameter("len", _INT, default=Literal(TO_THE_END, INTEGER)),
    )
)
_PAD = Signature(
    (Parameter("str", STRING_OR_BINARY), Parameter("len", _INT), Parameter("pad", STRING_OR_BINARY, optional=True))
)
_OVERLAY = Signature(
    (
        Parameter("input", STRING_OR_BINARY),
        Parameter("replace", STRING_OR_BINARY),
        Parameter("pos", _INT),
        Parameter("len", _INT, default=Literal(-1, INTEGER)),
    )
)
_TRIM = Signature((Parameter("trimStr", STRING_INPUT), Parameter("str", STRING_INPUT, optional=True)))


def _with_default(name: str, count: int, shown: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({', '.join(names if len(names) >= count else (*names, shown))})"


def _lengths(name: str, body: Callable[..., pl.Expr], *more: str) -> Function:
    return Function((name, *more), _TEXT_OR_BYTES, INTEGER, body)


def _trimming(name: str, side: str, keyword: str) -> Function:
    return Function((name,), _TRIM, STRING, _trim(side, True), display=_trim_name(keyword, name))


FUNCTIONS: tuple[Function, ...] = (
    Function(("upper", "ucase"), _TEXT, STRING, _upper),
    Function(("lower", "lcase"), _TEXT, STRING, _lower),
    Function(("initcap",), _TEXT, STRING, _initcap),
    _lengths("length", _length, "len", "char_length", "character_length"),
    _lengths("octet_length", _octets),
    _lengths("bit_length", _bits),
    Function(
        ("substring",), _SUBSTRING, _first_type, _substring, display=_with_default("substring", 3, str(TO_THE_END))
    ),
    Function(("substr",), _SUBSTRING, _first_type, _substring, display=_with_default("substr", 3, str(TO_THE_END))),
    Function(("left",), parameters(("str", STRING_OR_BINARY), ("len", _INT)), _first_type, _left),
    Function(("right",), parameters(("str", STRING_INPUT), ("len", _INT)), STRING, _right, nullable=always_nullable),
    Function(("overlay",), _OVERLAY, _first_type, _overlay, display=_with_default("overlay", 4, "-1")),
    Function(("reverse",), parameters(("expr", _REVERSED)), _reversed_type, _reverse),
    Function(("lpad",), _PAD, _first_type, _pad(True), resolve=_resolve_pad, display=_pad_name("lpad")),
    Function(("rpad",), _PAD, _first_type, _pad(False), resolve=_resolve_pad, display=_pad_name("rpad")),
    _trimming("trim", "both", "BOTH"),
    _trimming("ltrim", "leading", "LEADING"),
    _trimming("rtrim", "trailing", "TRAILING"),
    Function(
        ("btrim",), Signature((Parameter("str", STRING_INPUT), Parameter("trimStr", STRING_INPUT, optional=True))),
        STRING, _trim("both", False),
    ),
    Function(
        ("concat",), Signature((Parameter("expr", ANY),), repeated=1, minimum=0), STRING, _concat,
        resolve=_resolve_concat, nullable=any_argument_nullable,
    ),
    Function(
        ("concat_ws",), Signature((Parameter("sep", STRING_INPUT), Parameter("str", ANY)), repeated=1, minimum=1),
        STRING, _concat_ws, resolve=_resolve_concat_ws, nullable=_separator_nullable,
    ),
    Function(("repeat",), parameters(("str", STRING_INPUT), ("n", _INT)), STRING, _repeat),
    Function(("space",), parameters(("n", _INT)), STRING, _space),
)  # fmt: skip
