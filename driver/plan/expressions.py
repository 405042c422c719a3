"""Unresolved expressions: what a client's message or SQL text says, before names have meanings.

Resolved expressions (``proto.expressions``) may stand among them wherever their meaning is already plain
(literals).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from voltray.proto.expressions import Expression
from voltray.proto.failures import QueryContext
from voltray.proto.types import DataType


@dataclass(frozen=True, slots=True)
class Unresolved(Expression):
    """Base of all unresolved expressions; ``origin`` says where it stood, for error messages."""


@dataclass(frozen=True, slots=True)
class UnresolvedAttribute(Unresolved):
    """A possibly dotted name. ``plan_id`` names the DataFrame it was taken from (``df["x"]``)."""

    parts: tuple[str, ...]
    plan_id: int | None = None
    is_metadata: bool = False
    origin: QueryContext | None = None
    is_quoted: bool = field(default=False, compare=False)
    """Whether the last part stood in backticks: a session may read such names as regular expressions."""


@dataclass(frozen=True, slots=True)
class UnresolvedStar(Unresolved):
    """``*`` or ``t.*``; ``except_names`` from SQL's ``* EXCEPT (...)``."""

    target: tuple[str, ...] = ()
    plan_id: int | None = None
    except_names: tuple[tuple[str, ...], ...] = ()
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedRegex(Unresolved):
    """Columns whose names match a Java regular expression."""

    pattern: str
    plan_id: int | None = None
    origin: QueryContext | None = None
    target: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnresolvedFunction(Unresolved):
    """A function call by name; operators too (``+``, ``==``, ``and``, ``when``, ``isNull`` ...)."""

    name: tuple[str, ...]
    args: tuple[Expression, ...]
    distinct: bool = False
    filter: Expression | None = None
    order_by: tuple[UnresolvedSortOrder, ...] = ()
    ignore_nulls: bool | None = None
    is_internal: bool = False
    is_operator: bool = False
    """Written as an operator or by the DataFrame API, whose names cannot be shadowed by user functions."""
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class NamedArgument(Unresolved):
    """``name => value`` in a function call."""

    name: str
    value: Expression
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedAlias(Unresolved):
    """``child AS name`` or, with several names, a generator's output columns."""

    child: Expression
    names: tuple[str, ...]
    metadata: tuple[tuple[str, Any], ...] = ()
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedCast(Unresolved):
    """A cast; ``mode`` is None where the session's ANSI setting decides, else "try" or "legacy"."""

    child: Expression
    dtype: DataType
    mode: str | None = None
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedExtract(Unresolved):
    """``child[extraction]`` or ``child.field``: by type a struct field, array element, map value or variant path."""

    child: Expression
    extraction: Expression
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedSortOrder(Unresolved):
    """A sort key; None where the direction or null order is left to Spark's default."""

    child: Expression
    ascending: bool | None = None
    nulls_first: bool | None = None
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedFrame(Unresolved):
    """A window frame: kind "rows" or "range"; a bound is "unbounded", "current" or a (signed) expression."""

    kind: str
    lower: Expression | str
    upper: Expression | str


@dataclass(frozen=True, slots=True)
class UnresolvedWindow(Unresolved):
    """``function OVER (...)``; ``window_name`` refers to a WINDOW clause."""

    function: Expression
    partition_by: tuple[Expression, ...] = ()
    order_by: tuple[UnresolvedSortOrder, ...] = ()
    frame: UnresolvedFrame | None = None
    window_name: str | None = None
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedLambda(Unresolved):
    """A lambda function with its parameters' names."""

    body: Expression
    parameters: tuple[str, ...]
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedLambdaVariable(Unresolved):
    """A name that a lambda function binds (the DataFrame API marks them)."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateFields(Unresolved):
    """``struct.withField(name, value)``, or ``dropFields`` where ``value`` is None."""

    struct: Expression
    field_name: str
    value: Expression | None
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class ExpressionString(Unresolved):
    """SQL text of one expression (``expr("a + 1")``), parsed by ``driver.sql`` during analysis."""

    text: str
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedSubquery(Unresolved):
    """A subquery: kind "scalar", "exists", "in" (with ``values``) or "table_argument"; ``plan`` or ``plan_id``."""

    kind: str
    plan: Any = None
    plan_id: int | None = None
    values: tuple[Expression, ...] = ()
    partition_by: tuple[Expression, ...] = ()
    order_by: tuple[UnresolvedSortOrder, ...] = ()
    with_single_partition: bool = False
    origin: QueryContext | None = None


@dataclass(frozen=True, slots=True)
class DirectShuffle(Unresolved):
    """``repartition(n, DirectShufflePartitionID(expr))``: the expression is the partition number."""

    child: Expression


@dataclass(frozen=True, slots=True)
class PythonFunction(Unresolved):
    """A Python UDF as the client pickled it; the bytes are never opened in the driver."""

    name: str
    deterministic: bool
    eval_type: int
    output_type: Any
    command: bytes
    python_version: str
    args: tuple[Expression, ...]
    origin: QueryContext | None = None
