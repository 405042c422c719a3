"""Variants: parse_json, variant_get, schema_of_variant, variant_explode."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import lru_cache, reduce
from typing import Any

import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate, one_buffer
from voltray.executors.functions.cast_variant import converted, decoded, to_variants
from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.json_values import MISSING, parse_json
from voltray.executors.functions.registry import (
    ANY,
    STRING_INPUT,
    Accept,
    Function,
    FunctionKind,
    Parameter,
    Signature,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.schema_arguments import bad_record
from voltray.executors.functions.sketches import each_group
from voltray.executors.functions.variant_encoding import (
    Day,
    Instant,
    LocalTime,
    Single,
    decode,
    encode,
    encode_json,
)  # fmt: skip
from voltray.executors.literals import series_of
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    BOOLEAN,
    INTEGER,
    STRING,
    VARIANT,
    ArrayType,
    DataType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    VariantType,
    carrier,
    type_name,
)  # fmt: skip

_NOTE = "Variants are encoded and decoded value by value; what they hold becomes columns field by field."
_VARIANT_INPUT = Accept((VariantType,), (), '"VARIANT"')
_STEP = re.compile(r"""\.(?P<plain>[^.\[]+)|\['(?P<single>[^']*)'\]|\["(?P<double>[^"]*)"\]|\[(?P<index>\d+)\]""")


def _parse(evaluation: Evaluation, text: pl.Expr) -> pl.Expr:
    strict = evaluation.call.name == "parse_json"

    def run(rows: Rows, texts: pl.Series) -> pl.Series:
        values = [None if t is None else parse_json(t, {"allowSingleQuotes": "false"}) for t in texts.to_list()]
        bad = pl.Series([v is MISSING for v in values])
        if strict:
            rows.refuse(bad, bad_record, texts)
        known = texts.is_not_null().to_list()
        encoded = [encode_json(v) if k and v is not MISSING else None for v, k in zip(values, known, strict=True)]
        return series_of(encoded, VARIANT)

    return evaluation.columnwise(run, text)


# ---- variant_get -----------------------------------------------------------------------------------
@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[str | int, ...] | None:
    if not path.startswith("$"):
        return None
    at, steps = 1, []
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        at = found.end()
        names = (found["plain"], found["single"], found["double"])
        steps.append(int(found["index"]) if found["index"] is not None else next(n for n in names if n is not None))
    return tuple(steps)


def _follow(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return None
            value = value[step]
        else:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
    return value


def _variant_get(evaluation: Evaluation, variant: pl.Expr, path: pl.Expr) -> pl.Expr:
    name, target = evaluation.call.name, evaluation.call.dtype

    def run(rows: Rows, variants: pl.Series, paths: pl.Series) -> pl.Series:
        found = []
        for value, text in zip(decoded(variants), paths.to_list(), strict=True):
            steps = None if text is None else _steps(text)
            if steps is None and text is not None:
                raise _wrong_path(text, name)
            found.append(None if value is None or steps is None else _follow(value, steps))
        return converted(rows, found, target, evaluation.context, name == "variant_get")

    return evaluation.columnwise(run, variant, path)


def _wrong_path(path: str, name: str) -> Exception:
    return spark_error("INVALID_VARIANT_GET_PATH", ErrorKind.RUNTIME, path=path, functionName=f"`{name}`")


def _resolve_get(resolution: Any) -> Expression:
    variant = resolution.args[0]
    if not isinstance(dtype_of(variant), VariantType):
        raise resolution.unexpected(0, '"VARIANT"')
    path = resolution.coerce(1, STRING)
    dtype: DataType = VARIANT
    if len(resolution.args) > 2:
        wanted = resolution.args[2]
        if not (isinstance(wanted, Literal) and isinstance(wanted.dtype, StringType)):
            raise resolution.mismatch(
                "NON_FOLDABLE_INPUT", inputName="`type`", inputType='"STRING"', inputExpr=f'"{resolution.names[2]}"'
            )
        dtype = resolution.settings.parse_schema(wanted.value)
    if isinstance(path, Literal) and path.value is not None and _steps(path.value) is None:
        raise resolution.error("INVALID_VARIANT_GET_PATH", path=path.value, functionName=f"`{resolution.name}`")
    return resolution.call((variant, path), dtype, True)  # type: ignore[no-any-return]


# ---- looking ---------------------------------------------------------------------------------------
def _is_null(evaluation: Evaluation, variant: pl.Expr) -> pl.Expr:
    if isinstance(dtype_of(evaluation.call.args[0]), NullType):
        return pl.lit(False)
    return (variant.struct.field("value") == pl.lit(b"\x00")).fill_null(False)


def schema_text(value: Any) -> str:
    """The type of a decoded variant as text."""
    return _shown(schema_of(value))


def schema_of(value: Any) -> Any:
    """The type of a decoded variant: a text, ("array", type) or ("object", {name: type})."""
    match value:
        case None:
            return "VOID"
        case dict():
            return ("object", {k: schema_of(v) for k, v in value.items()})
        case list():
            return ("array", reduce(merged_schema, [schema_of(v) for v in value], "VOID"))
        case Decimal():
            shown = value.normalize() if value else Decimal(0)
            _, digits, exponent = shown.as_tuple()
            scale = max(-int(exponent), 0)
            return ("decimal", max(len(digits) + max(int(exponent), 0), scale), scale)
    return _NAMES[type(value)]


_NAMES = {
    bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", Single: "FLOAT", str: "STRING", bytes: "BINARY", Day: "DATE",
    Instant: "TIMESTAMP", LocalTime: "TIMESTAMP_NTZ",
}  # fmt: skip


def merged_schema(left: Any, right: Any) -> Any:
    """The type of two values, VARIANT where they have nothing in common."""
    if left == right or right == "VOID":
        return left
    if left == "VOID":
        return right
    if isinstance(left, tuple) and isinstance(right, tuple) and left[0] == right[0]:
        if left[0] == "array":
            return ("array", merged_schema(left[1], right[1]))
        if left[0] == "object":
            names = {**left[1], **right[1]}
            both = {n: merged_schema(left[1].get(n, "VOID"), right[1].get(n, "VOID")) for n in names}
            return ("object", both)
    sides = [_as_decimal(s) for s in (left, right)]
    if all(sides):
        (_, p1, s1), (_, p2, s2) = sides
        scale = max(s1, s2)
        precision = max(p1 - s1, p2 - s2) + scale
        return ("decimal", precision, scale) if precision <= 38 else "DOUBLE"
    if "DOUBLE" in (left, right) and any(sides):
        return "DOUBLE"
    return "VARIANT"


def _as_decimal(schema: Any) -> Any:
    if schema == "BIGINT":
        return ("decimal", 20, 0)
    return schema if isinstance(schema, tuple) and schema[0] == "decimal" else None


def _shown(schema: Any) -> str:
    if isinstance(schema, str):
        return schema
    if schema[0] == "array":
        return f"ARRAY<{_shown(schema[1])}>"
    if schema[0] == "decimal":
        return f"DECIMAL({schema[1]},{schema[2]})"
    names = [n if n.replace("_", "a").isalnum() else "`" + n.replace("`", "``") + "`" for n in sorted(schema[1])]
    return (
        "OBJECT<"
        + ", ".join([f"{s}: {_shown(schema[1][n])}" for s, n in zip(names, sorted(schema[1]), strict=True)])
        + ">"
    )


def _schema_of_variant(evaluation: Evaluation, variant: pl.Expr) -> pl.Expr:
    def run(rows: Rows, variants: pl.Series) -> pl.Series:
        if variants.dtype == pl.Null:
            return pl.Series([None] * len(variants), dtype=pl.String)
        pieces = [variants.struct.field(n) for n in ("value", "metadata")]
        return by_unique_rows(pieces, lambda value, metadata: schema_text(decode(value, metadata)), pl.String())

    return evaluation.columnwise(run, variant)


# ---- schema_of_variant_agg -------------------------------------------------------------------------
def _merged_text(schemas: list[Any]) -> str:
    return json.dumps(reduce(merged_schema, schemas, "VOID"))


def _read_schema(text: str) -> Any:
    """A schema from its JSON: tuples became lists."""
    return _tuples(json.loads(text))


def _tuples(schema: Any) -> Any:
    if isinstance(schema, str):
        return schema
    if schema[0] == "object":
        return ("object", {name: _tuples(s) for name, s in schema[1].items()})
    return ("array", _tuples(schema[1])) if schema[0] == "array" else tuple(schema)


def _schema_partial(evaluation: Evaluation, variant: pl.Expr) -> pl.Expr:
    return each_group(variant, VARIANT, lambda values: _merged_text([schema_of(decode(*v)) for v in values]), STRING)


def _schema_merge(buffer: pl.Expr) -> pl.Expr:
    return each_group(buffer, STRING, lambda texts: _merged_text([_read_schema(t) for t in texts]), STRING)


def _schema_finish(evaluation: Evaluation, buffer: pl.Expr) -> pl.Expr:
    def run(column: pl.Series) -> pl.Series:
        return pl.Series([None if t is None else _shown(_read_schema(t)) for t in column.to_list()], dtype=pl.String)

    return buffer.map_batches(run, return_dtype=pl.String, is_elementwise=True)


# ---- to_variant_object and explode -----------------------------------------------------------------
def _to_variant_object(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[0])
    return evaluation.columnwise(lambda rows, column: to_variants(column, kind), value)


def _resolve_to_variant(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    if not isinstance(kind, StructType | ArrayType | MapType):
        raise resolution.mismatch("CAST_WITHOUT_SUGGESTION", srcType=type_name(kind), targetType='"VARIANT"')
    return resolution.call(resolution.args, VARIANT, nullable_of(resolution.args[0]))  # type: ignore[no-any-return]


_EXPLODED = StructType([
    StructField("pos", INTEGER, False), StructField("key", STRING, True), StructField("value", VARIANT, False),
])  # fmt: skip


def _variant_explode(evaluation: Evaluation, variant: pl.Expr) -> pl.Expr:
    if isinstance(dtype_of(evaluation.call.args[0]), NullType):
        return pl.lit(None, dtype=carrier(evaluation.call.dtype))

    def run(rows: Rows, variants: pl.Series) -> pl.Series:
        exploded: list[list[tuple[Any, ...]]] = []
        for value in decoded(variants):
            if isinstance(value, dict):
                pairs: list[tuple[str | None, Any]] = [(k, value[k]) for k in sorted(value)]
            else:
                pairs = [(None, v) for v in value] if isinstance(value, list) else []
            exploded.append([(i, k, encode(v)) for i, (k, v) in enumerate(pairs)])
        return series_of(exploded, ArrayType(_EXPLODED, False))

    return evaluation.columnwise(run, variant)


_TEXT = parameters(("jsonStr", STRING_INPUT))
_GET = Signature((Parameter("v", ANY), Parameter("path", ANY), Parameter("type", ANY, optional=True)))


def _getter(name: str) -> Function:
    return Function(
        (name,), _GET, VARIANT, _variant_get, resolve=_resolve_get, nullable=always_nullable, notes=_NOTE,
        display=lambda names: f"{name}({names[0]}, {names[1]})",
    )  # fmt: skip


FUNCTIONS: tuple[Function, ...] = (
    Function(("parse_json",), _TEXT, VARIANT, _parse, notes=_NOTE),
    Function(("try_parse_json",), _TEXT, VARIANT, _parse, nullable=always_nullable, notes=_NOTE),
    _getter("variant_get"),
    _getter("try_variant_get"),
    Function(("is_variant_null",), parameters(("v", _VARIANT_INPUT)), BOOLEAN, _is_null, nullable=never_nullable),
    Function(("schema_of_variant",), parameters(("v", _VARIANT_INPUT)), STRING, _schema_of_variant, notes=_NOTE),
    aggregate(
        "schema_of_variant_agg", parameters(("v", _VARIANT_INPUT)), STRING,
        one_buffer("schema", STRING, _schema_partial, _schema_merge, _schema_finish), nullable=never_nullable,
        notes=_NOTE,
    ),
    Function(
        ("to_variant_object",), parameters(("expr", ANY)), VARIANT, _to_variant_object, resolve=_resolve_to_variant,
        notes=_NOTE,
    ),
    *[
        Function(
            (name,), parameters(("expr", _VARIANT_INPUT)), ArrayType(_EXPLODED, False), _variant_explode,
            kind=FunctionKind.GENERATOR, notes=_NOTE,
        )
        for name in ("variant_explode", "variant_explode_outer")
    ],
)  # fmt: skip
