"""JSON: from_json, to_json, get_json_object and what looks into JSON texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, EvaluationContext, Rows
from voltray.executors.functions.json_path import extract, read_path
from voltray.executors.functions.json_values import MISSING, JsonColumns, Members, compact, parse_json
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    FunctionKind,
    Parameter,
    Signature,
    always_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.schema_arguments import (
    bad_record,
    constant_text,
    given_schema,
    nullable_type,
    options_of,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    INTEGER,
    STRING,
    ArrayType,
    DataType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    VariantType,
    carrier,
    sql_type,
    type_name,
)  # fmt: skip

_NOTE = "JSON texts are parsed one by one, by Python's parser in C; the values become columns field by field."


# ---- from_json -------------------------------------------------------------------------------------
def _from_json(evaluation: Evaluation, text: pl.Expr) -> pl.Expr:
    dtype = evaluation.call.dtype
    options = dict(evaluation.call.option("pairs", ()))
    reader = JsonColumns(options, evaluation.context)
    name = options.get("columnNameOfCorruptRecord", "_corrupt_record")
    strict = options.get("mode", "PERMISSIVE").upper() == "FAILFAST"
    target, corrupt = without_corrupt(dtype, name)

    def run(rows: Rows, texts: pl.Series) -> pl.Series:
        given = texts.is_not_null() & texts.str.contains(r"\S")
        values = [parse_json(t, options) if g else None for t, g in zip(texts.to_list(), given.to_list(), strict=True)]
        roots = [_root(v, dtype) for v in values]
        converted = reader.column([None if r is MISSING else r for r in roots], target)
        broken = np.array([r is MISSING for r in roots], dtype=bool)
        bad = converted.bad | broken
        if strict:
            rows.refuse(pl.Series(bad), lambda: bad_record("[null]"))
        column = converted.column
        if isinstance(target, StructType):  # what cannot be read is a row of NULLs
            kept = column.struct.unnest() if target.fields else pl.DataFrame()
            cells = kept.get_columns()
            if corrupt is not None:
                records = texts.zip_with(pl.Series(bad), pl.Series([None], dtype=pl.String))
                cells.insert(corrupt, records.alias(name))
            whole = pl.DataFrame(cells).to_struct("row") if cells else column
            nulls = ~given | pl.Series([v is None for v in values])
            return whole.zip_with(~nulls, pl.Series([None], dtype=whole.dtype)).cast(carrier(dtype))
        return column

    return evaluation.columnwise(run, text)


def without_corrupt(dtype: DataType, name: str) -> tuple[DataType, int | None]:
    """The schema without its column for malformed records, and where that stands."""
    if not isinstance(dtype, StructType):
        return dtype, None
    places = [i for i, f in enumerate(dtype.fields) if f.name == name and isinstance(f.dataType, StringType)]
    if not places:
        return dtype, None
    return StructType([f for f in dtype.fields if f.name != name]), places[0]


def _root(value: Any, dtype: DataType) -> Any:
    """The root as the schema wants it: one object stands for an array of one."""
    if value is None or value is MISSING:
        return value
    match dtype:
        case ArrayType() if isinstance(dtype.elementType, StructType) and isinstance(value, Members):
            return [value]
        case StructType() | MapType() if not isinstance(value, Members):
            return MISSING
    return value


def _resolve_from_json(resolution: Any) -> Expression:
    if not isinstance(dtype_of(resolution.args[0]), StringType | NullType):
        raise resolution.unexpected(0, '"STRING"')
    text = resolution.coerce(0, STRING)
    options = options_of(resolution, 2)
    dtype = given_schema(resolution, 1, options)
    if not isinstance(dtype, StructType | ArrayType | MapType | VariantType):
        raise resolution.mismatch("INVALID_JSON_SCHEMA", schema=type_name(dtype))
    mode = dict(options).get("mode", "PERMISSIVE").upper()
    if mode == "DROPMALFORMED":
        raise resolution.error("PARSE_MODE_UNSUPPORTED", funcName="`from_json`", mode=mode)
    return resolution.call((text,), nullable_type(dtype), True, (("pairs", options),))  # type: ignore[no-any-return]


# ---- to_json ---------------------------------------------------------------------------------------
def _to_json(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.rendering import json_value

    kind = dtype_of(evaluation.call.args[0])
    pairs = dict(evaluation.call.option("pairs", ()))
    shown = json_value(value, kind, Options(pairs.items()), evaluation.context)
    if pairs.get("pretty", "").lower() != "true":
        return shown

    def prettify(rows: Rows, texts: pl.Series) -> pl.Series:
        return pl.Series(
            [None if t is None else _pretty(parse_json(t, {}), "") for t in texts.to_list()], dtype=pl.String
        )

    return evaluation.columnwise(prettify, shown)


def _pretty(value: Any, indent: str) -> str:
    """Jackson's default pretty printer: objects over lines, arrays on one."""
    inner = indent + "  "
    if isinstance(value, Members):
        if not value:
            return "{ }"
        members = [f"{inner}{compact(k)} : {_pretty(v, inner)}" for k, v in value]
        return "{\n" + ",\n".join(members) + f"\n{indent}" + "}"
    if type(value) is list:
        return "[ " + ", ".join([_pretty(v, indent) for v in value]) + " ]" if value else "[ ]"
    return compact(value)


def _resolve_to_json(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    if not isinstance(kind, StructType | ArrayType | MapType | VariantType):
        raise resolution.mismatch("INVALID_JSON_SCHEMA", schema=type_name(kind))
    return resolution.call(resolution.args[:1], STRING, True, (("pairs", options_of(resolution, 1)),))  # type: ignore[no-any-return]


# ---- looking into texts ----------------------------------------------------------------------------
def _each(function: Callable[..., Any], dtype: pl.DataType) -> Any:
    def body(evaluation: Evaluation, *columns: pl.Expr) -> pl.Expr:
        def run(rows: Rows, *series: pl.Series) -> pl.Series:
            return by_unique_rows(list(series), function, dtype)

        return evaluation.columnwise(run, *columns, dtype=dtype)

    return body


def _get_json_object(text: str, path: str) -> str | None:
    steps = read_path(path)
    if steps is None:
        return None
    value = parse_json(text, {})
    return None if value is MISSING else extract(value, steps)


def _array_length(text: str) -> int | None:
    value = parse_json(text, {})
    return len(value) if type(value) is list else None


def _object_keys(text: str) -> list[str] | None:
    value = parse_json(text, {})
    return [name for name, _ in value] if isinstance(value, Members) else None


def _json_tuple(evaluation: Evaluation, text: pl.Expr, *names: pl.Expr) -> pl.Expr:
    dtype = carrier(evaluation.call.dtype)
    labels = [f.name for f in dtype.inner.fields]  # type: ignore[attr-defined]

    def run(rows: Rows, texts: pl.Series, *fields: pl.Series) -> pl.Series:
        values = [None if t is None else parse_json(t, {}) for t in texts.to_list()]
        held = [dict(v) if isinstance(v, Members) else {} for v in values]
        columns = []
        for label, wanted in zip(labels, fields, strict=True):
            found = [h.get(w) for h, w in zip(held, wanted.to_list(), strict=True)]
            shown = [None if f is None else f if type(f) is str else compact(f) for f in found]
            columns.append(pl.Series(label, shown, dtype=pl.String))
        rows_ = pl.DataFrame(columns).to_struct("row")
        return rows_.reshape((len(texts), 1)).arr.to_list()

    return evaluation.columnwise(run, text, *names)


def _resolve_json_tuple(resolution: Any) -> Expression:
    count = len(resolution.args)
    if count < 2:
        raise resolution.error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", functionName="`json_tuple`", expectedNum="> 1", actualNum=count,
            docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    if any(not isinstance(dtype_of(a), StringType) for a in resolution.args):
        raise resolution.mismatch("NON_STRING_TYPE", funcName="`json_tuple`")
    args = tuple([resolution.coerce(i, STRING) for i in range(count)])
    fields = [StructField(f"c{i}", STRING, True) for i in range(count - 1)]
    return resolution.call(args, ArrayType(StructType(fields), False), False)  # type: ignore[no-any-return]


# ---- schema_of_json --------------------------------------------------------------------------------
def inferred_schema(text: str, options: tuple[tuple[str, str], ...], context: EvaluationContext) -> DataType:
    """The schema of one JSON text."""
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.json_inference import _canonical, _type_of
    from voltray.executors.sources.json_scanner import JsonScanner, leniency_of

    given = Options(options)
    try:
        root = JsonScanner(text, leniency_of(given)).root()
    except (ValueError, RecursionError):
        shown = f"Unrecognized token in the JSON text {text!r}"
        raise spark_error("INTERNAL_ERROR", ErrorKind.RUNTIME, extra={"message": shown}) from None
    return _canonical(_type_of(root, given, context), given) or STRING


def _resolve_schema_of_json(resolution: Any) -> Expression:
    text = constant_text(resolution, 0, "json")
    context = EvaluationContext(resolution.settings.time_zone, resolution.ansi)
    dtype = inferred_schema(text, options_of(resolution, 1), context)
    return Literal(sql_type(dtype), STRING)


_OPTIONS = Parameter("options", Accept(), optional=True)
_TEXT = Accept((StringType, NullType), (), '"STRING"')
"""Nothing is cast to text here."""
_PATH = parameters(("json", _TEXT), ("path", _TEXT))

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("from_json",), Signature((Parameter("json", ANY), Parameter("schema", ANY), _OPTIONS)), STRING, _from_json,
        resolve=_resolve_from_json, nullable=always_nullable, display=lambda names: f"from_json({names[0]})",
        notes=_NOTE,
    ),
    Function(
        ("to_json",), Signature((Parameter("expr", ANY), _OPTIONS)), STRING, _to_json, resolve=_resolve_to_json,
        nullable=always_nullable, display=lambda names: f"to_json({names[0]})",
    ),
    Function(("get_json_object",), _PATH, STRING, _each(_get_json_object, pl.String()),
        nullable=always_nullable, notes=_NOTE),
    Function(
        ("json_array_length",), parameters(("jsonArray", _TEXT)), INTEGER, _each(_array_length, pl.Int32()),
        nullable=always_nullable, notes=_NOTE,
    ),
    Function(
        ("json_object_keys",), parameters(("json", _TEXT)), ArrayType(STRING, True),
        _each(_object_keys, pl.List(pl.String())), nullable=always_nullable, notes=_NOTE,
    ),
    Function(
        ("json_tuple",), Signature((Parameter("json", ANY), Parameter("field", ANY)), repeated=1, minimum=0), STRING,
        _json_tuple, kind=FunctionKind.GENERATOR, resolve=_resolve_json_tuple, notes=_NOTE,
    ),
    Function(
        ("schema_of_json",), Signature((Parameter("json", ANY), _OPTIONS)), STRING, resolve=_resolve_schema_of_json,
        display=lambda names: f"schema_of_json({names[0]})",
    ),
)  # fmt: skip
