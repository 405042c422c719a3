"""Comparisons. NaN equals NaN and is greater than any number; -0.0 equals 0.0; nested values compare by part."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import polars as pl

from voltray.executors.functions.arithmetic import infix
from voltray.executors.functions.evaluation import NEVER, Evaluation
from voltray.executors.functions.raising import may_raise
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    any_argument_nullable,
    common,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.coercion import wider_types
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import (
    BOOLEAN,
    DOUBLE,
    ArrayType,
    DataType,
    DoubleType,
    FloatType,
    NullType,
    StructField,
    StructType,
    UserDefinedType,
)  # fmt: skip

Compare = Callable[[Any, Any], Any]

_ORDER: dict[str, Compare] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def is_nested(dtype: DataType) -> bool:
    """Whether Polars has no order for the type's carrier."""
    return isinstance(dtype, (ArrayType, StructType, UserDefinedType))


def compare(operator: str, dtype: DataType, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """One of == < <= > >= between values of one type."""
    if isinstance(dtype, NullType):
        return pl.lit(None, pl.Boolean) & left.is_null() & right.is_null()
    if operator == "==":
        equal = left == right
        if not is_nested(dtype):
            return equal
        return pl.when(left.is_not_null() & right.is_not_null()).then(left.eq_missing(right))
    if not is_nested(dtype):
        ordered: pl.Expr = _ORDER[operator](left, right)
        return ordered
    return pl.map_batches(
        [left, right],
        lambda c: _nested_order(operator, c[0], c[1]),
        is_elementwise=True,
        return_dtype=pl.Boolean,
    )


def _nested_order(operator: str, left: pl.Series, right: pl.Series) -> pl.Series:
    length = 0 if 0 in (len(left), len(right)) else max(len(left), len(right))
    a, b = ((c if len(c) == length else c.new_from_index(0, length)).to_list() for c in (left, right))
    test = _ORDER[operator]
    cells = zip(a, b, strict=True)
    values = [None if x is None or y is None else test(order_key(x), order_key(y)) for x, y in cells]
    return pl.Series(values, dtype=pl.Boolean)


def order_key(value: Any) -> Any:
    """A Python value that sorts as Spark sorts: NULL first, NaN last, parts in turn."""
    if value is None:
        return (0,)
    if isinstance(value, dict):
        return (1, tuple(order_key(v) for v in value.values()))
    if isinstance(value, list):
        return (1, tuple(order_key(v) for v in value))
    if isinstance(value, float) and value != value:
        return (2,)
    return (1, value)


def _equal(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return compare("==", dtype_of(evaluation.call.args[0]), left, right)


def _null_safe_equal(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return left.eq_missing(right)


def _ordering(operator: str) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
        return compare(operator, dtype_of(evaluation.call.args[0]), left, right)

    return body


def _between(evaluation: Evaluation, value: pl.Expr, low: pl.Expr, high: pl.Expr) -> pl.Expr:
    dtype = dtype_of(evaluation.call.args[0])
    return compare(">=", dtype, value, low) & compare("<=", dtype, value, high)


# ---- in -----------------------------------------------------------------------------------------------
def _in(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    first, *others = args
    value = evaluation.compile(first)
    candidates = _candidates(evaluation, first, others)
    dtype = dtype_of(first)
    literals = [o.value for o in others if isinstance(o, Literal)]
    if len(literals) < len(others) or is_nested(dtype) or isinstance(dtype, NullType) or len(others) < 3:
        tests = [compare("==", dtype, value, c) for c in candidates]
        return reduce(lambda a, b: a | b, tests)
    return _in_constants(value, [v for v in literals if v is not None], None in literals, dtype)


def _candidates(evaluation: Evaluation, first: Expression, others: list[Expression]) -> list[pl.Expr]:
    """What is looked through: what may raise is evaluated only where nothing before was found."""
    if not any(may_raise(other) for other in others):
        return [evaluation.compile(other) for other in others]
    dtype, value = dtype_of(first), evaluation.compile(first, NEVER)
    compiled: list[pl.Expr] = []
    looked = value.is_not_null()
    for other in others:
        compiled.append(evaluation.compile(other, looked) if may_raise(other) else evaluation.compile(other))
        found = compare("==", dtype, value, evaluation.compile(other, NEVER))
        looked = looked & ~found.fill_null(False)
    return compiled


def _resolve_in(resolution: Any) -> Expression:
    """Structs compare by position, whatever their fields are called."""
    first = dtype_of(resolution.args[0])
    types = [dtype_of(a) for a in resolution.args]
    if not isinstance(first, StructType) or not all(_same_width(first, t) for t in types):
        return resolution.finish()  # type: ignore[no-any-return]
    names = [f.name for f in first.fields]
    renamed = [_renamed(t, names) for t in types]
    common_type = wider_types(renamed, resolution.ansi)
    if common_type is None:
        return resolution.finish()  # type: ignore[no-any-return]
    return resolution.call(tuple(resolution.cast(a, common_type) for a in resolution.args))  # type: ignore[no-any-return]


def _same_width(first: StructType, other: DataType) -> bool:
    return isinstance(other, StructType) and len(other.fields) == len(first.fields)


def _renamed(dtype: DataType, names: list[str]) -> DataType:
    assert isinstance(dtype, StructType)
    fields = zip(names, dtype.fields, strict=True)
    return StructType([StructField(name, f.dataType, f.nullable) for name, f in fields])


def _in_constants(value: pl.Expr, constants: list[Any], with_null: bool, dtype: DataType) -> pl.Expr:
    from voltray.executors.literals import series_of

    if not constants:
        return pl.lit(None, pl.Boolean) & value.is_null()
    found = value.is_in(pl.lit(series_of(constants, dtype)).implode())
    return pl.when(found).then(True).otherwise(pl.lit(None, pl.Boolean)) if with_null else found


# ---- greatest, least ----------------------------------------------------------------------------------
def _extreme(operator: str) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        dtype = dtype_of(evaluation.call.args[0])
        if not is_nested(dtype) and not isinstance(dtype, (FloatType, DoubleType, NullType)):
            return pl.max_horizontal(*values) if operator == ">" else pl.min_horizontal(*values)

        def better(best: pl.Expr, value: pl.Expr) -> pl.Expr:
            replace = best.is_null() | compare(operator, dtype, value, best).fill_null(False)
            return pl.when(replace).then(value).otherwise(best)

        return reduce(better, values)

    return body


def _all_nullable(args: tuple[Expression, ...]) -> bool:
    return all(nullable_of(a) for a in args)


def _first_type(args: tuple[Expression, ...]) -> DataType:
    return dtype_of(args[0])


# ---- null and NaN tests -------------------------------------------------------------------------------
def _is_null(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value.is_null()


def _is_not_null(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value.is_not_null()


def _is_nan(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value.is_nan().fill_null(False)


def _nanvl(evaluation: Evaluation, value: pl.Expr, other: pl.Expr) -> pl.Expr:
    return pl.when(value.is_nan()).then(other).otherwise(value)


_T = common("T")
_PAIR = Signature((Parameter("left", _T), Parameter("right", _T)))
_MANY = Signature((Parameter("expr1", _T), Parameter("expr2", _T)), repeated=1, minimum=2)
_FLOATING = Accept((DoubleType, FloatType), (DOUBLE,), '("DOUBLE" or "FLOAT")')
_SAME_FLOATING = Accept((DoubleType, FloatType), (DOUBLE,), '("DOUBLE" or "FLOAT")', common="T")


def _infix(name: str, symbol: str, body: Callable[..., pl.Expr]) -> Function:
    return Function((name,), _PAIR, BOOLEAN, body, display=infix(symbol))


FUNCTIONS: tuple[Function, ...] = (
    Function(("==", "="), _PAIR, BOOLEAN, _equal, display=infix("=")),
    Function(("<=>",), _PAIR, BOOLEAN, _null_safe_equal, nullable=never_nullable, display=infix("<=>")),
    Function(("equal_null",), _PAIR, BOOLEAN, _null_safe_equal, nullable=never_nullable),
    *[_infix(name, name, _ordering(name)) for name in _ORDER],
    Function(
        ("between",), parameters(("expr", _T), ("lower", _T), ("upper", _T)), BOOLEAN, _between
    ),
    Function(
        ("in",), Signature((Parameter("value", _T), Parameter("list", _T)), repeated=1, minimum=2), BOOLEAN,
        lazy_body=_in, resolve=_resolve_in,
        display=lambda names: f"({names[0]} IN ({', '.join(names[1:])}))",
    ),
    Function(("greatest",), _MANY, _first_type, _extreme(">"), nullable=_all_nullable),
    Function(("least",), _MANY, _first_type, _extreme("<"), nullable=_all_nullable),
    Function(
        ("isnull",), parameters(("expr", ANY)), BOOLEAN, _is_null, nullable=never_nullable,
        display=lambda names: f"({names[0]} IS NULL)",
    ),
    Function(
        ("isnotnull",), parameters(("expr", ANY)), BOOLEAN, _is_not_null, nullable=never_nullable,
        display=lambda names: f"({names[0]} IS NOT NULL)",
    ),
    Function(("isnan",), parameters(("expr", _FLOATING)), BOOLEAN, _is_nan, nullable=never_nullable),
    Function(
        ("nanvl",), parameters(("expr1", _SAME_FLOATING), ("expr2", _SAME_FLOATING)), _first_type, _nanvl,
        nullable=any_argument_nullable,
    ),
)  # fmt: skip
