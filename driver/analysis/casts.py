"""Casts that the analyzer inserts: implicit ones, and those that a user wrote."""

from __future__ import annotations

from voltray.proto.coercion import cast_gives_null
from voltray.proto.expressions import Cast, EvalMode, Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import DataType, NullType, same_type


def eval_mode(ansi: bool) -> EvalMode:
    """The session's way with what cannot be computed."""
    return EvalMode.ANSI if ansi else EvalMode.LEGACY


def cast_to(expression: Expression, dtype: DataType, ansi: bool) -> Expression:
    """The expression as another type; itself where only the nullability of parts differs."""
    source = dtype_of(expression)
    if same_type(source, dtype):
        return expression
    if isinstance(source, NullType) and isinstance(expression, Literal):
        return Literal(None, dtype)
    nullable = nullable_of(expression) or cast_gives_null(source, dtype)
    return Cast(expression, dtype, nullable, eval_mode(ansi))
