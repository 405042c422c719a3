"""What the families of aggregates share: making entries, splits of one buffer, types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import Function, FunctionKind, Result, Signature, Split, always_nullable
from voltray.proto.expressions import AggregateCall, EvalMode, Expression, dtype_of
from voltray.proto.types import DataType

_NULL_BLIND = """
    count sum try_sum avg try_avg min max count_if bool_and bool_or bit_and bit_or bit_xor product
    stddev_samp stddev_pop var_samp var_pop skewness kurtosis corr covar_samp covar_pop regr_count
    regr_avgx regr_avgy regr_sxx regr_syy regr_sxy regr_slope regr_intercept regr_r2
    approx_count_distinct median percentile percentile_approx collect_list collect_set listagg mode
"""
IGNORE_NULLS = frozenset(_NULL_BLIND.split())
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
