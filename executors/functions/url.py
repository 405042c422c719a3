"""Addresses: their parts, and percent encoding."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import polars as pl

from voltray.executors.functions.columns import by_unique, by_unique_rows
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.registry import (
    STRING_INPUT,
    Function,
    Parameter,
    Signature,
    always_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import EvalMode
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import STRING

_SPLIT = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_ILLEGAL = re.compile(r"[\x00-\x20\"<>\\^`{|}\x7f]|%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"(?:([^@]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*)(?::(\d*))?")


class BadUrlError(ValueError):
    """Not an address."""


def url_part(url: str, part: str, key: str | None = None) -> str | None:
    """One part of an address, as java.net.URI takes it apart."""
    if _ILLEGAL.search(url) or not (match := _SPLIT.fullmatch(url)):
        raise BadUrlError(url)
    scheme, authority, path, query, fragment = match.groups()
    if scheme is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise BadUrlError(url)
    if key is not None and part != "QUERY":
        return None
    match part:
        case "PROTOCOL":
            return scheme
        case "PATH":
            return None if _opaque(scheme, authority, path) else path
        case "QUERY":
            return query if key is None else _query_value(query, key)
        case "REF":
            return fragment
        case "FILE":
            return path if query is None else f"{path}?{query}"
        case "AUTHORITY":
            return authority or None
        case "HOST" | "USERINFO":
            server = _AUTHORITY.fullmatch(authority) if authority else None
            return None if server is None else (server[2] or None) if part == "HOST" else server[1]
    return None


def _opaque(scheme: str | None, authority: str | None, path: str) -> bool:
    return scheme is not None and authority is None and not path.startswith("/")


def _query_value(query: str | None, key: str) -> str | None:
    if query is None:
        return None
    found = re.search(rf"(?:&|^){re.escape(key)}=([^&]*)", query)
    return None if found is None else found[1]


def _bad_url(url: str) -> SparkError:
    return spark_error("INVALID_URL", ErrorKind.ILLEGAL_ARGUMENT, url=url)


def _parse_url(raises: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        strict = raises and evaluation.call.mode is EvalMode.ANSI and evaluation.guard is not NEVER
        bad: set[str] = set()

        def cell(*cells: Any) -> str | None:
            try:
                return url_part(*cells)
            except BadUrlError:
                bad.add(cells[0])
                return None

        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            found = by_unique_rows(list(columns), cell, pl.String())
            if strict and bad:
                rows.refuse(columns[0].is_in(list(bad)), _bad_url, columns[0])
            return found

        return evaluation.columnwise(run, *values)

    return body


def url_encode(text: str) -> str:
    """application/x-www-form-urlencoded."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def url_decode(text: str) -> str | None:
    """Undo :func:`url_encode`; None for a broken escape."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return None
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _not_decodable(url: str) -> SparkError:
    return spark_error("CANNOT_DECODE_URL", ErrorKind.ILLEGAL_ARGUMENT, url=url)


def _decode(raises: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
        def run(rows: Rows, column: pl.Series) -> pl.Series:
            found = by_unique(column, url_decode, pl.String())
            if raises and found.null_count() > column.null_count():
                rows.refuse(found.is_null() & column.is_not_null(), _not_decodable, column)
            return found

        return evaluation.columnwise(run, value)

    return body


def _encode(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return evaluation.columnwise(lambda rows, column: by_unique(column, url_encode, pl.String()), value)


_LOOP = "A loop a distinct value."
_URL = Signature(
    (
        Parameter("url", STRING_INPUT),
        Parameter("partToExtract", STRING_INPUT),
        Parameter("key", STRING_INPUT, optional=True),
    )
)
_ONE = parameters(("str", STRING_INPUT))

FUNCTIONS: tuple[Function, ...] = (
    Function(("parse_url",), _URL, STRING, _parse_url(True), nullable=always_nullable, notes=_LOOP),
    Function(("try_parse_url",), _URL, STRING, _parse_url(False), nullable=always_nullable, notes=_LOOP),
    Function(("url_encode",), _ONE, STRING, _encode, nullable=always_nullable, notes=_LOOP),
    Function(("url_decode",), _ONE, STRING, _decode(True), nullable=always_nullable, notes=_LOOP),
    Function(("try_url_decode",), _ONE, STRING, _decode(False), nullable=always_nullable, notes=_LOOP),
)
