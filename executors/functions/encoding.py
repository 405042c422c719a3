"""Bytes as text and back: base64, character sets, to_binary."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl

from voltray.executors.functions.columns import bounds_of, by_unique, by_unique_rows
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    BINARY_INPUT,
    STRING_INPUT,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BINARY, STRING

# ---- base64 ---------------------------------------------------------------------------------------------
_LINE = 76


def _chunked(value: bytes) -> str:
    text = base64.b64encode(value).decode("ascii")
    return "\r\n".join(text[i : i + _LINE] for i in range(0, len(text), _LINE))


def _base64(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series) -> pl.Series:
        longest = bounds_of(column.bin.size())
        if longest is None or longest[1] <= _LINE * 3 // 4:
            return column.bin.encode("base64")
        return by_unique(column, _chunked, pl.String())

    return evaluation.columnwise(run, value)


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")


def decode_mime(text: str) -> bytes | None:
    """Base64 as Java's MIME decoder reads it: other characters are skipped; None if it is cut off."""
    kept = _NOT_BASE64.sub("", text)
    body = kept.rstrip("=")
    if len(body) % 4 == 1 or "=" in body:
        return None
    if len(kept) > len(body) and len(kept) % 4:
        return None
    return base64.b64decode(body + "=" * (-len(body) % 4))


def _bad_base64(text: str) -> SparkError:
    return spark_error(
        "CONVERSION_INVALID_INPUT",
        ErrorKind.ILLEGAL_ARGUMENT,
        str=f"'{text}'",
        fmt="'BASE64'",
        targetType='"BINARY"',
        suggestion="`try_to_binary`",
    )


def _decoded(
    read: Callable[[str], bytes | None], error: Callable[[str], SparkError] | None
) -> Callable[..., pl.Series]:
    def run(rows: Rows, column: pl.Series) -> pl.Series:
        found = by_unique(column, read, pl.Binary())
        if error is not None and found.null_count() > column.null_count():
            rows.refuse(found.is_null() & column.is_not_null(), error, column)
        return found

    return run


def _unbase64(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return evaluation.columnwise(_decoded(decode_mime, _bad_base64), value)


# ---- character sets -------------------------------------------------------------------------------------
_CHARSETS = {
    "US-ASCII": "ascii", "ISO-8859-1": "latin-1", "UTF-8": "utf-8", "UTF-16BE": "utf-16-be", "UTF-16LE": "utf-16-le",
    "UTF-16": "utf-16", "UTF-32": "utf-32-be",
}  # fmt: skip


def _codec(name: str, charset: str) -> str:
    codec = _CHARSETS.get(charset.upper())
    if codec is None:
        raise spark_error(
            "INVALID_PARAMETER_VALUE.CHARSET",
            ErrorKind.ILLEGAL_ARGUMENT,
            functionName=f"`{name}`",
            parameter="`charset`",
            charset=charset,
            charsets="iso-8859-1, us-ascii, utf-16, utf-16be, utf-16le, utf-32, utf-8",
        )
    return codec


def _malformed(name: str, charset: str) -> SparkError:
    return spark_error("MALFORMED_CHARACTER_CODING", ErrorKind.RUNTIME, function=f"`{name}`", charset=charset)


def encode(text: str, charset: str) -> bytes:
    """Text in a character set."""
    codec = _codec("encode", charset)
    if codec == "utf-16":
        return b"\xfe\xff" + text.encode("utf-16-be") if text else b""
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise _malformed("encode", charset) from error


def decode(value: bytes, charset: str) -> str:
    """Bytes of a character set as text."""
    codec = _codec("decode", charset)
    if codec == "utf-16" and not value.startswith((b"\xfe\xff", b"\xff\xfe")):
        codec = "utf-16-be"
    try:
        return value.decode(codec)
    except UnicodeDecodeError as error:
        raise _malformed("decode", charset) from error


def _coded(function: Callable[..., Any], dtype: pl.DataType) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr, charset: pl.Expr) -> pl.Expr:
        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            masked = (
                columns[0]
                if rows.guard is None
                else columns[0].zip_with(rows.guard.fill_null(False), _none_of(columns[0]))
            )
            return by_unique_rows([masked, columns[1]], function, dtype)

        return evaluation.columnwise(run, value, charset)

    return body


def _none_of(column: pl.Series) -> pl.Series:
    return pl.Series([None], dtype=column.dtype)


def _resolve_decode(resolution: Any) -> Expression:
    """decode(bytes, charset), or Oracle's decode(value, search, result, ..., default)."""
    args = resolution.args
    if len(args) == 2:
        return resolution.call((resolution.coerce(0, BINARY), resolution.coerce(1, STRING)))  # type: ignore[no-any-return]
    branches: list[Expression] = []
    for position in range(1, len(args) - 1, 2):
        condition = resolution.function_of("<=>", args[0], args[position])
        branches += [condition, args[position + 1]]
    # Without a default it is a NULL that is text, as Spark has it: so numbers become BIGINT or DOUBLE.
    branches.append(args[-1] if len(args) % 2 == 0 else Literal(None, STRING))
    return resolution.function_of("when", *branches)  # type: ignore[no-any-return]


# ---- to_binary ------------------------------------------------------------------------------------------
def _hex(text: str) -> bytes | None:
    try:
        return binascii.unhexlify("0" + text if len(text) % 2 else text)
    except (binascii.Error, ValueError):
        return None


def _strict_base64(text: str) -> bytes | None:
    kept = re.sub(r"[ \t\r\n\f\v]", "", text)
    body = kept.rstrip("=")
    padded = len(kept) > len(body)
    if len(body) % 4 == 1 or (padded and len(kept) % 4) or len(kept) - len(body) > 2:
        return None
    if _NOT_BASE64.search(kept) or "=" in body:
        return None
    return base64.b64decode(body + "=" * (-len(body) % 4))


_READERS: dict[str, Callable[[str], bytes | None]] = {
    "hex": _hex, "utf-8": lambda t: t.encode(), "utf8": lambda t: t.encode(), "base64": _strict_base64,
}  # fmt: skip


def _not_binary(form: str, text: str) -> SparkError:
    return spark_error(
        "CONVERSION_INVALID_INPUT",
        ErrorKind.ILLEGAL_ARGUMENT,
        str=f"'{text}'",
        fmt=f"'{form.upper()}'",
        targetType='"BINARY"',
        suggestion="`try_to_binary`",
    )


def _to_binary(raises: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr, form: pl.Expr) -> pl.Expr:
        argument = evaluation.call.args[1]
        name = argument.value if isinstance(argument, Literal) else None
        if name is None:
            return pl.when(value.is_null() & value.is_not_null()).then(value.cast(pl.Binary))
        strict = raises and evaluation.guard is not NEVER
        error = partial(_not_binary, name) if strict else None
        return evaluation.columnwise(_decoded(_READERS[name.lower()], error), value)

    return body


def _to_binary_nullable(args: tuple[Expression, ...]) -> bool:
    form = args[1].value if len(args) > 1 and isinstance(args[1], Literal) else None
    return form is None or form.lower() != "base64" or any_argument_nullable(args)


def _resolve_to_binary(resolution: Any) -> Expression:
    args = [resolution.coerce(0, STRING)]
    if len(resolution.args) == 1:
        return resolution.call((args[0], Literal("hex", STRING)))  # type: ignore[no-any-return]
    form = resolution.coerce(1, STRING)
    if isinstance(resolution.args[1], Literal) and resolution.args[1].value is not None:
        form = Literal(str(resolution.args[1].value), STRING)
    if isinstance(form, Literal) and form.value is not None and form.value.lower() not in _READERS:
        raise resolution.mismatch(
            "INVALID_ARG_VALUE",
            inputName="fmt",
            requireType='case-insensitive "STRING"',
            validValues="'hex', 'utf-8', 'utf8', or 'base64'",
            inputValue=f"'{form.value}'",
        )
    if not isinstance(form, Literal):
        raise resolution.mismatch(
            "NON_FOLDABLE_INPUT", inputName="`fmt`", inputType='"STRING"', inputExpr=f'"{resolution.names[1]}"'
        )
    return resolution.call((args[0], form))  # type: ignore[no-any-return]


_TO_BINARY = Signature((Parameter("expr", STRING_INPUT), Parameter("fmt", STRING_INPUT, optional=True)))
_LOOP = "A loop a distinct value."

FUNCTIONS: tuple[Function, ...] = (
    Function(("base64",), parameters(("bin", BINARY_INPUT)), STRING, _base64),
    Function(("unbase64",), parameters(("str", STRING_INPUT)), BINARY, _unbase64, notes=_LOOP),
    Function(
        ("encode",), parameters(("str", STRING_INPUT), ("charset", STRING_INPUT)), BINARY, _coded(encode, pl.Binary()),
        nullable=always_nullable, notes=_LOOP,
    ),
    Function(
        ("decode",), Signature((Parameter("expr", ANY), Parameter("search", ANY)), repeated=1, minimum=2), STRING,
        _coded(decode, pl.String()), resolve=_resolve_decode, nullable=always_nullable, notes=_LOOP,
    ),
    Function(
        ("to_binary",), _TO_BINARY, BINARY, _to_binary(True), resolve=_resolve_to_binary, nullable=_to_binary_nullable,
        notes=_LOOP,
    ),
    Function(
        ("try_to_binary",), _TO_BINARY, BINARY, _to_binary(False), resolve=_resolve_to_binary,
        nullable=always_nullable, notes=_LOOP,
    ),
)  # fmt: skip
