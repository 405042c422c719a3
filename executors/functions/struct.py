"""Structs: making them, reading and replacing their fields."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    Function,
    Parameter,
    Signature,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Call, EvalMode, Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import (
    ArrayType,
    DataType,
    StringType,
    StructField,
    StructType,
    UserDefinedType,
    carrier,
    struct_carrier_names,
)  # fmt: skip


def struct_of(dtype: DataType) -> StructType:
    """A struct type, that beneath a user-defined type too."""
    inner = dtype.sqlType() if isinstance(dtype, UserDefinedType) else dtype
    assert isinstance(inner, StructType)
    return inner


def named_struct_call(values: tuple[Expression, ...], names: tuple[str, ...]) -> Call:
    """A struct of values under names."""
    fields = [StructField(n, dtype_of(v), nullable_of(v)) for n, v in zip(names, values, strict=True)]
    return Call("named_struct", values, StructType(fields), False, EvalMode.ANSI, (("names", names),))


def _named_struct(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
    dtype = carrier(evaluation.call.dtype)
    if not values:
        return pl.lit(pl.Series([{}], dtype=dtype)).first()
    names = struct_carrier_names(struct_of(evaluation.call.dtype))
    return pl.struct([v.alias(n) for v, n in zip(values, names, strict=True)])


def _resolve_struct(resolution: Any) -> Expression:
    own = resolution.field_names
    names = tuple([n if n is not None else f"col{i + 1}" for i, n in enumerate(own)])
    return named_struct_call(resolution.args, names)


def _resolve_named_struct(resolution: Any) -> Expression:
    args = resolution.args
    if len(args) % 2:
        raise resolution.error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", functionName="`named_struct`", expectedNum="2n (n > 0)",
            actualNum=len(args), docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    keys = args[::2]
    bad = [
        f'"{resolution.names[2 * i]}"' for i, k in enumerate(keys)
        if not (isinstance(k, Literal) and isinstance(k.dtype, StringType) and k.value is not None)
    ]  # fmt: skip
    if bad:
        raise resolution.mismatch("CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING", inputExprs=f"[{', '.join(bad)}]")
    return named_struct_call(args[1::2], tuple([k.value for k in keys]))


def _get_field(evaluation: Evaluation, struct: pl.Expr) -> pl.Expr:
    names = struct_carrier_names(struct_of(dtype_of(evaluation.call.args[0])))
    return struct.struct.field(names[evaluation.call.option("field")])


def _get_array_struct_fields(evaluation: Evaluation, array: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[0])
    assert isinstance(kind, ArrayType)
    name = struct_carrier_names(struct_of(kind.elementType))[evaluation.call.option("field")]

    def read(rows: Rows, arrays: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        return taken.with_values(taken.values.struct.field(name))

    return evaluation.columnwise(read, array)


def _update_fields(evaluation: Evaluation, struct: pl.Expr, *values: pl.Expr) -> pl.Expr:
    """Option "fields" says of each field of the result which field of the struct (>= 0) or value (-1 - n) it is."""
    source = struct_carrier_names(struct_of(dtype_of(evaluation.call.args[0])))
    target = struct_carrier_names(struct_of(evaluation.call.dtype))
    chosen = evaluation.call.option("fields")
    fields = [
        (struct.struct.field(source[c]) if c >= 0 else values[-1 - c]).alias(n)
        for c, n in zip(chosen, target, strict=True)
    ]
    whole = pl.struct(fields)
    return pl.when(struct.is_not_null()).then(whole) if nullable_of(evaluation.call.args[0]) else whole


_MANY = Signature((Parameter("values", ANY),), repeated=1, minimum=0)
_INNER = StructType([])

FUNCTIONS: tuple[Function, ...] = (
    Function(("named_struct",), _MANY, _INNER, _named_struct, nullable=never_nullable, resolve=_resolve_named_struct),
    Function(("struct",), _MANY, _INNER, _named_struct, nullable=never_nullable, resolve=_resolve_struct),
    Function(("get_field",), parameters(("struct", ANY)), _INNER, _get_field, nullable=always_nullable, internal=True),
    Function(
        ("get_array_struct_fields",), parameters(("array", ANY)), _INNER, _get_array_struct_fields,
        nullable=always_nullable, internal=True,
    ),
    Function(("update_fields",), _MANY, _INNER, _update_fields, nullable=always_nullable, internal=True),
)  # fmt: skip
