"""Aggregate functions: counts, sums, averages, extremes, first and last, logical and bitwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.argument_checks import orderable
from voltray.executors.functions.columns import overflow_error
from voltray.executors.functions.decimal import (
    MAX_PRECISION,
    decimal_of,
    divide_half_up,
    exact_rows,
    fitted,
    largest,
    out_of_range,
    round_half_up,
    wide,
)  # fmt: skip
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    FunctionKind,
    Parameter,
    Result,
    Signature,
    Split,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import AggregateCall, EvalMode, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BOOLEAN,
    DOUBLE,
    LONG,
    BooleanType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    LongType,
    NumericType,
    YearMonthIntervalType,
    carrier,
)  # fmt: skip

SUMMABLE = Accept((NumericType, YearMonthIntervalType, DayTimeIntervalType), (DOUBLE,), '"NUMERIC" or "ANSI INTERVAL"')
BOOLEAN_ARGUMENT = Accept((BooleanType,), (BOOLEAN,), '"BOOLEAN"')
INTEGRAL_ARGUMENT = Accept((IntegralType,), (), '"INTEGRAL"')
IGNORE_FLAG = Accept((BooleanType,), (BOOLEAN,), '"BOOLEAN"', foldable=True)

_WIDE = DecimalType(MAX_PRECISION, 0)
_WIDE_CARRIER = carrier(_WIDE)
_HALF = 10**19
"""Decimals of many digits are summed in two halves of 19 digits, so that no sum overflows."""
_EASY_PRECISION = 28

IGNORE_NULLS = frozenset(
    [
        "count",
        "sum",
        "try_sum",
        "avg",
        "try_avg",
        "min",
        "max",
        "count_if",
        "bool_and",
        "bool_or",
        "bit_and",
        "bit_or",
        "bit_xor",
        "product",
        "stddev_samp",
        "stddev_pop",
        "var_samp",
        "var_pop",
        "skewness",
        "kurtosis",
        "corr",
        "covar_samp",
        "covar_pop",
        "regr_count",
        "regr_avgx",
        "regr_avgy",
        "regr_sxx",
        "regr_syy",
        "regr_sxy",
        "regr_slope",
        "regr_intercept",
        "regr_r2",
        "approx_count_distinct",
        "median",
        "percentile",
        "percentile_approx",
        "collect_list",
        "collect_set",
        "listagg",
        "mode",
    ]
)
"""Aggregates that do not see rows where an argument is NULL: FILTER may set the arguments to NULL."""


def result_of_first(args: tuple[Expression, ...]) -> DataType:
    """The type of the first argument."""
    return dtype_of(args[0])


def aggregate(
    names: str,
    signature: Signature,
    result: Result,
    split: Split | None = None,
    body: Callable[..., pl.Expr] | None = None,
    nullable: Callable[[tuple[Expression, ...]], bool] = always_nullable,
    **more: Any,
) -> Function:
    """An entry for an aggregate."""
    return Function(
        tuple(names.split()), signature, result, body, nullable=nullable, kind=FunctionKind.AGGREGATE,
        split=split, foldable=False, **more,
    )  # fmt: skip


def one_buffer(
    name: str,
    dtype: DataType | Callable[[AggregateCall], DataType],
    partial: Callable[..., pl.Expr],
    merge: Callable[[pl.Expr], pl.Expr],
    finish: Callable[[Evaluation, pl.Expr], pl.Expr] | None = None,
) -> Split:
    """A split with a single buffer that is the value itself unless ``finish`` is given."""
    return Split(
        buffers=lambda call: ((name, dtype(call) if callable(dtype) else dtype),),
        partial=lambda evaluation, *args: (partial(evaluation, *args),),
        merge=lambda evaluation, buffer: (merge(buffer),),
        finish=finish or (lambda evaluation, buffer: buffer),
    )


def call_type(call: AggregateCall) -> DataType:
    """The call's own type, for buffers that hold values of it."""
    return call.dtype


def argument_type(call: AggregateCall) -> DataType:
    """The type of a call's first argument."""
    return dtype_of(call.args[0])


def mode_of(evaluation: Evaluation) -> EvalMode:
    """How overflow is met: try_sum and try_avg give NULL."""
    return EvalMode.TRY if evaluation.call.name.startswith("try_") else evaluation.call.mode


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


# ---- sum --------------------------------------------------------------------------------------------
def sum_type(args: tuple[Expression, ...]) -> DataType:
    """Sums of integers are bigint, of decimals ten digits wider, of floats double."""
    match dtype_of(args[0]):
        case DecimalType() as dtype:
            return DecimalType(min(dtype.precision + 10, MAX_PRECISION), dtype.scale)
        case IntegralType():
            return LONG
        case YearMonthIntervalType() | DayTimeIntervalType() as dtype:
            return dtype
    return DOUBLE


def _sum_buffers(call: AggregateCall) -> tuple[tuple[str, DataType], ...]:
    dtype = argument_type(call)
    count = ("count", LONG)
    if isinstance(dtype, DecimalType):
        if dtype.precision > _EASY_PRECISION:
            return (("high", _WIDE), ("low", _WIDE), count)
        return (("sum", DecimalType(dtype.precision + 10, dtype.scale)), count)
    if isinstance(dtype, LongType | DayTimeIntervalType):
        return (("sum", _WIDE), count)
    return (("sum", LONG if isinstance(dtype, IntegralType | YearMonthIntervalType) else DOUBLE), count)


def _sum_partial(evaluation: Evaluation, value: pl.Expr) -> tuple[pl.Expr, ...]:
    call = evaluation.call
    assert isinstance(call, AggregateCall)
    dtype = argument_type(call)
    count = value.count().cast(pl.Int64)
    if isinstance(dtype, DecimalType):
        if dtype.precision > _EASY_PRECISION:
            unscaled = value.to_physical()
            high = unscaled // pl.lit(_HALF, dtype=pl.Int128)
            low = unscaled - high * pl.lit(_HALF, dtype=pl.Int128)
            return (_as_wide(high.sum()), _as_wide(low.sum()), count)
        return (value.sum().cast(pl.Decimal(dtype.precision + 10, dtype.scale)), count)
    if isinstance(dtype, LongType | DayTimeIntervalType):
        number = value if isinstance(dtype, LongType) else value.cast(pl.Int64)
        return (_as_wide(number.cast(pl.Int128).sum()), count)
    whole = isinstance(dtype, IntegralType | YearMonthIntervalType)
    return (value.cast(pl.Int64 if whole else pl.Float64).sum(), count)


def _as_wide(total: pl.Expr) -> pl.Expr:
    return total.reinterpret(dtype=_WIDE_CARRIER)


def _sum_merge(evaluation: Evaluation, *buffers: pl.Expr) -> tuple[pl.Expr, ...]:
    dtypes = [d for _, d in _sum_buffers(evaluation.call)]  # type: ignore[arg-type]
    return tuple(
        [
            _as_wide(b.to_physical().sum()) if d is _WIDE
            else b.sum().cast(carrier(d)) if isinstance(d, DecimalType) else b.sum()
            for b, d in zip(buffers, dtypes, strict=True)
        ]
    )  # fmt: skip


def _sum_finish(evaluation: Evaluation, *buffers: pl.Expr) -> pl.Expr:
    *parts, count = buffers
    dtype = argument_type(evaluation.call)  # type: ignore[arg-type]
    total = parts[0]
    if isinstance(dtype, DecimalType) and len(parts) == 2:
        total = evaluation.columnwise(_joined_halves(evaluation, dtype), *parts)
    elif isinstance(dtype, LongType | DayTimeIntervalType | YearMonthIntervalType):
        total = evaluation.columnwise(_narrowed(evaluation, dtype), total)
    return pl.when(count > 0).then(total)


def _joined_halves(evaluation: Evaluation, dtype: DecimalType) -> Callable[..., pl.Series]:
    target = evaluation.call.dtype
    assert isinstance(target, DecimalType)
    mode = mode_of(evaluation)

    def join(rows: Rows, high: pl.Series, low: pl.Series) -> pl.Series:
        upper, lower = high.to_physical(), low.to_physical()
        carried = upper + lower // wide(_HALF)
        bad = (carried >= wide(_HALF)) | (carried < wide(-_HALF))
        if bad.any() and mode is EvalMode.ANSI:
            row = rows.first(bad)
            if row is not None:
                raise out_of_range(upper[row] * _HALF + lower[row], dtype.scale, target)
        total = carried * wide(_HALF) + lower % wide(_HALF)
        if bad.any():
            total = total.zip_with(~bad, pl.Series([None], dtype=pl.Int128))
        return decimal_of(total, target)

    return join


def _narrowed(evaluation: Evaluation, dtype: DataType) -> Callable[..., pl.Series]:
    """Wide totals as the result's own integers: refused, NULL or wrapped where they do not fit."""
    mode = mode_of(evaluation)
    small = isinstance(dtype, YearMonthIntervalType)
    limit = 1 << (31 if small else 63)
    target = carrier(evaluation.call.dtype)

    def narrow(rows: Rows, total: pl.Series) -> pl.Series:
        values = total if small else total.to_physical()
        low, high = values.min(), values.max()
        if low is not None and (int(low) < -limit or int(high) >= limit):  # type: ignore[arg-type]
            if mode is EvalMode.ANSI or not isinstance(dtype, LongType):
                upper, lower = pl.Series([limit], dtype=values.dtype), pl.Series([-limit], dtype=values.dtype)
                rows.refuse((values >= upper) | (values < lower), lambda *cells: _sum_overflow(dtype))
            return _out_of_bounds(values, limit, mode).cast(target)
        return values.cast(pl.Int32 if small else pl.Int64).cast(target)

    return narrow


def _out_of_bounds(values: pl.Series, limit: int, mode: EvalMode) -> pl.Series:
    if mode is EvalMode.LEGACY:
        wrapped = [None if v is None else (int(v) + limit) % (2 * limit) - limit for v in values.to_list()]
    else:
        wrapped = [None if v is None or not -limit <= v < limit else int(v) for v in values.to_list()]
    return pl.Series(wrapped, dtype=pl.Int64)


def _sum_overflow(dtype: DataType) -> SparkError:
    if isinstance(dtype, LongType):
        return overflow_error("long", "try_add")
    return spark_error("INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", ErrorKind.ARITHMETIC, functionName="`try_add`")


SUM = Split(_sum_buffers, _sum_partial, _sum_merge, _sum_finish)


# ---- avg --------------------------------------------------------------------------------------------
def avg_type(args: tuple[Expression, ...]) -> DataType:
    """Averages of decimals have four more digits, of intervals are intervals, of all others doubles."""
    match dtype_of(args[0]):
        case DecimalType() as dtype:
            return DecimalType(min(dtype.precision + 4, MAX_PRECISION), min(dtype.scale + 4, MAX_PRECISION))
        case YearMonthIntervalType():
            return YearMonthIntervalType()
        case DayTimeIntervalType():
            return DayTimeIntervalType()
    return DOUBLE


def _exact(dtype: DataType) -> bool:
    return isinstance(dtype, DecimalType | YearMonthIntervalType | DayTimeIntervalType)


def _avg_buffers(call: AggregateCall) -> tuple[tuple[str, DataType], ...]:
    return _sum_buffers(call) if _exact(argument_type(call)) else (("sum", DOUBLE), ("count", LONG))


def _avg_partial(evaluation: Evaluation, value: pl.Expr) -> tuple[pl.Expr, ...]:
    if _exact(argument_type(evaluation.call)):  # type: ignore[arg-type]
        return _sum_partial(evaluation, value)
    return (value.cast(pl.Float64).sum(), value.count().cast(pl.Int64))


def _avg_merge(evaluation: Evaluation, *buffers: pl.Expr) -> tuple[pl.Expr, ...]:
    if _exact(argument_type(evaluation.call)):  # type: ignore[arg-type]
        return _sum_merge(evaluation, *buffers)
    return tuple([b.sum() for b in buffers])


def _avg_finish(evaluation: Evaluation, *buffers: pl.Expr) -> pl.Expr:
    *parts, count = buffers
    dtype = argument_type(evaluation.call)  # type: ignore[arg-type]
    if not _exact(dtype):
        return pl.when(count > 0).then(parts[0] / count)
    if isinstance(dtype, DecimalType):
        return evaluation.columnwise(_decimal_average(evaluation, dtype), *buffers)
    return evaluation.columnwise(_interval_average(evaluation), parts[0], count)


def _decimal_average(evaluation: Evaluation, dtype: DecimalType) -> Callable[..., pl.Series]:
    target = evaluation.call.dtype
    assert isinstance(target, DecimalType)
    factor = 10 ** (target.scale - dtype.scale)
    mode = mode_of(evaluation)

    def average(rows: Rows, *buffers: pl.Series) -> pl.Series:
        *parts, count = buffers
        totals = [p.to_physical() for p in parts]
        count = count.set(count == 0, None)
        if len(totals) == 2:
            if max(largest(totals[0]), largest(totals[1]) // _HALF) * 2 * factor >= _HALF:
                return exact_rows(
                    rows, (*totals, count), lambda high, low, n: round_half_up((high * _HALF + low) * factor, n),
                    target.scale, target, mode,
                )  # fmt: skip
            totals = [totals[0] * wide(_HALF) + totals[1]]
        if largest(totals[0]) * factor >= 1 << 126:
            return exact_rows(
                rows, (totals[0], count), lambda total, n: round_half_up(total * factor, n),
                target.scale, target, mode,
            )  # fmt: skip
        quotient = divide_half_up(totals[0] * wide(factor), count.cast(pl.Int128))
        return fitted(rows, quotient, target.scale, target, mode)

    return average


def _interval_average(evaluation: Evaluation) -> Callable[..., pl.Series]:
    target = carrier(evaluation.call.dtype)
    storage = pl.Int32 if target == pl.Int32 else pl.Int64

    def average(rows: Rows, total: pl.Series, count: pl.Series) -> pl.Series:
        numbers = total.to_physical().cast(pl.Int128)
        divisor = count.set(count == 0, None).cast(pl.Int128)
        return divide_half_up(numbers, divisor).cast(storage).cast(target)

    return average


AVG = Split(_avg_buffers, _avg_partial, _avg_merge, _avg_finish)


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
    aggregate("sum", parameters(("expr", SUMMABLE)), sum_type, SUM),
    aggregate("try_sum", parameters(("expr", SUMMABLE)), sum_type, SUM),
    aggregate("avg mean", parameters(("expr", SUMMABLE)), avg_type, AVG),
    aggregate("try_avg", parameters(("expr", SUMMABLE)), avg_type, AVG),
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
