"""What an entry of the function library is: names, argument rule, result type and Polars body together.

The analyzer reads the first three (``names``, ``signature``, ``result``/``nullable``); the executor runs the
body. Families (``executors/functions/<family>.py``) each hold a tuple ``FUNCTIONS``; ``catalogue.py`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import polars as pl

from voltray.proto.expressions import AggregateCall, Call, Expression, nullable_of
from voltray.proto.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegralType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.executors.functions.evaluation import Evaluation


class FunctionKind(Enum):
    """Where a function may stand."""

    SCALAR = "scalar"
    AGGREGATE = "aggregate"
    WINDOW = "window"
    GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Accept:
    """What one parameter takes.

    An argument whose type is an instance of one of ``classes`` is taken as it is; any other is implicitly
    cast to the first of ``targets`` to which Spark's ANSI (or legacy) rules allow it; else the analyzer raises
    DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE naming ``shown``. ``common`` groups parameters that must agree: all
    arguments of one group are widened to their common type (after the class check).
    """

    classes: tuple[type[DataType], ...] = (DataType,)
    targets: tuple[DataType, ...] = ()
    shown: str = ""
    common: str = ""
    foldable: bool = False
    """Must be a constant (NON_FOLDABLE_INPUT otherwise)."""
    strict: bool = False
    """Takes NULL beside its classes, and nothing by a cast."""
    is_lambda: bool = False
    """Takes a lambda function; the entry's ``lambda_types`` says of what types."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function: its name (for named arguments and errors), what it takes and its default."""

    name: str
    accepts: Accept
    default: Expression | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters of a function; the last ``repeated`` ones repeat (at least ``minimum`` arguments in all)."""

    parameters: tuple[Parameter, ...] = ()
    repeated: int = 0
    minimum: int | None = None


Result = DataType | Callable[[tuple[Expression, ...]], DataType]
Nullability = Callable[[tuple[Expression, ...]], bool]


def any_argument_nullable(args: tuple[Expression, ...]) -> bool:
    """NULL in, NULL out: nullable when an argument is."""
    return any(nullable_of(a) for a in args)


def always_nullable(args: tuple[Expression, ...]) -> bool:
    """May give NULL whatever its arguments."""
    return True


def never_nullable(args: tuple[Expression, ...]) -> bool:
    """Never gives NULL."""
    return False


Body = Callable[..., pl.Expr]
"""``body(evaluation, *arguments) -> pl.Expr``: arguments are compiled Polars expressions in order."""

LazyBody = Callable[["Evaluation", tuple[Expression, ...]], pl.Expr]
"""For functions that do not evaluate every argument for every row (if, case, coalesce, and, or) or that take
lambdas: they compile their arguments themselves with ``evaluation.compile(expression, guard=...)``."""


@dataclass(frozen=True, slots=True)
class Split:
    """How an aggregate runs in parts: partial rows -> buffers, buffers -> merged buffers, buffers -> value.

    ``buffers(call)`` names and types the buffer columns; ``partial(evaluation, *args)`` gives one aggregating
    Polars expression a buffer; ``merge(evaluation, *buffers)`` the same over buffer columns;
    ``finish(evaluation, *merged)`` one elementwise expression.
    """

    buffers: Callable[[AggregateCall], tuple[tuple[str, DataType], ...]]
    partial: Callable[..., tuple[pl.Expr, ...]]
    merge: Callable[..., tuple[pl.Expr, ...]]
    finish: Callable[..., pl.Expr]


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of the library. ``names[0]`` is the canonical name that resolved calls carry."""

    names: tuple[str, ...]
    signature: Signature
    result: Result
    body: Body | None = None
    lazy_body: LazyBody | None = None
    nullable: Nullability = any_argument_nullable
    kind: FunctionKind = FunctionKind.SCALAR
    split: Split | None = None
    resolve: Callable[[Any], Expression] | None = None
    """For the few whose resolution no signature describes: gets the analyzer's FunctionResolution
    (name, args, settings, coerce helpers; see driver/analysis/functions.py) and returns the resolved expression."""
    display: Callable[[tuple[str, ...]], str] | None = None
    """Output name from the arguments' names; default ``name(a, b)``."""
    deterministic: bool = True
    foldable: bool = True
    lambda_types: Callable[[tuple[Expression, ...], int], tuple[tuple[DataType, bool], ...]] | None = None
    """For higher-order functions: (types, nullabilities) of the variables of the lambda at an argument position."""
    internal: bool = False
    """Not callable by users (operators of the plan that have no SQL name)."""
    notes: str = ""
    """Where the semantics come from, or why the body needs a Python loop."""
    options: Callable[[tuple[Expression, ...], Any], tuple[tuple[str, Any], ...]] | None = None
    """Options computed at analysis (seeds, formats): (args, settings) -> options of the call."""


# ---- the usual things parameters take -------------------------------------------------------------
_IMPLICIT_NUMERIC: tuple[DataType, ...] = (DoubleType(),)
ANY = Accept(shown='"ANY"')
BOOLEAN_INPUT = Accept((BooleanType,), (BooleanType(),), '"BOOLEAN"')
STRING_INPUT = Accept((StringType,), (StringType(),), '"STRING"')
BINARY_INPUT = Accept((BinaryType,), (BinaryType(),), '"BINARY"')
STRING_OR_BINARY = Accept((StringType, BinaryType), (StringType(), BinaryType()), '("STRING" or "BINARY")')
NUMERIC_INPUT = Accept((NumericType,), _IMPLICIT_NUMERIC, '"NUMERIC"')
INTEGRAL_INPUT = Accept((IntegralType,), (), '"INTEGRAL"')
DATE_INPUT = Accept((DateType,), (DateType(),), '"DATE"')
TIMESTAMP_INPUT = Accept((TimestampType,), (TimestampType(),), '"TIMESTAMP"')


def accepts_type(dtype: DataType) -> Accept:
    """Exactly one type, others implicitly cast to it."""
    return Accept((type(dtype),), (dtype,), f'"{dtype.simpleString().upper()}"')


def common(group: str = "T") -> Accept:
    """Anything, widened with the other arguments of the group to one type."""
    return Accept(common=group, shown='"ANY"')


def parameters(*specs: tuple[str, Accept] | Parameter) -> Signature:
    """A signature of required parameters: ``parameters(("str", STRING_INPUT), ("len", INT_INPUT))``."""
    return Signature(tuple(s if isinstance(s, Parameter) else Parameter(*s) for s in specs))


__all__ = [
    "ANY", "BINARY_INPUT", "BOOLEAN_INPUT", "DATE_INPUT", "INTEGRAL_INPUT", "NUMERIC_INPUT", "STRING_INPUT",
    "STRING_OR_BINARY", "TIMESTAMP_INPUT", "Accept", "Body", "Call", "DecimalType", "FloatType",
    "FractionalType", "Function", "FunctionKind", "LazyBody", "Nullability", "Parameter", "Result", "Signature",
    "Split", "TimestampNTZType", "accepts_type", "always_nullable", "any_argument_nullable", "common", "field",
    "never_nullable", "parameters",
]  # fmt: skip
