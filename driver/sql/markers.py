"""Parameter markers and IDENTIFIER clauses replaced in a statement's text, before it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from voltray.driver.plan.identifiers import quote
from voltray.driver.sql.words import Token, Words, string_value
from voltray.proto import types as t
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, spark_error

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = re.compile(r"[A-Za-z_]\w*")


def markers_of(text: str) -> tuple[tuple[str | None, Token], ...]:
    """The parameter markers of a text: (name, or None for ``?``; the token that ends it)."""
    tokens = Words(text).tokens
    found: list[tuple[str | None, Token]] = []
    for index, token in enumerate(tokens):
        if token.kind != "symbol":
            continue
        follower = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.text == "?":
            found.append((None, token))
        elif token.text == ":" and follower is not None and follower.kind == "word":
            before = tokens[index - 1] if index else None
            if follower.start == token.stop and not _ends_expression(before, token):
                found.append((follower.text, Token("marker", follower.text, token.start, follower.stop)))
    return tuple(found)


def _ends_expression(before: Token | None, colon: Token) -> bool:
    """Whether ``:`` behind a token takes a field (``v:a``, ``struct<a:int>``) and marks no parameter."""
    return (
        before is not None and before.stop == colon.start and (before.kind in ("word", "quoted") or before.text in ")]")
    )


def with_parameters(text: str, named: Mapping[str, Expression], positional: Sequence[Expression]) -> str:
    """The text with values in place of its markers."""
    pieces: list[str] = []
    position, count = 0, 0
    for name, token in markers_of(text):
        if name is None:
            if count >= len(positional):
                raise spark_error("UNBOUND_SQL_PARAMETER", name=f"_{token.start}")
            value, count = positional[count], count + 1
        elif name in named:
            value = named[name]
        else:
            raise spark_error("UNBOUND_SQL_PARAMETER", name=name)
        pieces += [text[position : token.start], value_text(value)]
        position = token.stop
    return "".join([*pieces, text[position:]])


def value_text(value: Expression) -> str:
    """A parameter's value as SQL."""
    if not isinstance(value, Literal):
        raise spark_error("UNSUPPORTED_EXPR_FOR_PARAMETER", ErrorKind.ANALYSIS, invalidExprSql=f'"{value}"')
    held, dtype = value.value, value.dtype
    if held is None:
        return "NULL" if isinstance(dtype, t.NullType) else f"CAST(NULL AS {t.sql_type(dtype)})"
    match dtype:
        case t.StringType():
            return _string(str(held))
        case t.BooleanType() | t.IntegerType():
            return str(held).lower()
        case t.BinaryType():
            return f"X'{bytes(held).hex()}'"
        case t.DateType():
            return f"DATE '{_EPOCH.date() + timedelta(days=held)}'"
        case t.TimestampType():
            return f"TIMESTAMP '{_EPOCH + timedelta(microseconds=held)}'"
        case t.TimestampNTZType():
            return f"TIMESTAMP_NTZ '{(_EPOCH + timedelta(microseconds=held)).replace(tzinfo=None)}'"
        case t.NumericType():
            return f"CAST({_string(str(held))} AS {t.sql_type(dtype)})"
    raise spark_error("UNSUPPORTED_EXPR_FOR_PARAMETER", ErrorKind.ANALYSIS, invalidExprSql=f'"{dtype.simpleString()}"')


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def with_identifiers(text: str, evaluate: Callable[[str], str]) -> str:
    """The text with names in place of its IDENTIFIER clauses; ``evaluate`` gives the string of an expression."""
    if "identifier" not in text.lower():
        return text
    tokens = Words(text).tokens
    pieces: list[str] = []
    position, index = 0, 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "word" and token.text.upper() == "IDENTIFIER" and _text_at(tokens, index + 1) == "(":
            stop = _closing(tokens, index + 1)
            inner = tokens[index + 2 : stop]
            if stop < len(tokens) and inner:
                pieces += [text[position : token.start], _name_of(text, inner, evaluate)]
                position, index = tokens[stop].stop, stop
        index += 1
    return "".join([*pieces, text[position:]])


def _text_at(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if index < len(tokens) else ""


def _closing(tokens: Sequence[Token], index: int) -> int:
    depth = 0
    while index < len(tokens):
        depth += (tokens[index].text == "(") - (tokens[index].text == ")")
        if depth == 0:
            return index
        index += 1
    return index


def _name_of(text: str, inner: Sequence[Token], evaluate: Callable[[str], str]) -> str:
    if len(inner) == 1 and inner[0].kind == "string":
        name = string_value(inner[0].text)
    else:
        name = evaluate(text[inner[0].start : inner[-1].stop])
    if not name.strip():
        raise spark_error("PARSE_EMPTY_STATEMENT", ErrorKind.PARSE)
    words = Words(name)
    parts = words.name()
    words.end()
    return ".".join([p if _PLAIN.fullmatch(p) else quote(p) for p in parts])
