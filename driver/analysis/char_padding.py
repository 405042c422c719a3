"""CHAR columns in comparisons: the shorter side is padded with blanks, as the columns' values are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from voltray.driver.analysis.resolver import Typed
from voltray.proto.expressions import Attribute, Call, Expression, Literal
from voltray.proto.types import INTEGER, STRING, StringType

_CHAR_VARCHAR = "__CHAR_VARCHAR_TYPE_STRING"
_CHAR = re.compile(r"char\((\d+)\)", re.IGNORECASE)
_COMPARISONS = frozenset({"==", "<=>", "<", "<=", ">", ">=", "in"})


def char_length(expression: Expression) -> int | None:
    """The length of a CHAR column."""
    if not isinstance(expression, Attribute) or not isinstance(expression.dtype, StringType):
        return None
    declared = dict(expression.metadata).get(_CHAR_VARCHAR)
    match = _CHAR.fullmatch(declared) if isinstance(declared, str) else None
    return int(match[1]) if match is not None else None


def padded(expression: Expression, length: int) -> Expression:
    """A text filled up with blanks."""
    if isinstance(expression, Literal):
        value = expression.value
        return Literal(value.ljust(length), STRING) if isinstance(value, str) else expression
    arguments = (expression, Literal(length, INTEGER))
    return Call("read_side_padding", arguments, STRING)


def with_char_padding(name: str, arguments: tuple[Typed, ...]) -> tuple[Typed, ...]:
    """The arguments of a comparison, brought to one length where a CHAR column meets literals or its like."""
    if name not in _COMPARISONS or len(arguments) < 2:
        return arguments
    lengths = [_length(a.expression) for a in arguments]
    if all(char_length(a.expression) is None for a in arguments) or None in lengths:
        return arguments
    longest = max(n for n in lengths if n is not None)
    return _to_length(arguments, lengths, longest)


def _to_length(arguments: Sequence[Typed], lengths: Sequence[int | None], longest: int) -> tuple[Typed, ...]:
    return tuple(
        [
            a if n == longest else replace(a, expression=padded(a.expression, longest))
            for a, n in zip(arguments, lengths, strict=True)
        ]
    )


def _length(expression: Expression) -> int | None:
    if isinstance(expression, Literal) and isinstance(expression.dtype, StringType):
        return len(expression.value) if isinstance(expression.value, str) else None
    return char_length(expression)
