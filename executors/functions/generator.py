"""Generators: their bodies give a list of structs, one struct a row to come, one field an output column."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.array_types import ARRAY_OR_MAP
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    FunctionKind,
    Parameter,
    Signature,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import (
    INTEGER,
    ArrayType,
    DataType,
    IntegralType,
    MapType,
    NullType,
    StructField,
    StructType,
    carrier,
    struct_carrier_names,
    type_name,
)  # fmt: skip

_POSITION = StructField("pos", INTEGER, False)


def _rows_of(fields: list[StructField]) -> DataType:
    return ArrayType(StructType(fields), False)


def _exploded_fields(args: tuple[Expression, ...]) -> list[StructField]:
    kind = dtype_of(args[0])
    if isinstance(kind, MapType):
        value = StructField("value", kind.valueType, kind.valueContainsNull)
        return [StructField("key", kind.keyType, False), value]
    if isinstance(kind, ArrayType):
        return [StructField("col", kind.elementType, kind.containsNull)]
    return [StructField("col", NullType(), True)]


def _explode_type(args: tuple[Expression, ...]) -> DataType:
    return _rows_of(_exploded_fields(args))


def _posexplode_type(args: tuple[Expression, ...]) -> DataType:
    return _rows_of([_POSITION, *_exploded_fields(args)])


def _exploder(with_position: bool) -> Any:
    def body(evaluation: Evaluation, collection: pl.Expr) -> pl.Expr:
        kind = dtype_of(evaluation.call.args[0])
        if isinstance(kind, NullType):
            return pl.lit(None, dtype=carrier(evaluation.call.dtype))
        is_map = isinstance(kind, MapType)
        if is_map and not with_position:
            return collection.map.entries()

        if isinstance(kind, MapType) and isinstance(kind.keyType, NullType):  # only the empty map has no type of key
            nothing = pl.Series([[]], dtype=carrier(evaluation.call.dtype))
            return pl.when(collection.is_not_null()).then(pl.lit(nothing).first())

        def explode(rows: Rows, columns: pl.Series) -> pl.Series:
            taken = lists.parts(columns.map.entries() if is_map else columns)
            fields = [taken.values.struct.field(n) for n in ("key", "value")] if is_map else [taken.values.alias("col")]
            if with_position:
                fields.insert(0, pl.Series("pos", taken.positions).cast(pl.Int32))
            return taken.with_values(pl.DataFrame(fields).to_struct("row"))

        return evaluation.columnwise(explode, collection)

    return body


# ---- inline ----------------------------------------------------------------------------------------
def _inline(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    def inline(rows: Rows, arrays: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        return taken.with_values(taken.values.struct.unnest().to_struct("row"))

    return evaluation.columnwise(inline, array)


def _resolve_inline(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    if not isinstance(kind, ArrayType) or not isinstance(kind.elementType, StructType):
        raise resolution.unexpected(0, '"ARRAY<STRUCT>"')
    fields = [StructField(f.name, f.dataType, f.nullable or kind.containsNull) for f in kind.elementType.fields]
    return resolution.call(resolution.args, _rows_of(fields), nullable_of(resolution.args[0]))  # type: ignore[no-any-return]


# ---- stack -----------------------------------------------------------------------------------------
def _stack(evaluation: Evaluation, count: pl.Expr, *values: pl.Expr) -> pl.Expr:
    dtype = evaluation.call.dtype
    assert isinstance(dtype, ArrayType) and isinstance(dtype.elementType, StructType)
    names = struct_carrier_names(dtype.elementType)
    kinds = [carrier(f.dataType) for f in dtype.elementType.fields]
    width = len(names)
    height = evaluation.call.args[0].value  # type: ignore[attr-defined]

    def stack(rows: Rows, *columns: pl.Series) -> pl.Series:
        many = len(columns[0])
        order = np.arange(many * height).reshape(height, many).T.ravel()
        fields = []
        for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            cells = [columns[i] for i in range(at, height * width, width) if i < len(columns)]
            full = [c.cast(kind) for c in cells]
            full += [pl.Series([None], dtype=kind).new_from_index(0, many)] * (height - len(cells))
            fields.append(lists.take(pl.concat(full, rechunk=True), order).alias(name))
        return lists.build(pl.DataFrame(fields).to_struct("row"), np.full(many, height), None)

    return evaluation.columnwise(stack, *values)


def _resolve_stack(resolution: Any) -> Expression:
    args = resolution.args
    count, values = args[0], args[1:]
    if len(args) < 2:
        raise resolution.error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", functionName="`stack`", expectedNum="> 1", actualNum=len(args),
            docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    if not (isinstance(count, Literal) and isinstance(count.dtype, IntegralType)):
        raise resolution.mismatch(
            "NON_FOLDABLE_INPUT", inputName="`n`", inputType='"INT"', inputExpr=f'"{resolution.names[0]}"'
        )
    if count.value is None or count.value <= 0:
        raise resolution.mismatch(
            "VALUE_OUT_OF_RANGE", exprName="`n`", valueRange="(0, 2147483647]", currentValue=count.value
        )
    height = count.value
    width = -(-len(values) // height)
    fields, cast = [], list(values)
    for at in range(width):
        cells = list(range(at, len(values), width))
        kind = dtype_of(values[cells[0]])
        for cell in cells:
            other = dtype_of(values[cell])
            if isinstance(kind, NullType):
                kind = other
            elif not isinstance(other, NullType) and other != kind:
                raise resolution.mismatch(
                    "STACK_COLUMN_DIFF_TYPES", columnIndex=at, leftParamIndex=cells[0] + 1, leftType=type_name(kind),
                    rightParamIndex=cell + 1, rightType=type_name(other),
                )  # fmt: skip
        for cell in cells:
            cast[cell] = resolution.cast(values[cell], kind)
        fields.append(StructField(f"col{at}", kind, True))
    return resolution.call((count, *cast), _rows_of(fields), False)  # type: ignore[no-any-return]


def _collection_generators() -> list[Function]:
    signature = parameters(("collection", ARRAY_OR_MAP))
    return [
        Function((title,), signature, kind, _exploder(position), kind=FunctionKind.GENERATOR)
        for name, kind, position in (("explode", _explode_type, False), ("posexplode", _posexplode_type, True))
        for title in (name, f"{name}_outer")
    ]


_EMPTY = _rows_of([])
_STACKED = Signature((Parameter("n", ANY), Parameter("expr", Accept(), optional=True)), repeated=1, minimum=2)

FUNCTIONS: tuple[Function, ...] = (
    *_collection_generators(),
    *[
        Function(
            (name,), parameters(("input", ANY)), _EMPTY, _inline, kind=FunctionKind.GENERATOR, resolve=_resolve_inline
        )
        for name in ("inline", "inline_outer")
    ],
    Function(
        ("stack",), _STACKED, _EMPTY, _stack, kind=FunctionKind.GENERATOR, resolve=_resolve_stack,
        nullable=never_nullable,
    ),
)  # fmt: skip
