"""Resolved expressions: what the analyzer produces, the optimizer rewrites and an executor evaluates.

Every node knows its type and nullability. Columns are known by unique ids, never by name: inside an
executor the column of attribute 7 is called ``#7`` (:func:`column_name`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, TypeVar

from voltray.proto.failures import QueryContext
from voltray.proto.types import BOOLEAN, DataType

_ids = itertools.count(1)


def new_id() -> int:
    """A fresh column id, unique in this process."""
    return next(_ids)


def column_name(expr_id: int) -> str:
    """The Polars column that carries the attribute with this id."""
    return f"#{expr_id}"


class EvalMode(Enum):
    """How an operation treats what it cannot compute: raise, give NULL, or Spark's old behaviour."""

    ANSI = "ansi"
    TRY = "try"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Expression:
    """Base of all resolved expressions; subclasses have ``dtype`` and ``nullable``."""


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A constant, as an internal value (see ``proto.types``)."""

    value: Any
    dtype: DataType

    @property
    def nullable(self) -> bool:
        """A literal is nullable when it is NULL."""
        return self.value is None


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """A column of some operator's output. ``qualifier`` is what may stand before its name, outermost first."""

    expr_id: int
    name: str
    dtype: DataType
    nullable: bool = True
    qualifier: tuple[str, ...] = ()
    metadata: tuple[tuple[str, Any], ...] = ()

    @property
    def column(self) -> str:
        """The Polars column name."""
        return column_name(self.expr_id)


@dataclass(frozen=True, slots=True)
class Alias(Expression):
    """A named, newly identified value: what a projection puts out for anything that is not an attribute."""

    child: Expression
    name: str
    expr_id: int
    metadata: tuple[tuple[str, Any], ...] = ()

    @property
    def dtype(self) -> DataType:
        """The child's type."""
        return dtype_of(self.child)

    @property
    def nullable(self) -> bool:
        """The child's nullability."""
        return nullable_of(self.child)


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A scalar or generator function of the registry, by its canonical name, on coerced arguments."""

    name: str
    args: tuple[Expression, ...]
    dtype: DataType
    nullable: bool = True
    mode: EvalMode = EvalMode.ANSI
    options: tuple[tuple[str, Any], ...] = ()
    origin: QueryContext | None = field(default=None, compare=False, repr=False)
    """Where it was written, for errors of its evaluation; no part of what it means."""

    def option(self, name: str, default: Any = None) -> Any:
        """One of the call's options (a random seed, a field name, JSON options)."""
        return dict(self.options).get(name, default)


@dataclass(frozen=True, slots=True)
class PythonCall(Expression):
    """A user's Python function of rows, as the client pickled it; run by worker processes alone."""

    name: str
    args: tuple[Expression, ...]
    dtype: DataType
    eval_type: int
    command: bytes
    python_version: str
    deterministic: bool = True
    arg_names: tuple[str | None, ...] = ()
    """For each argument the keyword under which it is given, or None."""
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """A conversion to a type, under the session's time zone where that matters."""

    child: Expression
    dtype: DataType
    nullable: bool = True
    mode: EvalMode = EvalMode.ANSI
    origin: QueryContext | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LambdaVariable(Expression):
    """A parameter of a lambda function."""

    expr_id: int
    name: str
    dtype: DataType
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    """A function given to a higher-order function as an argument."""

    body: Expression
    parameters: tuple[LambdaVariable, ...]

    @property
    def dtype(self) -> DataType:
        """The body's type."""
        return dtype_of(self.body)

    @property
    def nullable(self) -> bool:
        """The body's nullability."""
        return nullable_of(self.body)


@dataclass(frozen=True, slots=True)
class SortOrder(Expression):
    """A sort key. Spark's defaults: ascending with nulls first, descending with nulls last."""

    child: Expression
    ascending: bool = True
    nulls_first: bool = True

    @property
    def dtype(self) -> DataType:
        """The key's type."""
        return dtype_of(self.child)

    @property
    def nullable(self) -> bool:
        """The key's nullability."""
        return nullable_of(self.child)


@dataclass(frozen=True, slots=True)
class AggregateCall(Expression):
    """An aggregate function of the registry; ``order_by`` is WITHIN GROUP."""

    name: str
    args: tuple[Expression, ...]
    dtype: DataType
    nullable: bool = True
    distinct: bool = False
    filter: Expression | None = None
    order_by: tuple[SortOrder, ...] = ()
    mode: EvalMode = EvalMode.ANSI
    options: tuple[tuple[str, Any], ...] = ()
    origin: QueryContext | None = field(default=None, compare=False, repr=False)

    def option(self, name: str, default: Any = None) -> Any:
        """One of the call's options."""
        return dict(self.options).get(name, default)


class FrameKind(Enum):
    """What a window frame's bounds count."""

    ROWS = "rows"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """Bounds of a frame: None is unbounded, 0 the current row, n rows (or a literal range) before (-) or after (+)."""

    kind: FrameKind
    lower: Expression | int | None
    upper: Expression | int | None


@dataclass(frozen=True, slots=True)
class WindowCall(Expression):
    """An aggregate or a window-only function (a :class:`Call` such as row_number) over a window."""

    function: Expression
    partition_by: tuple[Expression, ...]
    order_by: tuple[SortOrder, ...]
    frame: WindowFrame
    ignore_nulls: bool = False

    @property
    def dtype(self) -> DataType:
        """The function's type."""
        return dtype_of(self.function)

    @property
    def nullable(self) -> bool:
        """The function's nullability."""
        return nullable_of(self.function)


@dataclass(frozen=True, slots=True)
class OuterReference(Expression):
    """An attribute of an enclosing query, inside a correlated subquery; gone after decorrelation."""

    attribute: Attribute

    @property
    def dtype(self) -> DataType:
        """The attribute's type."""
        return self.attribute.dtype

    @property
    def nullable(self) -> bool:
        """The attribute's nullability."""
        return self.attribute.nullable


@dataclass(frozen=True, slots=True)
class ScalarSubquery(Expression):
    """A subquery of one row and one column. ``plan`` is a resolved logical plan of the driver."""

    plan: Any
    dtype: DataType
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class ExistsSubquery(Expression):
    """Whether a subquery has rows."""

    plan: Any
    dtype: DataType = BOOLEAN
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class InSubquery(Expression):
    """Whether a tuple of values is among a subquery's rows, in three-valued logic."""

    values: tuple[Expression, ...]
    plan: Any
    dtype: DataType = BOOLEAN
    nullable: bool = True


def dtype_of(expression: Expression) -> DataType:
    """The type of any resolved expression."""
    return expression.dtype  # type: ignore[attr-defined, no-any-return]


def nullable_of(expression: Expression) -> bool:
    """The nullability of any resolved expression."""
    return bool(expression.nullable)  # type: ignore[attr-defined]


_CHILD_FIELDS: dict[type, tuple[str, ...]] = {}


def _child_fields(expression: Expression) -> tuple[str, ...]:
    known = _CHILD_FIELDS.get(type(expression))
    if known is None:
        named = ("child", "args", "body", "filter", "order_by", "partition_by", "function", "values")
        known = tuple([f.name for f in fields(expression) if f.name in named])
        _CHILD_FIELDS[type(expression)] = known
    return known


def children_of(expression: Expression) -> Iterator[Expression]:
    """The direct sub-expressions, without those inside subquery plans."""
    for name in _child_fields(expression):
        value = getattr(expression, name)
        if isinstance(value, tuple):
            yield from value
        elif value is not None:
            yield value


def map_children(expression: Expression, function: Callable[[Expression], Expression]) -> Expression:
    """The expression with each direct sub-expression replaced; the same object where nothing changed."""
    changes: dict[str, Any] = {}
    for name in _child_fields(expression):
        value = getattr(expression, name)
        if isinstance(value, tuple):
            mapped = tuple([function(v) for v in value])
            if any(a is not b for a, b in zip(mapped, value, strict=True)):
                changes[name] = mapped
        elif value is not None:
            single = function(value)
            if single is not value:
                changes[name] = single
    return replace(expression, **changes) if changes else expression


def transform_up(expression: Expression, function: Callable[[Expression], Expression]) -> Expression:
    """Rewrite bottom-up: children first, then the node itself."""
    return function(map_children(expression, lambda child: transform_up(child, function)))


def walk(expression: Expression) -> Iterator[Expression]:
    """Every sub-expression, the expression itself first, without recursion."""
    stack = [expression]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(children_of(node))))


def references(expression: Expression) -> frozenset[int]:
    """Ids of the attributes that an expression reads."""
    return frozenset(node.expr_id for node in walk(expression) if isinstance(node, Attribute))


Named = TypeVar("Named", Attribute, Alias)


def to_attribute(named: Attribute | Alias) -> Attribute:
    """The attribute by which operators above see a projection's item."""
    if isinstance(named, Attribute):
        return named
    return Attribute(named.expr_id, named.name, named.dtype, named.nullable, (), named.metadata)
