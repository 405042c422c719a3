"""Literals of SQL text: numbers with and without suffixes."""

from __future__ import annotations

import re
from decimal import Decimal

from voltray.proto import types as t
from voltray.proto.expressions import Literal
from voltray.proto.failures import ErrorKind, QueryContext, spark_error

_SUFFIX_TYPES: dict[str, t.DataType] = {"L": t.LONG, "S": t.SHORT, "Y": t.BYTE, "D": t.DOUBLE, "F": t.FLOAT}
_BOUNDS = {"L": 63, "S": 15, "Y": 7}


def number(text: str, origin: QueryContext | None = None) -> Literal:
    """An unsuffixed number: the smallest of INT, BIGINT and DECIMAL; DECIMAL with a point; DOUBLE with an exponent."""
    if re.search(r"[eE]", text):
        return _fraction(text, t.DOUBLE, origin)
    if "." in text:
        return _decimal(text, origin)
    value = int(text)
    if -(2**31) <= value < 2**31:
        return Literal(value, t.INTEGER)
    if -(2**63) <= value < 2**63:
        return Literal(value, t.LONG)
    return _decimal(text, origin)


def suffixed_number(text: str, origin: QueryContext | None = None) -> Literal:
    """A number with a suffix: ``1L``, ``2S``, ``3Y``, ``4.5D``, ``6F``, ``7.8BD``."""
    upper = text.upper()
    if upper.endswith("BD"):
        return _decimal(text[:-2], origin)
    digits, suffix = text[:-1], upper[-1]
    dtype = _SUFFIX_TYPES[suffix]
    if suffix in ("D", "F"):
        return _fraction(digits, dtype, origin)
    if not digits.removeprefix("-").isdigit():  # 1.5Y: a number, a dot and a name
        base = _decimal(digits, origin)
        raise spark_error(
            "INVALID_EXTRACT_BASE_FIELD_TYPE", base=f'"{digits.rstrip(".")}"', other=f'"{t.sql_type(base.dtype)}"'
        )
    value, bits = int(digits), _BOUNDS[suffix]
    if not -(2**bits) <= value < 2**bits:
        raise spark_error(
            "INVALID_NUMERIC_LITERAL_RANGE",
            ErrorKind.PARSE,
            contexts=_contexts(origin),
            rawStrippedQualifier=digits,
            minValue=-(2**bits),
            maxValue=2**bits - 1,
            typeName=dtype.simpleString(),
        )
    return Literal(value, dtype)


def _contexts(origin: QueryContext | None) -> tuple[QueryContext, ...]:
    return () if origin is None else (origin,)


_LARGEST: dict[t.DataType, tuple[str, float]] = {
    t.DOUBLE: ("1.7976931348623157E+308", 1.7976931348623157e308),
    t.FLOAT: ("3.4028234663852886E+38", 3.4028234663852886e38),
}


def _fraction(text: str, dtype: t.DataType, origin: QueryContext | None) -> Literal:
    value = float(text)
    shown, largest = _LARGEST[dtype]
    if abs(value) > largest:
        raise spark_error(
            "INVALID_NUMERIC_LITERAL_RANGE",
            ErrorKind.PARSE,
            contexts=_contexts(origin),
            rawStrippedQualifier=text,
            minValue=f"-{shown}",
            maxValue=shown,
            typeName=dtype.simpleString(),
        )
    return Literal(value, dtype)


def _decimal(text: str, origin: QueryContext | None) -> Literal:
    value = Decimal(text)
    _, digits, exponent = value.as_tuple()
    scale = max(-int(exponent), 0)
    precision = max(len(digits) + max(int(exponent), 0), scale)
    if precision > t.MAX_DECIMAL_PRECISION:
        raise spark_error(
            "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
            ErrorKind.PARSE,
            contexts=_contexts(origin),
            precision=precision,
            maxPrecision=t.MAX_DECIMAL_PRECISION,
        )
    return Literal(value, t.DecimalType(max(precision, 1), scale))
