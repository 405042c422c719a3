"""Arrays made from others: joined, cut, padded, zipped, reversed, counted out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.array import INT_INPUT, element_type_of, index_of_zero
from voltray.executors.functions.array_types import (
    ARRAY,
    array_and_value,
    common_without_strings,
    contains_null,
    element_type,
    null_if_void,
    same_as,
)  # fmt: skip
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    any_argument_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    INTEGER,
    LONG,
    ArrayType,
    DataType,
    IntegralType,
    NullType,
    StructField,
    StructType,
    carrier,
    type_name,
)  # fmt: skip

MAX_ARRAY_LENGTH = 2_147_483_632


def _too_long(function: str, parameter: str) -> Any:
    def error(count: int) -> SparkError:
        return spark_error(
            "COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER", ErrorKind.RUNTIME, numberOfElements=count,
            functionName=f"`{function}`", maxRoundedArrayLength=MAX_ARRAY_LENGTH, parameter=f"`{parameter}`",
        )  # fmt: skip

    return error


@null_if_void
def _array_repeat(evaluation: Evaluation, element: pl.Expr, count: pl.Expr) -> pl.Expr:
    def repeat(rows: Rows, elements: pl.Series, counts: pl.Series) -> pl.Series:
        rows.refuse(counts > MAX_ARRAY_LENGTH, _too_long("array_repeat", "count"), counts)
        lengths = np.maximum(counts.fill_null(0).cast(pl.Int64).to_numpy(), 0)
        values = lists.take(elements, np.repeat(np.arange(len(elements)), lengths))
        return lists.build(values, lengths, lists.valid_of(counts))

    return evaluation.columnwise(repeat, element, count)


def _resolve_repeat(resolution: Any) -> Expression:
    element, count = resolution.args[0], resolution.coerce(1, INTEGER)
    dtype = ArrayType(dtype_of(element), nullable_of(element))
    return resolution.call((element, count), dtype, nullable_of(count))  # type: ignore[no-any-return]


@null_if_void
def _array_insert(evaluation: Evaluation, array: pl.Expr, position: pl.Expr, item: pl.Expr) -> pl.Expr:
    legacy = evaluation.context.conf("spark.sql.legacy.negativeIndexInArrayInsert") == "true"

    def insert(rows: Rows, arrays: pl.Series, places: pl.Series, items: pl.Series) -> pl.Series:
        rows.refuse((places == 0) & arrays.is_not_null(), index_of_zero)
        taken = lists.parts(arrays)
        valid = lists.both_valid(taken.valid, lists.valid_of(places))
        place = places.fill_null(1).cast(pl.Int64).to_numpy()
        size = taken.lengths
        from_end = place < 0
        at = np.where(from_end, size + place + (0 if legacy else 1), place - 1)
        ahead = np.where(at < 0, -at, 0)  # NULLs between the item and the array's first element
        at = np.maximum(at, 0)
        lengths = np.maximum(np.maximum(size + 1 + ahead, at + 1), 1)
        out_rows = np.repeat(np.arange(len(size)), lengths)
        out = np.arange(len(out_rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.where(out < at[out_rows], out, out - 1 - ahead[out_rows])
        inside = (out != at[out_rows]) & (source >= 0) & (source < size[out_rows])
        index = np.where(inside, taken.starts[out_rows] + source, -1)
        item_rows = np.where(out == at[out_rows], out_rows, -1)
        old, new = lists.take(taken.values, index), lists.take(items, item_rows)
        values = new.zip_with(pl.Series(item_rows >= 0), old)
        if valid is not None:
            keep = valid[out_rows]
            values, lengths = values.filter(pl.Series(keep)), np.where(valid, lengths, 0)
        return lists.build(values, lengths, valid)

    return evaluation.columnwise(insert, array, position, item)


def _resolve_insert(resolution: Any) -> Expression:
    array, item = resolution.args[0], resolution.args[2]
    kind = dtype_of(array)
    if not isinstance(kind, ArrayType):
        raise resolution.unexpected(0, '"ARRAY"')
    common = common_without_strings(kind.elementType, dtype_of(item), resolution.ansi)
    if common is None:
        raise resolution.mismatch(
            "ARRAY_FUNCTION_DIFF_TYPES", functionName="`array_insert`", dataType='"ARRAY"', leftType=type_name(kind),
            rightType=type_name(dtype_of(item)),
        )  # fmt: skip
    args = (
        resolution.cast(array, ArrayType(common, kind.containsNull)),
        resolution.coerce(1, INTEGER),
        resolution.cast(item, common),
    )
    return resolution.call(args, ArrayType(common, True), nullable_of(args[0]) or nullable_of(args[1]))  # type: ignore[no-any-return]


@null_if_void
def _append(evaluation: Evaluation, array: pl.Expr, item: pl.Expr) -> pl.Expr:
    first = evaluation.call.name == "array_prepend"

    def add(rows: Rows, arrays: pl.Series, items: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        valid = taken.valid if taken.valid is not None else np.ones(len(arrays), dtype=bool)
        lengths = np.where(valid, taken.lengths + 1, 0)
        starts = np.cumsum(lengths) - lengths
        shift = 1 if first else 0
        order = np.empty(int(lengths.sum()), dtype=np.int64)
        order[np.repeat(starts, taken.lengths) + taken.positions + shift] = np.arange(len(taken.values))
        at = starts[valid] + (0 if first else taken.lengths[valid])
        order[at] = len(taken.values) + np.flatnonzero(valid)
        both = pl.concat([taken.values, items], rechunk=True)
        return lists.build(lists.take(both, order), lengths, taken.valid)

    return evaluation.columnwise(add, array, item)


def _appended_type(args: tuple[Expression, ...]) -> DataType:
    return ArrayType(element_type(args), contains_null(args[0]) or nullable_of(args[1]))


@null_if_void
def _array_compact(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    return array.list.drop_nulls()


def _slice_error(condition: str, **parameters: object) -> Any:
    def error(*cells: object) -> SparkError:
        shown = {k: str(cells[0]) if v is None else str(v) for k, v in parameters.items()}
        return spark_error(condition, ErrorKind.RUNTIME, functionName="`slice`", extra=shown)

    return error


@null_if_void
def _slice(evaluation: Evaluation, array: pl.Expr, start: pl.Expr, length: pl.Expr) -> pl.Expr:
    known = array.is_not_null() & start.is_not_null() & length.is_not_null()
    first = start.cast(pl.Int64)
    size = array.list.len().cast(pl.Int64)
    offset = pl.when(first > 0).then(first - 1).otherwise(size + first)
    zero = _slice_error("INVALID_PARAMETER_VALUE.START", parameter="`start`")
    negative = _slice_error("INVALID_PARAMETER_VALUE.LENGTH", parameter="`length`", length=None)
    offset = evaluation.checked(offset, known & (first == 0), zero)
    offset = evaluation.checked(offset, known & (length < 0), negative, length)
    taken = pl.when(offset >= 0).then(length.clip(0)).otherwise(0)
    return pl.when(known).then(array.list.slice(offset.clip(0), taken))


@null_if_void
def _flatten(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    def flatten(rows: Rows, arrays: pl.Series) -> pl.Series:
        outer = lists.parts(arrays)
        inner = lists.parts(outer.values)
        lengths = np.zeros(len(arrays), dtype=np.int64)
        np.add.at(lengths, outer.rows, inner.lengths)
        valid = outer.valid
        if inner.valid is not None:
            holed = np.zeros(len(arrays), dtype=bool)
            holed[outer.rows[~inner.valid]] = True
            valid = lists.both_valid(valid, ~holed)
            keep = ~holed[np.repeat(outer.rows, inner.lengths)]
            return lists.build(inner.values.filter(pl.Series(keep)), np.where(holed, 0, lengths), valid)
        return lists.build(inner.values, lengths, valid)

    return evaluation.columnwise(flatten, array)


def _resolve_flatten(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    if isinstance(kind, NullType):
        return resolution.call(dtype=NullType())  # type: ignore[no-any-return]
    if not isinstance(kind, ArrayType) or not isinstance(kind.elementType, ArrayType):
        raise resolution.unexpected(0, '"ARRAY" of "ARRAY"')
    nullable = nullable_of(resolution.args[0]) or kind.containsNull
    return resolution.call(resolution.args, kind.elementType, nullable)  # type: ignore[no-any-return]


# ---- zip and shuffle -------------------------------------------------------------------------------
def _arrays_zip(evaluation: Evaluation, *arrays: pl.Expr) -> pl.Expr:
    dtype = carrier(evaluation.call.dtype)
    if any(isinstance(dtype_of(a), NullType) for a in evaluation.call.args):
        return pl.lit(None, dtype=dtype)
    if not arrays:
        return pl.lit(pl.Series([[]], dtype=dtype)).first()
    names = [f.name for f in dtype.inner.fields]  # type: ignore[attr-defined]

    def zip_columns(rows: Rows, *columns: pl.Series) -> pl.Series:
        taken = [lists.parts(c) for c in columns]
        valid = lists.both_valid(*[t.valid for t in taken])
        lengths = np.maximum.reduce([t.lengths for t in taken])
        if valid is not None:
            lengths = np.where(valid, lengths, 0)
        fields = [padded(t, lengths).alias(n) for t, n in zip(taken, names, strict=True)]
        return lists.build(pl.DataFrame(fields).to_struct("zipped"), lengths, valid)

    return evaluation.columnwise(zip_columns, *arrays)


def padded(taken: lists.Lists, lengths: np.ndarray) -> pl.Series:
    """The elements of lists made as long as ``lengths`` (longer ones cut), NULL where there are none."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    at = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return lists.take(taken.values, np.where(at < taken.lengths[rows], taken.starts[rows] + at, -1))


def _resolve_zip(resolution: Any) -> Expression:
    fields = []
    for position, (argument, name) in enumerate(zip(resolution.args, resolution.field_names, strict=True)):
        kind = dtype_of(argument)
        if not isinstance(kind, ArrayType | NullType):
            raise resolution.unexpected(position, '"ARRAY"')
        named = argument if not isinstance(argument, Literal) else None
        shown = name if name is not None and named is not None else str(position)
        fields.append(StructField(shown, kind.elementType if isinstance(kind, ArrayType) else NullType(), True))
    return resolution.call(resolution.args, ArrayType(StructType(fields), False))  # type: ignore[no-any-return]


@null_if_void
def _shuffle(evaluation: Evaluation, array: pl.Expr, *seed: pl.Expr) -> pl.Expr:
    last = evaluation.call.args[1] if len(evaluation.call.args) > 1 else None
    given = last.value if isinstance(last, Literal) else None

    def shuffle(rows: Rows, arrays: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        if given is None:
            order = np.lexsort((np.random.default_rng().random(len(taken.values)), taken.rows))
            return taken.with_values(lists.take(taken.values, order))
        draw = _mersenne_twister(int(given) + evaluation.context.partition_id)
        orders = [_shuffled(int(size), draw) + start for size, start in zip(taken.lengths, taken.starts, strict=True)]
        return taken.with_values(lists.take(taken.values, np.concatenate(orders) if orders else np.empty(0, np.int64)))

    return evaluation.columnwise(shuffle, array)


def _mersenne_twister(seed: int) -> Callable[[], int]:
    """31 random bits at a time from the generator that Spark seeds, so that a seed gives Spark's order."""
    words = [seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF]
    generator = np.random.RandomState(np.array(words, dtype=np.uint32))._bit_generator
    return lambda: int(generator.random_raw()) >> 1


def _below(bound: int, draw: Callable[[], int]) -> int:
    if bound & (bound - 1) == 0:
        return bound * draw() >> 31
    while True:
        bits = draw()
        if bits - bits % bound + bound - 1 < 1 << 31:
            return bits % bound


def _shuffled(size: int, draw: Callable[[], int]) -> np.ndarray:
    order = np.zeros(size, dtype=np.int64)
    for place in range(size):
        chosen = _below(place + 1, draw)
        order[place] = order[chosen]
        order[chosen] = place
    return order


_VALUE_PAIR = parameters(("array", Accept()), ("element", Accept()))
_MANY = Signature((Parameter("columns", ANY),), repeated=1, minimum=0)

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("array_repeat",), parameters(("element", ANY), ("count", INT_INPUT)), same_as(), _array_repeat,
        resolve=_resolve_repeat,
    ),
    Function(
        ("array_insert",), parameters(("array", ANY), ("pos", ANY), ("item", ANY)), same_as(), _array_insert,
        resolve=_resolve_insert,
    ),
    Function(
        ("array_append",), _VALUE_PAIR, _appended_type, _append, nullable=lambda args: nullable_of(args[0]),
        resolve=array_and_value(),
    ),
    Function(
        ("array_prepend",), _VALUE_PAIR, _appended_type, _append, nullable=lambda args: nullable_of(args[0]),
        resolve=array_and_value(),
    ),
    Function(
        ("array_compact",), parameters(("array", ARRAY)), lambda args: ArrayType(element_type(args), False),
        _array_compact,
    ),
    Function(
        ("slice",), parameters(("array", ARRAY), ("start", INT_INPUT), ("length", INT_INPUT)), same_as(), _slice
    ),
    Function(("flatten",), parameters(("array", ANY)), same_as(), _flatten, resolve=_resolve_flatten),
    Function(("arrays_zip",), _MANY, same_as(), _arrays_zip, nullable=any_argument_nullable, resolve=_resolve_zip),
    Function(
        ("shuffle",), parameters(("array", ARRAY), Parameter("seed", Accept((IntegralType,), (LONG,)), optional=True)),
        same_as(), _shuffle, nullable=lambda args: nullable_of(args[0]), deterministic=False,
        display=lambda names: f"shuffle({names[0]})",
        notes="With a seed the order is drawn row by row, as Spark draws it.",
    ),
)  # fmt: skip

__all__ = ["FUNCTIONS", "MAX_ARRAY_LENGTH", "element_type_of", "never_nullable", "padded"]
