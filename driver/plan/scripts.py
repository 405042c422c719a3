"""SQL scripts: what stands between BEGIN and END. Statements and conditions are kept as text and read when they run."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.programs import DeclareVariables
from voltray.driver.plan.statements import Statement


@dataclass(frozen=True, slots=True)
class ScriptStatement(Statement):
    """Base of what a script is made of."""


Body = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Command(ScriptStatement):
    """A query or statement by its text."""

    text: str


@dataclass(frozen=True, slots=True)
class DeclareCondition(ScriptStatement):
    """``DECLARE name CONDITION [FOR SQLSTATE '...']``."""

    name: str
    sqlstate: str


@dataclass(frozen=True, slots=True)
class DeclareHandler(ScriptStatement):
    """``DECLARE EXIT HANDLER FOR ...``; ``any_error`` is SQLEXCEPTION, ``not_found`` is NOT FOUND."""

    is_exit: bool
    conditions: tuple[str, ...]
    sqlstates: tuple[str, ...]
    any_error: bool
    not_found: bool
    body: Body


@dataclass(frozen=True, slots=True)
class Compound(ScriptStatement):
    """``[label:] BEGIN declarations statements END``."""

    label: str | None
    variables: tuple[DeclareVariables, ...]
    conditions: tuple[DeclareCondition, ...]
    handlers: tuple[DeclareHandler, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class If(ScriptStatement):
    """IF and CASE: the first branch whose condition holds."""

    branches: tuple[tuple[str, Body], ...]
    otherwise: Body


@dataclass(frozen=True, slots=True)
class Loop(ScriptStatement):
    """LOOP, WHILE (a condition before each round) and REPEAT (an end after it)."""

    label: str | None
    body: Body
    condition: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class For(ScriptStatement):
    """``FOR row AS query DO``."""

    label: str | None
    variable: str | None
    query: str
    body: Body


@dataclass(frozen=True, slots=True)
class Jump(ScriptStatement):
    """``LEAVE label`` or ``ITERATE label``."""

    label: str
    leaves: bool
