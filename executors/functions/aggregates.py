"""Aggregate functions: counts, extremes, first and last, logical and bitwise, products."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate, call_type, one_buffer, result_of_first
from voltray.executors.functions.argument_checks import orderable
from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    Split,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import AggregateCall, Literal, dtype_of
from voltray.proto.types import (
    BOOLEAN,
    DOUBLE,
    LONG,
    BooleanType,
    DoubleType,
    FloatType,
    IntegralType,
    carrier,
)  # fmt: skip

BOOLEAN_ARGUMENT = Accept((BooleanType,), (BOOLEAN,), '"BOOLEAN"')
INTEGRAL_ARGUMENT = Accept((IntegralType,), (), '"INTEGRAL"')
IGNORE_FLAG = Accept((BooleanType,), (BOOLEAN,), '"BOOLEAN"', foldable=True)


# ---- count ------------------------------------------------------------------------------------------
def _count(evaluation: Evaluation, *args: pl.Expr) -> pl.Expr:
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    constant = all(isinstance(a, Literal) and a.value is not None for a in call.args)
    if constant and call.filter is None and not call.distinct:
        return pl.len().cast(pl.Int64)
    if len(args) == 1:
        return args[0].count().cast(pl.Int64)
    return pl.all_horizontal([a.is_not_null() for a in args]).sum().cast(pl.Int64)


def _total(buffer: pl.Expr) -> pl.Expr:
    return buffer.sum()


def _count_if(evaluation: Evaluation, condition: pl.Expr) -> pl.Expr:
    return condition.sum().cast(pl.Int64)


# ---- extremes ---------------------------------------------------------------------------------------
def _is_float(evaluation: Evaluation) -> bool:
    return isinstance(evaluation.call.dtype, DoubleType | FloatType)


def _extreme(evaluation: Evaluation, value: pl.Expr, *, greatest: bool) -> pl.Expr:
    dtype = carrier(evaluation.call.dtype)
    if dtype.is_nested():  # Polars' own min and max know no nested values
        ordered = value.drop_nulls().sort()
        return ordered.last() if greatest else ordered.first()
    if greatest:
        return value.nan_max() if _is_float(evaluation) else value.max()
    return value.min()  # NaN is the greatest value: Polars gives it only where there is nothing else


def _extreme_split(*, greatest: bool) -> Split:
    def partial(evaluation: Evaluation, value: pl.Expr) -> tuple[pl.Expr, ...]:
        return (_extreme(evaluation, value, greatest=greatest),)

    return Split(lambda call: (("value", call.dtype),), partial, partial, lambda evaluation, value: value)


def _by(evaluation: Evaluation, value: pl.Expr, key: pl.Expr, *, greatest: bool) -> tuple[pl.Expr, pl.Expr]:
    """The value beside the extreme key (the last of several, as in Spark), and that key."""
    known = key.is_not_null()
    keys = key.filter(known)
    ordered = value.filter(known).sort_by(keys, descending=not greatest, maintain_order=True)
    return ordered.last(), keys.sort(descending=not greatest).last()


def _extreme_by_split(*, greatest: bool) -> Split:
    def partial(evaluation: Evaluation, value: pl.Expr, key: pl.Expr) -> tuple[pl.Expr, ...]:
        return _by(evaluation, value, key, greatest=greatest)

    return Split(
        lambda call: (("value", dtype_of(call.args[0])), ("key", dtype_of(call.args[1]))),
        partial,
        partial,
        lambda evaluation, value, key: value,
    )


# ---- first and last ---------------------------------------------------------------------------------
def ignores_nulls(call: AggregateCall) -> bool:
    """Whether first, last and their kin skip NULLs: by option or by their second argument."""
    if call.option("ignore_nulls", False):
        return True
    return len(call.args) > 1 and isinstance(call.args[1], Literal) and call.args[1].value is True


def _edge_split(*, first: bool) -> Split:
    def edge(value: pl.Expr) -> pl.Expr:
        return value.first() if first else value.last()

    def partial(evaluation: Evaluation, value: pl.Expr, *flag: pl.Expr) -> tuple[pl.Expr, ...]:
        if ignores_nulls(evaluation.call):  # type: ignore[arg-type]
            return (edge(value.drop_nulls()), value.count() > 0)
        return (edge(value), value.len() > 0)

    def merge(evaluation: Evaluation, value: pl.Expr, known: pl.Expr) -> tuple[pl.Expr, ...]:
        return (edge(value.filter(known)), known.any())

    return Split(
        lambda call: (("value", call.dtype), ("known", BOOLEAN)),
        partial,
        merge,
        lambda evaluation, value, known: value,
    )


# ---- logical, bitwise, product ----------------------------------------------------------------------
def _bitwise(name: str) -> Split:
    def combine(value: pl.Expr) -> pl.Expr:
        result: pl.Expr = getattr(value.drop_nulls(), name)()
        return pl.when(value.count() > 0).then(result)

    return one_buffer("value", call_type, lambda evaluation, value: combine(value), combine)


def _product(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return _product_merge(value.cast(pl.Float64))


def _product_merge(value: pl.Expr) -> pl.Expr:
    return pl.when(value.count() > 0).then(value.drop_nulls().product())


_WITH_FLAG = Signature((Parameter("expr", ANY), Parameter("ignoreNulls", IGNORE_FLAG, optional=True)))


def _first_shown(name: str) -> Callable[[tuple[str, ...]], str]:
    """The flag that follows the argument is not shown."""
    return lambda names: f"{name}({names[0]})"


_ONE = parameters(("expr", ANY))
_BY = parameters(("expr", ANY), ("ordering", ANY))

FUNCTIONS: tuple[Function, ...] = (
    aggregate(
        "count", Signature((Parameter("expr", ANY),), repeated=1, minimum=1), LONG,
        one_buffer("count", LONG, _count, _total), nullable=never_nullable,
    ),
    aggregate(
        "count_if", parameters(("expr", BOOLEAN_ARGUMENT)), LONG,
        one_buffer("count", LONG, _count_if, _total), nullable=never_nullable,
    ),
    aggregate("min", _ONE, result_of_first, _extreme_split(greatest=False), resolve=orderable()),
    aggregate("max", _ONE, result_of_first, _extreme_split(greatest=True), resolve=orderable()),
    aggregate("min_by", _BY, result_of_first, _extreme_by_split(greatest=False), resolve=orderable(1)),
    aggregate("max_by", _BY, result_of_first, _extreme_by_split(greatest=True), resolve=orderable(1)),
    aggregate("first", _WITH_FLAG, result_of_first, _edge_split(first=True), display=_first_shown("first")),
    aggregate("first_value", _WITH_FLAG, result_of_first, _edge_split(first=True), display=_first_shown("first_value")),
    aggregate("any_value", _WITH_FLAG, result_of_first, _edge_split(first=True), display=_first_shown("any_value")),
    aggregate("last", _WITH_FLAG, result_of_first, _edge_split(first=False), display=_first_shown("last")),
    aggregate("last_value", _WITH_FLAG, result_of_first, _edge_split(first=False), display=_first_shown("last_value")),
    aggregate(
        "bool_and every", parameters(("expr", BOOLEAN_ARGUMENT)), BOOLEAN,
        one_buffer("value", BOOLEAN, lambda evaluation, value: value.min(), lambda value: value.min()),
    ),
    aggregate(
        "bool_or any some", parameters(("expr", BOOLEAN_ARGUMENT)), BOOLEAN,
        one_buffer("value", BOOLEAN, lambda evaluation, value: value.max(), lambda value: value.max()),
    ),
    aggregate("bit_and", parameters(("expr", INTEGRAL_ARGUMENT)), result_of_first, _bitwise("bitwise_and")),
    aggregate("bit_or", parameters(("expr", INTEGRAL_ARGUMENT)), result_of_first, _bitwise("bitwise_or")),
    aggregate("bit_xor", parameters(("expr", INTEGRAL_ARGUMENT)), result_of_first, _bitwise("bitwise_xor")),
    aggregate(
        "product", parameters(("e", Accept((DoubleType,), (DOUBLE,), '"DOUBLE"'))), DOUBLE,
        one_buffer("value", DOUBLE, _product, _product_merge), internal=True,
    ),
)  # fmt: skip
