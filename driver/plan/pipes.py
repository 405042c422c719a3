"""Unresolved relations of pipe syntax (``|>``) and of SQL's UNPIVOT over several columns."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.relations import Relation
from voltray.proto.expressions import Expression


@dataclass(frozen=True, slots=True)
class PipeInput(Relation):
    """The rows before a ``|>``: what stands behind it sees their columns and nothing below."""

    child: Relation


@dataclass(frozen=True, slots=True)
class PipeSelect(Relation):
    """``|> SELECT`` and ``|> EXTEND``: a select list that may not aggregate."""

    child: Relation
    items: tuple[Expression, ...]
    clause: str


@dataclass(frozen=True, slots=True)
class PipeSet(Relation):
    """``|> SET name = value``, one assignment: the column of the name must be there."""

    child: Relation
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class PipeDrop(Relation):
    """``|> DROP``: every name must be there."""

    child: Relation
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PipeAggregate(Relation):
    """``|> AGGREGATE ... GROUP BY``: groups come first in the output."""

    child: Relation
    groups: tuple[Expression, ...]
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class UnpivotColumns(Relation):
    """SQL's UNPIVOT: sets of columns with a label each go under several value columns."""

    child: Relation
    sets: tuple[tuple[tuple[Expression, ...], str | None], ...]
    variable_name: str
    value_names: tuple[str, ...]
    include_nulls: bool = False
