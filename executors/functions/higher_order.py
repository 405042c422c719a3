"""Higher-order functions: transform, filter, exists, forall, aggregate, zip_with, array_sort and those over maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.array_build import padded
from voltray.executors.functions.array_types import ARRAY, MAP, contains_null, element_type, ordered_array
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.lambdas import BoundLambda, with_lambdas
from voltray.executors.functions.map_build import checked_map
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.coercion import is_orderable, wider_type
from voltray.proto.expressions import Expression, Lambda, Literal, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BOOLEAN,
    INTEGER,
    ArrayType,
    BooleanType,
    DataType,
    MapType,
    NullType,
    same_type,
    type_name,
)  # fmt: skip

FUNCTION_ARGUMENT = Accept(is_lambda=True, shown='"LAMBDA"')
Types = tuple[tuple[DataType, bool], ...]


# ---- arrays ----------------------------------------------------------------------------------------
def _variables(function: BoundLambda, taken: lists.Lists) -> tuple[pl.Series, ...]:
    if len(function.function.parameters) < 2:
        return (taken.values,)
    return taken.values, pl.Series(taken.positions).cast(pl.Int32)


def _elements(kernel: Callable[[lists.Lists, pl.Series], pl.Series]) -> Any:
    """A body over (array, lambda): ``kernel(array taken apart, lambda's value of each element)``."""

    def body(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
        def run(rows: Rows, bound: list[BoundLambda], arrays: pl.Series) -> pl.Series:
            taken = lists.parts(arrays)
            return kernel(taken, bound[0](taken.rows, *_variables(bound[0], taken)))

        return with_lambdas(evaluation, args[1:2], run, evaluation.compile(args[0]))

    return body


def _transform(taken: lists.Lists, values: pl.Series) -> pl.Series:
    return taken.with_values(values)


def _filter(taken: lists.Lists, values: pl.Series) -> pl.Series:
    return taken.kept(_flags(values))


def _flags(values: pl.Series) -> np.ndarray:
    return values.cast(pl.Boolean).fill_null(False).to_numpy().astype(bool)


def _quantified(decisive: bool) -> Callable[[lists.Lists, pl.Series], pl.Series]:
    """exists (one True decides) and forall (one False does), in three-valued logic."""

    def kernel(taken: lists.Lists, values: pl.Series) -> pl.Series:
        count, rows = len(taken.lengths), taken.rows
        decided, unsure = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        decided[rows[_flags(values if decisive else ~values.cast(pl.Boolean))]] = True
        unsure[rows[values.is_null().to_numpy()]] = True
        unsure &= ~decided
        if taken.valid is not None:
            unsure |= ~taken.valid
        result = pl.Series(decided if decisive else ~decided)
        return result.zip_with(pl.Series(~unsure), pl.Series([None], dtype=pl.Boolean))

    return kernel


def _aggregate(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    """The fold goes over positions, not over rows: step k merges the k-th elements of all rows at once."""

    def run(rows: Rows, bound: list[BoundLambda], arrays: pl.Series, start: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        order = np.argsort(-taken.lengths, kind="stable")
        sizes = taken.lengths[order]
        merge = bound[0]
        state = lists.take(start, order).cast(merge.dtype)
        for step in range(int(sizes[0]) if len(sizes) else 0):
            active = int(np.searchsorted(-sizes, -step, side="left"))
            chosen = order[:active]
            elements = lists.take(taken.values, taken.starts[chosen] + step)
            state = pl.concat([merge(chosen, state.head(active), elements), state.slice(active)], rechunk=True)
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        result = lists.take(state, back)
        if len(bound) > 1:
            result = bound[1](np.arange(len(arrays)), result)
        if taken.valid is None:
            return result
        return result.zip_with(pl.Series(taken.valid), pl.Series([None], dtype=result.dtype))

    return with_lambdas(evaluation, args[2:], run, evaluation.compile(args[0]), evaluation.compile(args[1]))


def _resolve_zip_with(resolution: Any) -> Expression:
    for position in (0, 1):
        if not isinstance(dtype_of(resolution.args[position]), ArrayType):
            raise resolution.unexpected(position, '"ARRAY"')
    return resolution.call()  # type: ignore[no-any-return]


def _zip_with(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    def run(rows: Rows, bound: list[BoundLambda], lefts: pl.Series, rights: pl.Series) -> pl.Series:
        left, right = lists.parts(lefts), lists.parts(rights)
        valid = lists.both_valid(left.valid, right.valid)
        lengths = np.maximum(left.lengths, right.lengths)
        if valid is not None:
            lengths = np.where(valid, lengths, 0)
        row = np.repeat(np.arange(len(lengths)), lengths)
        values = bound[0](row, padded(left, lengths), padded(right, lengths))
        return lists.build(values, lengths, valid)

    return with_lambdas(evaluation, args[2:], run, evaluation.compile(args[0]), evaluation.compile(args[1]))


def _null_comparison() -> SparkError:
    return spark_error("COMPARATOR_RETURNS_NULL", ErrorKind.RUNTIME, firstValue="?", secondValue="?")


def _array_sort(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    array = evaluation.compile(args[0])
    if len(args) == 1:
        return array.list.sort(nulls_last=True)

    def run(rows: Rows, bound: list[BoundLambda], arrays: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        # Every pair is compared once for the whole batch; an element's place is the number of those before it.
        counts = np.repeat(taken.lengths, taken.lengths)
        first = np.repeat(np.arange(len(taken.values)), counts)
        second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        second = second + np.repeat(np.repeat(taken.starts, taken.lengths), counts)
        other = first != second
        first, second = first[other], second[other]
        verdict = bound[0](taken.rows[first], lists.take(taken.values, first), lists.take(taken.values, second))
        if verdict.null_count():
            raise _null_comparison()
        sign = verdict.cast(pl.Int64).to_numpy()
        after = (sign > 0) | ((sign == 0) & (second < first))
        rank = np.bincount(first[after], minlength=len(taken.values))
        order = np.lexsort((rank, taken.rows))
        return taken.with_values(lists.take(taken.values, order))

    return with_lambdas(evaluation, args[1:], run, array)


# ---- maps ------------------------------------------------------------------------------------------
def _entries(maps: pl.Series) -> tuple[lists.Lists, pl.Series, pl.Series]:
    taken = lists.parts(maps.map.entries())
    return taken, taken.values.struct.field("key"), taken.values.struct.field("value")


def _over_map(kernel: Callable[[Evaluation, Rows, lists.Lists, pl.Series, pl.Series, pl.Series], pl.Series]) -> Any:
    def body(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
        def run(rows: Rows, bound: list[BoundLambda], maps: pl.Series) -> pl.Series:
            taken, keys, values = _entries(maps)
            result = bound[0](taken.rows, keys, values)
            return kernel(evaluation, rows, taken, keys, values, result)

        return with_lambdas(evaluation, args[1:2], run, evaluation.compile(args[0]))

    return body


def _map_filter(
    evaluation: Evaluation, rows: Rows, taken: lists.Lists, keys: pl.Series, values: pl.Series, result: pl.Series
) -> pl.Series:
    return taken.kept(_flags(result)).list.to_map()


def _transform_keys(
    evaluation: Evaluation, rows: Rows, taken: lists.Lists, keys: pl.Series, values: pl.Series, result: pl.Series
) -> pl.Series:
    return checked_map(evaluation, rows, result, values, taken.lengths, taken.valid)


def _transform_values(
    evaluation: Evaluation, rows: Rows, taken: lists.Lists, keys: pl.Series, values: pl.Series, result: pl.Series
) -> pl.Series:
    return taken.with_values(_pairs(keys, result)).list.to_map()


def _pairs(keys: pl.Series, values: pl.Series) -> pl.Series:
    return pl.DataFrame([keys.alias("key"), values.alias("value")]).to_struct("entry")


def _map_zip_with(evaluation: Evaluation, args: tuple[Expression, ...]) -> pl.Expr:
    def run(rows: Rows, bound: list[BoundLambda], lefts: pl.Series, rights: pl.Series) -> pl.Series:
        left, left_keys, left_values = _entries(lefts)
        right, right_keys, right_values = _entries(rights)
        valid = lists.both_valid(left.valid, right.valid)
        one = pl.DataFrame({"r": left.rows, "k": left_keys, "v1": left_values})
        two = pl.DataFrame({"r": right.rows, "k": right_keys, "v2": right_values})
        keys = pl.concat([one.select("r", "k"), two.select("r", "k")]).unique(maintain_order=True, keep="first")
        if valid is not None:
            keys = keys.filter(pl.Series(valid).gather(keys.get_column("r")))
        keys = keys.sort("r", maintain_order=True)
        joined = keys.join(one, on=["r", "k"], how="left", maintain_order="left")
        joined = joined.join(two, on=["r", "k"], how="left", maintain_order="left")
        row = joined.get_column("r").to_numpy()
        key, first, second = [joined.get_column(n) for n in ("k", "v1", "v2")]
        lengths = np.bincount(row, minlength=len(lefts))
        return lists.build(_pairs(key, bound[0](row, key, first, second)), lengths, valid).list.to_map()

    return with_lambdas(evaluation, args[2:], run, evaluation.compile(args[0]), evaluation.compile(args[1]))


# ---- types -----------------------------------------------------------------------------------------
def _array_variables(args: tuple[Expression, ...], position: int) -> Types:
    return ((element_type(args), contains_null(args[0])), (INTEGER, False))


def _element_variable(args: tuple[Expression, ...], position: int) -> Types:
    return _array_variables(args, position)[:1]


def _aggregate_variables(args: tuple[Expression, ...], position: int) -> Types:
    state = (dtype_of(args[1]), True)
    return (state,) if position == 3 else (state, (element_type(args), contains_null(args[0])))


def _zip_variables(args: tuple[Expression, ...], position: int) -> Types:
    return ((element_type(args), True), (element_type(args, 1), True))


def _sort_variables(args: tuple[Expression, ...], position: int) -> Types:
    return ((element_type(args), contains_null(args[0])), (element_type(args), contains_null(args[0])))


def _map_variables(args: tuple[Expression, ...], position: int) -> Types:
    kind = dtype_of(args[0])
    if not isinstance(kind, MapType):
        return ((NullType(), True), (NullType(), True))
    return ((kind.keyType, False), (kind.valueType, kind.valueContainsNull))


def _map_zip_variables(args: tuple[Expression, ...], position: int) -> Types:
    left, right = [dtype_of(a) for a in args[:2]]
    if not (isinstance(left, MapType) and isinstance(right, MapType)):
        return ((NullType(), True),) * 3
    key = wider_type(left.keyType, right.keyType) or left.keyType
    return ((key, False), (left.valueType, True), (right.valueType, True))


def _map_of(args: tuple[Expression, ...]) -> MapType:
    kind = dtype_of(args[0])
    assert isinstance(kind, MapType)
    return kind


def _quantifier_nullable(args: tuple[Expression, ...]) -> bool:
    return nullable_of(args[0]) or nullable_of(args[1])


def _resolve_predicate(resolution: Any) -> Expression:
    """The lambda must give a boolean."""
    function = resolution.args[1]
    kind = dtype_of(resolution.args[0])
    if not isinstance(kind, ArrayType | MapType):
        raise resolution.unexpected(0, '"MAP"' if resolution.name == "map_filter" else '"ARRAY"')
    if isinstance(function, Lambda) and isinstance(function.dtype, NullType):
        function = Lambda(resolution.cast(function.body, BOOLEAN), function.parameters)
    if not isinstance(dtype_of(function), BooleanType):
        raise resolution.unexpected(1, '"BOOLEAN"')
    return resolution.call((resolution.args[0], function))  # type: ignore[no-any-return]


def _resolve_aggregate(resolution: Any) -> Expression:
    array, zero, merge, *finish = resolution.args
    if not isinstance(dtype_of(array), ArrayType):
        raise resolution.unexpected(0, '"ARRAY"')
    if not same_type(dtype_of(zero), dtype_of(merge)):
        raise resolution.unexpected(2, type_name(dtype_of(zero)))
    dtype = dtype_of(finish[0]) if finish else dtype_of(merge)
    return resolution.call(resolution.args, dtype, True)  # type: ignore[no-any-return]


def _aggregate_name(names: tuple[str, ...]) -> str:
    identity = "lambdafunction(namedlambdavariable(), namedlambdavariable())"
    return f"aggregate({', '.join(names if len(names) > 3 else (*names, identity))})"


def _resolve_map_zip(resolution: Any) -> Expression:
    left, right, function = resolution.args
    kinds = [dtype_of(a) for a in (left, right)]
    if not all(isinstance(k, MapType) for k in kinds):
        raise resolution.unexpected(0 if not isinstance(kinds[0], MapType) else 1, '"MAP"')
    key = resolution.common_type([Literal(None, k.keyType) for k in kinds])  # type: ignore[attr-defined]
    if key is None:
        shown = {"leftType": type_name(kinds[0].keyType), "rightType": type_name(kinds[1].keyType)}  # type: ignore[attr-defined]
        raise resolution.mismatch("MAP_ZIP_WITH_DIFF_TYPES", functionName="`map_zip_with`", **shown)
    args = [
        resolution.cast(a, MapType(key, k.valueType, k.valueContainsNull))  # type: ignore[attr-defined]
        for a, k in zip((left, right), kinds, strict=True)
    ]
    dtype = MapType(key, dtype_of(function), nullable_of(function))
    return resolution.call((*args, function), dtype, nullable_of(left) or nullable_of(right))  # type: ignore[no-any-return]


def _resolve_sort(resolution: Any) -> Expression:
    if len(resolution.args) == 1:
        kind = dtype_of(resolution.args[0])
        if isinstance(kind, NullType):
            raise resolution.unexpected(0, '"ARRAY"')
        if isinstance(kind, ArrayType) and not is_orderable(kind.elementType):
            raise resolution.mismatch("INVALID_ORDERING_TYPE", functionName="`<`", dataType=type_name(kind.elementType))
        return ordered_array(resolution)
    function = resolution.args[1]
    if not same_type(dtype_of(function), INTEGER):
        raise resolution.unexpected(1, '"INT"')
    return resolution.call()  # type: ignore[no-any-return]


_IS_NULL = "(namedlambdavariable() IS NULL)"
_DEFAULT_COMPARATOR = (
    f"lambdafunction((IF(({_IS_NULL} AND {_IS_NULL}), 0, (IF({_IS_NULL}, 1, (IF({_IS_NULL}, -1, "
    "(IF((namedlambdavariable() < namedlambdavariable()), -1, "
    "(IF((namedlambdavariable() > namedlambdavariable()), 1, 0)))))))))), namedlambdavariable(), namedlambdavariable())"
)


def _sort_name(names: tuple[str, ...]) -> str:
    return f"array_sort({', '.join(names if len(names) > 1 else (*names, _DEFAULT_COMPARATOR))})"


_WITH_ARRAY = parameters(("array", ARRAY), ("function", FUNCTION_ARGUMENT))
_WITH_MAP = parameters(("map", MAP), ("function", FUNCTION_ARGUMENT))


def _first_nullable(args: tuple[Expression, ...]) -> bool:
    return nullable_of(args[0])


def _of_array(name: str, result: Any, kernel: Any, nullable: Any, resolve: Any = None) -> Function:
    variables = _array_variables if name in ("transform", "filter") else _element_variable
    return Function(
        (name,), _WITH_ARRAY, result, lazy_body=_elements(kernel), nullable=nullable, lambda_types=variables,
        resolve=resolve,
    )  # fmt: skip


def _of_map(name: str, result: Any, kernel: Any, resolve: Any = None) -> Function:
    return Function(
        (name,), _WITH_MAP, result, lazy_body=_over_map(kernel), nullable=_first_nullable, lambda_types=_map_variables,
        resolve=resolve,
    )  # fmt: skip


def _transformed(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(dtype_of(args[1]), nullable_of(args[1]))


def _zipped(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(dtype_of(args[2]), nullable_of(args[2]))


def _new_keys(args: tuple[Expression, ...]) -> DataType:
    kind = _map_of(args)
    return MapType(dtype_of(args[1]), kind.valueType, kind.valueContainsNull)


def _new_values(args: tuple[Expression, ...]) -> DataType:
    return MapType(_map_of(args).keyType, dtype_of(args[1]), nullable_of(args[1]))


_FOLD = Signature((
    Parameter("expr", ANY), Parameter("start", ANY), Parameter("merge", FUNCTION_ARGUMENT),
    Parameter("finish", FUNCTION_ARGUMENT, optional=True),
))  # fmt: skip

FUNCTIONS: tuple[Function, ...] = (
    _of_array("transform", _transformed, _transform, _first_nullable),
    _of_array("filter", lambda args: dtype_of(args[0]), _filter, _first_nullable, _resolve_predicate),
    _of_array("exists", BOOLEAN, _quantified(True), _quantifier_nullable, _resolve_predicate),
    _of_array("forall", BOOLEAN, _quantified(False), _quantifier_nullable, _resolve_predicate),
    *[
        Function(
            (name,), _FOLD, INTEGER, lazy_body=_aggregate, lambda_types=_aggregate_variables,
            resolve=_resolve_aggregate,
            display=_aggregate_name if name == "aggregate" else lambda names: "reduce" + _aggregate_name(names)[9:],
        )
        for name in ("aggregate", "reduce")
    ],
    Function(
        ("zip_with",), parameters(("left", ARRAY), ("right", ARRAY), ("function", FUNCTION_ARGUMENT)), _zipped,
        lazy_body=_zip_with, nullable=lambda args: any_argument_nullable(args[:2]), lambda_types=_zip_variables,
        resolve=_resolve_zip_with,
    ),
    Function(
        ("array_sort",), Signature((Parameter("array", ARRAY), Parameter("comparator", FUNCTION_ARGUMENT,
            optional=True))),
        lambda args: dtype_of(args[0]), lazy_body=_array_sort, nullable=_first_nullable, lambda_types=_sort_variables,
        resolve=_resolve_sort, display=_sort_name,
    ),
    _of_map("map_filter", lambda args: dtype_of(args[0]), _map_filter, _resolve_predicate),
    _of_map("transform_keys", _new_keys, _transform_keys),
    _of_map("transform_values", _new_values, _transform_values),
    Function(
        ("map_zip_with",), parameters(("map1", ANY), ("map2", ANY), ("function", FUNCTION_ARGUMENT)), INTEGER,
        lazy_body=_map_zip_with, lambda_types=_map_zip_variables, resolve=_resolve_map_zip,
    ),
)  # fmt: skip
