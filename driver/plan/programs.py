"""Statements of variables and of SQL made at run time. Expressions are kept as text: they are evaluated late."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.statements import Name, Statement
from voltray.proto.types import DataType


@dataclass(frozen=True, slots=True)
class DeclareVariables(Statement):
    """``DECLARE [OR REPLACE] [VARIABLE] a, b type DEFAULT expression``."""

    names: tuple[Name, ...]
    dtype: DataType | None
    default: str | None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class SetVariables(Statement):
    """``SET VARIABLE a = 1, b = DEFAULT`` (a value None), or ``SET VARIABLE (a, b) = (query)``."""

    targets: tuple[Name, ...]
    values: tuple[str | None, ...] = ()
    query: str | None = None


@dataclass(frozen=True, slots=True)
class ExecuteImmediate(Statement):
    """``EXECUTE IMMEDIATE text [INTO a, b] [USING 1 AS x, ...]``; arguments are (name or None, expression)."""

    text: str
    targets: tuple[Name, ...] = ()
    arguments: tuple[tuple[str | None, str], ...] = ()
