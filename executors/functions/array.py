"""Arrays: making, looking into, searching, ordering and set operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.array_types import (
    ARRAY,
    ARRAY_OR_MAP,
    array_and_value,
    contains_null,
    element_type,
    null_if_void,
    ordered_array,
    same_as,
    two_arrays,
)  # fmt: skip
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    any_argument_nullable,
    common,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.coercion import implicit_cast
from voltray.proto.expressions import EvalMode, Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BOOLEAN,
    INTEGER,
    LONG,
    STRING,
    ArrayType,
    DataType,
    FractionalType,
    IntegralType,
    MapType,
    NullType,
    carrier,
)  # fmt: skip

INT_INPUT = accepts_type(INTEGER)


# ---- making and size -------------------------------------------------------------------------------
def _array(evaluation: Evaluation, *elements: pl.Expr) -> pl.Expr:
    dtype = carrier(evaluation.call.dtype)
    if not elements:
        return pl.lit([], dtype=dtype) if dtype != pl.List(pl.Null) else pl.lit(pl.Series([[]], dtype=dtype)).first()
    inner = carrier(element_type_of(evaluation.call.dtype))

    def interleave(rows: Rows, *columns: pl.Series) -> pl.Series:
        count, width = len(columns[0]), len(columns)
        stacked = pl.concat([c if c.dtype == inner else c.cast(inner) for c in columns], rechunk=True)
        order = np.arange(count * width).reshape(width, count).T.ravel()
        values = stacked.gather(pl.Series(order, dtype=pl.UInt32)) if width > 1 else stacked
        return lists.build(values, np.full(count, width), None)

    return evaluation.columnwise(interleave, *elements)


def element_type_of(dtype: DataType) -> DataType:
    """The element type of an array type."""
    assert isinstance(dtype, ArrayType)
    return dtype.elementType


def _array_type(args: tuple[Expression, ...]) -> DataType:
    if not args:
        return ArrayType(NullType(), False)
    return ArrayType(dtype_of(args[0]), any(nullable_of(a) for a in args))


@null_if_void
def _size(evaluation: Evaluation, collection: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[0])
    count = collection.map.len() if isinstance(kind, MapType) else collection.list.len()
    return count.cast(pl.Int32)


# ---- elements --------------------------------------------------------------------------------------
def _index_error(condition: str) -> Callable[[int, int], SparkError]:
    def error(index: int, size: int) -> SparkError:
        return spark_error(condition, ErrorKind.ARRAY_INDEX, indexValue=index, arraySize=size)

    return error


def index_of_zero() -> SparkError:
    """INVALID_INDEX_OF_ZERO: SQL's array positions start at 1."""
    return spark_error("INVALID_INDEX_OF_ZERO", ErrorKind.RUNTIME)


@null_if_void
def _get(evaluation: Evaluation, array: pl.Expr, index: pl.Expr) -> pl.Expr:
    position = index.cast(pl.Int64)
    return array.list.get(pl.when(position >= 0).then(position), null_on_oob=True)


@null_if_void
def _get_array_item(evaluation: Evaluation, array: pl.Expr, index: pl.Expr) -> pl.Expr:
    value = _get(evaluation, array, index)
    if evaluation.call.mode is not EvalMode.ANSI:
        return value
    size = array.list.len().cast(pl.Int64)
    bad = (index < 0) | (index.cast(pl.Int64) >= size)
    return evaluation.checked(value, bad, _index_error("INVALID_ARRAY_INDEX"), index, size)


@null_if_void
def _element_at(evaluation: Evaluation, collection: pl.Expr, key: pl.Expr) -> pl.Expr:
    if isinstance(dtype_of(evaluation.call.args[0]), MapType):
        return collection.map.get(key)
    position = key.cast(pl.Int64)
    offset = pl.when(position > 0).then(position - 1).when(position < 0).then(position)
    value = collection.list.get(offset, null_on_oob=True)
    value = evaluation.checked(value, (position == 0) & collection.is_not_null(), index_of_zero)
    if evaluation.call.mode is not EvalMode.ANSI or evaluation.call.name.startswith("try_"):
        return value
    size = collection.list.len().cast(pl.Int64)
    error = _index_error("INVALID_ARRAY_INDEX_IN_ELEMENT_AT")
    return evaluation.checked(value, position.abs() > size, error, key, size)


def _resolve_element_at(resolution: Any) -> Expression:
    collection, key = resolution.args
    kind = dtype_of(collection)
    if isinstance(kind, ArrayType):
        if not isinstance(dtype_of(key), IntegralType):
            key = resolution.coerce(1, INTEGER)
        return resolution.call((collection, key), kind.elementType, True)  # type: ignore[no-any-return]
    if isinstance(kind, MapType):
        if isinstance(dtype_of(key), NullType):
            raise resolution.mismatch("NULL_TYPE", functionName=f"`{resolution.name}`")
        target = implicit_cast(dtype_of(key), kind.keyType, resolution.ansi)
        if target is None:
            raise resolution.mismatch(
                "MAP_FUNCTION_DIFF_TYPES", functionName=f"`{resolution.name}`", dataType='"MAP"',
                leftType=f'"{kind.simpleString().upper()}"', rightType=f'"{dtype_of(key).simpleString().upper()}"',
            )  # fmt: skip
        return resolution.call((collection, resolution.cast(key, target)), kind.valueType, True)  # type: ignore[no-any-return]
    raise resolution.unexpected(0, '("ARRAY" or "MAP")')


# ---- searching -------------------------------------------------------------------------------------
def _null_elements(array: pl.Expr) -> pl.Expr:
    return array.list.drop_nulls().list.len() < array.list.len()


@null_if_void
def _array_contains(evaluation: Evaluation, array: pl.Expr, value: pl.Expr) -> pl.Expr:
    def search(rows: Rows, arrays: pl.Series, wanted: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        found = np.zeros(len(arrays), dtype=bool)
        found[taken.rows[_matches(taken, wanted)]] = True
        return pl.Series(found)

    found = evaluation.columnwise(search, array, value, dtype=pl.Boolean())
    known = array.is_not_null() & value.is_not_null()
    if contains_null(evaluation.call.args[0]):
        known = known & (found | ~_null_elements(array))
    return pl.when(known).then(found)


def _matches(taken: lists.Lists, wanted: pl.Series) -> np.ndarray:
    """Elements equal to their row's value; NULL equals nothing."""
    repeated = lists.take(wanted, taken.rows)
    return (taken.values == repeated).fill_null(False).to_numpy()


@null_if_void
def _array_position(evaluation: Evaluation, array: pl.Expr, value: pl.Expr) -> pl.Expr:
    def search(rows: Rows, arrays: pl.Series, wanted: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        at = np.flatnonzero(_matches(taken, wanted))
        places = np.zeros(len(arrays), dtype=np.int64)
        first_rows, first = np.unique(taken.rows[at], return_index=True)
        places[first_rows] = taken.positions[at[first]] + 1
        known = arrays.is_not_null() & wanted.is_not_null()
        return pl.Series(places).zip_with(known, pl.Series([None], dtype=pl.Int64))

    return evaluation.columnwise(search, array, value)


@null_if_void
def _array_remove(evaluation: Evaluation, array: pl.Expr, value: pl.Expr) -> pl.Expr:
    def remove(rows: Rows, arrays: pl.Series, unwanted: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        kept = taken.kept(~_matches(taken, unwanted))
        return kept.zip_with(unwanted.is_not_null(), pl.Series([None], dtype=kept.dtype))

    return evaluation.columnwise(remove, array, value)


# ---- order -----------------------------------------------------------------------------------------
@null_if_void
def _array_min(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    return array.list.sort(nulls_last=True).list.first()


@null_if_void
def _array_max(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    return array.list.sort(descending=True, nulls_last=True).list.first()


@null_if_void
def _sort_array(evaluation: Evaluation, array: pl.Expr, ascending: pl.Expr) -> pl.Expr:
    up, down = array.list.sort(), array.list.sort(descending=True, nulls_last=True)
    flag = evaluation.call.args[1]
    if isinstance(flag, Literal):
        return up if flag.value else down
    return pl.when(ascending).then(up).otherwise(down)


# ---- sets ------------------------------------------------------------------------------------------
@null_if_void
def _array_distinct(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    return array.list.unique(maintain_order=True)


@null_if_void
def _array_union(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return pl.concat_list(left, right).list.unique(maintain_order=True)


def _set_operation(how: Any) -> Any:
    """Distinct elements of the left array that are (semi) or are not (anti) in the right one."""

    @null_if_void
    def body(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
        def run(rows: Rows, lefts: pl.Series, rights: pl.Series) -> pl.Series:
            here, there = [lists.parts(s) for s in (lefts, rights)]
            frame = pl.DataFrame({"r": here.rows, "v": here.values}).unique(
                ["r", "v"], maintain_order=True, keep="first"
            )
            other = pl.DataFrame({"r": there.rows, "v": there.values})
            kept = frame.join(other, on=["r", "v"], how=how, nulls_equal=True, maintain_order="left")
            lengths = np.bincount(kept.get_column("r").to_numpy(), minlength=len(lefts))
            return lists.build(kept.get_column("v"), lengths, lists.both_valid(here.valid, there.valid))

        return evaluation.columnwise(run, left, right)

    return body


@null_if_void
def _arrays_overlap(evaluation: Evaluation, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    def run(rows: Rows, lefts: pl.Series, rights: pl.Series) -> pl.Series:
        here, there = [lists.parts(s) for s in (lefts, rights)]
        frame = pl.DataFrame({"r": here.rows, "v": here.values}).filter(pl.col("v").is_not_null())
        other = pl.DataFrame({"r": there.rows, "v": there.values}).filter(pl.col("v").is_not_null())
        common_rows = frame.join(other, on=["r", "v"], how="semi").get_column("r").to_numpy()
        found = np.zeros(len(lefts), dtype=bool)
        found[common_rows] = True
        return pl.Series(found)

    found = evaluation.columnwise(run, left, right, dtype=pl.Boolean())
    full = (left.list.len() > 0) & (right.list.len() > 0)
    unsure = full & (_null_elements(left) | _null_elements(right)) & ~found
    known = left.is_not_null() & right.is_not_null() & ~unsure
    return pl.when(known).then(found)


# ---- text ------------------------------------------------------------------------------------------
@null_if_void
def _array_join(evaluation: Evaluation, array: pl.Expr, delimiter: pl.Expr, *replacement: pl.Expr) -> pl.Expr:
    if not replacement:
        return array.list.join(delimiter, ignore_nulls=True)

    def join(rows: Rows, arrays: pl.Series, delimiters: pl.Series, words: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        filled = taken.with_values(taken.values.fill_null(lists.take(words, taken.rows)))
        joined = pl.select(pl.lit(filled).list.join(pl.lit(delimiters), ignore_nulls=True)).to_series()
        return joined.zip_with(words.is_not_null(), pl.Series([None], dtype=pl.String))

    return evaluation.columnwise(join, array, delimiter, replacement[0])


def _resolve_array_join(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    if not isinstance(kind, ArrayType):
        if not isinstance(kind, NullType):
            raise resolution.unexpected(0, '"ARRAY<STRING>"')
        array = resolution.cast(resolution.args[0], ArrayType(STRING))
    else:
        target = implicit_cast(kind.elementType, STRING, resolution.ansi)
        if target is None:
            raise resolution.unexpected(0, '"ARRAY<STRING>"')
        array = resolution.cast(resolution.args[0], ArrayType(target, kind.containsNull))
    rest = [resolution.coerce(i, STRING) for i in range(1, len(resolution.args))]
    return resolution.call((array, *rest))  # type: ignore[no-any-return]


# ---- entries ---------------------------------------------------------------------------------------
def _element(args: tuple[Expression, ...]) -> DataType:
    return element_type(args)


def _contains_nullable(args: tuple[Expression, ...]) -> bool:
    return any_argument_nullable(args) or contains_null(args[0])


def _overlap_nullable(args: tuple[Expression, ...]) -> bool:
    return any_argument_nullable(args) or contains_null(args[0]) or contains_null(args[1])


def _union_type(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(element_type(args), contains_null(args[0]) or contains_null(args[1]))


def _intersect_type(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(element_type(args), contains_null(args[0]) and contains_null(args[1]))


_PAIR = parameters(("array", Accept()), ("value", Accept()))
_ARRAYS = parameters(("array1", Accept()), ("array2", Accept()))
_ONE = parameters(("array", ARRAY))
_ELEMENTS = Signature((Parameter("elements", common()),), repeated=1, minimum=0)
_ASCENDING = Parameter("ascendingOrder", Accept((type(BOOLEAN),), (), '"BOOLEAN"'), Literal(True, BOOLEAN))

FUNCTIONS: tuple[Function, ...] = (
    Function(("array",), _ELEMENTS, _array_type, _array, nullable=never_nullable),
    Function(("size", "cardinality"), parameters(("expr", ARRAY_OR_MAP)), INTEGER, _size),
    Function(("array_size",), _ONE, INTEGER, _size),
    Function(
        ("get",), parameters(("array", ARRAY), ("index", INT_INPUT)), _element, _get, nullable=always_nullable
    ),
    Function(
        ("get_array_item",), parameters(("array", ARRAY), ("index", ANY)), _element, _get_array_item,
        nullable=always_nullable, internal=True,
    ),
    Function(("element_at",), _PAIR, _element, _element_at, nullable=always_nullable, resolve=_resolve_element_at),
    Function(("try_element_at",), _PAIR, _element, _element_at, nullable=always_nullable, resolve=_resolve_element_at),
    Function(
        ("array_contains",), _PAIR, BOOLEAN, _array_contains, nullable=_contains_nullable,
        resolve=array_and_value(False)
    ),
    Function(("array_position",), _PAIR, LONG, _array_position, resolve=array_and_value()),
    Function(("array_remove",), _PAIR, same_as(), _array_remove, resolve=array_and_value()),
    Function(("array_min",), _ONE, _element, _array_min, nullable=always_nullable, resolve=ordered_array),
    Function(("array_max",), _ONE, _element, _array_max, nullable=always_nullable, resolve=ordered_array),
    Function(
        ("sort_array",), parameters(("array", ARRAY), _ASCENDING), same_as(), _sort_array, resolve=ordered_array,
        display=lambda names: f"sort_array({', '.join(names if len(names) > 1 else (*names, 'true'))})",
    ),
    Function(("array_distinct",), _ONE, same_as(), _array_distinct),
    Function(("array_union",), _ARRAYS, _union_type, _array_union, resolve=two_arrays),
    Function(("array_intersect",), _ARRAYS, _intersect_type, _set_operation("semi"), resolve=two_arrays),
    Function(("array_except",), _ARRAYS, same_as(), _set_operation("anti"), resolve=two_arrays),
    Function(
        ("arrays_overlap",), _ARRAYS, BOOLEAN, _arrays_overlap, nullable=_overlap_nullable, resolve=two_arrays
    ),
    Function(
        ("array_join",),
        parameters(("array", Accept()), ("delimiter", Accept()), Parameter("nullReplacement", Accept(), optional=True)),
        STRING, _array_join, resolve=_resolve_array_join,
    ),
)  # fmt: skip

__all__ = ["FUNCTIONS", "FractionalType", "INT_INPUT", "element_type_of", "index_of_zero"]
