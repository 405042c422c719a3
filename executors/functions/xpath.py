"""xpath and xpath_*: what an XPath expression finds in XML texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from xml.parsers import expat

import polars as pl

from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import STRING_INPUT, Accept, Function, Parameter, Signature, always_nullable
from voltray.executors.functions.xpath_engine import Focus, XPathError, compiled, to_boolean, to_number, to_text
from voltray.executors.functions.xpath_tree import XmlNode, read_document
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INTEGER,
    LONG,
    SHORT,
    STRING,
    ArrayType,
    DataType,
    carrier,
)  # fmt: skip

_NOTE = "Documents are parsed one by one."


def _wrong_document(text: str) -> SparkError:
    shown = {"message": f"Invalid XML document: {text}"}
    return spark_error("INTERNAL_ERROR", ErrorKind.RUNTIME, extra=shown)


def _evaluated(text: str, path: str) -> Any:
    """The value of an expression on a document, None for an empty one."""
    if not text or not path:
        return None
    try:
        evaluate = compiled(path)
    except XPathError:
        shown = {"message": f"Invalid XPath expression: {path}"}
        raise spark_error("INTERNAL_ERROR", ErrorKind.RUNTIME, extra=shown) from None
    try:
        document = read_document(text)
    except expat.ExpatError:
        raise _wrong_document(text) from None
    return evaluate(Focus(document))


def _texts(value: Any) -> list[str | None]:
    nodes: list[XmlNode] = value if isinstance(value, list) else []
    return [n.value if n.kind in ("text", "attribute") else None for n in nodes]


def _whole(limit: int) -> Callable[[Any], int]:
    """Java's narrowing of a double."""

    def convert(value: Any) -> int:
        number = to_number(value)
        if math.isnan(number):
            return 0
        if limit == 1 << 15:
            wide = int(max(min(number, (1 << 31) - 1), -(1 << 31)))
            return (wide + limit) % (2 * limit) - limit
        return int(max(min(number, limit - 1), -limit))

    return convert


def _body(convert: Callable[[Any], Any]) -> Any:
    def body(evaluation: Evaluation, text: pl.Expr, path: pl.Expr) -> pl.Expr:
        def one(document: str, expression: str) -> Any:
            value = _evaluated(document, expression)
            return None if value is None else convert(value)

        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            return by_unique_rows(list(columns), one, carrier(evaluation.call.dtype))

        return evaluation.columnwise(run, text, path)

    return body


_SIGNATURE = Signature((
    Parameter("xml", STRING_INPUT),
    Parameter("path", Accept(STRING_INPUT.classes, STRING_INPUT.targets, STRING_INPUT.shown, foldable=True)),
))  # fmt: skip
_KINDS: tuple[tuple[str, DataType, Callable[[Any], Any]], ...] = (
    ("xpath", ArrayType(STRING, True), _texts),
    ("xpath_boolean", BOOLEAN, to_boolean),
    ("xpath_double", DOUBLE, to_number),
    ("xpath_number", DOUBLE, to_number),
    ("xpath_float", FLOAT, to_number),
    ("xpath_int", INTEGER, _whole(1 << 31)),
    ("xpath_long", LONG, _whole(1 << 63)),
    ("xpath_short", SHORT, _whole(1 << 15)),
    ("xpath_string", STRING, to_text),
)

FUNCTIONS: tuple[Function, ...] = tuple(
    Function((name,), _SIGNATURE, dtype, _body(convert), nullable=always_nullable, notes=_NOTE)
    for name, dtype, convert in _KINDS
)
