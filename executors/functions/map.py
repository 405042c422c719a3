"""Maps: making, looking into, taking apart."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.array import _array as interleaved
from voltray.executors.functions.array_types import MAP, null_if_void
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.map_build import checked_map, null_map_key
from voltray.executors.functions.registry import (
    ANY,
    STRING_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.coercion import wider_types
from voltray.proto.expressions import Call, Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BOOLEAN,
    STRING,
    ArrayType,
    DataType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    carrier,
    type_name,
)  # fmt: skip


def _empty(dtype: pl.DataType) -> pl.Expr:
    return pl.lit(pl.Series([{}], dtype=dtype)).first()


# ---- making ----------------------------------------------------------------------------------------
def _map(evaluation: Evaluation, *pairs: pl.Expr) -> pl.Expr:
    dtype = evaluation.call.dtype
    assert isinstance(dtype, MapType)
    if not pairs:
        return _empty(carrier(dtype))
    args = evaluation.call.args
    if isinstance(dtype.keyType, NullType):
        return evaluation.checked(pl.lit(None, carrier(dtype)), pairs[0].is_null(), null_map_key)

    def side(start: int, kind: DataType) -> pl.Expr:
        inner = Call("array", args[start::2], ArrayType(kind), False)
        return interleaved(evaluation.with_call(inner), *pairs[start::2])

    return _from_lists(evaluation, side(0, dtype.keyType), side(1, dtype.valueType))


def _from_lists(evaluation: Evaluation, keys: pl.Expr, values: pl.Expr) -> pl.Expr:
    def make(rows: Rows, key_lists: pl.Series, value_lists: pl.Series) -> pl.Series:
        left, right = lists.parts(key_lists), lists.parts(value_lists)
        valid = lists.both_valid(left.valid, right.valid)
        known = pl.Series(valid) if valid is not None else pl.Series(np.ones(len(key_lists), dtype=bool))
        rows.refuse(pl.Series(left.lengths != right.lengths) & known, _different_lengths)
        keep = known.to_numpy() & (left.lengths == right.lengths)
        found_keys, found_values = [t.values.filter(pl.Series(keep[t.rows])) for t in (left, right)]
        return checked_map(evaluation, rows, found_keys, found_values, np.where(keep, left.lengths, 0), valid)

    return evaluation.columnwise(make, keys, values)


def _different_lengths() -> SparkError:
    return spark_error("_LEGACY_ERROR_TEMP_2128", ErrorKind.RUNTIME)


def _resolve_map(resolution: Any) -> Expression:
    args = resolution.args
    if len(args) % 2:
        raise resolution.error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", functionName="`map`", expectedNum="2n (n > 0)", actualNum=len(args),
            docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    if not args:
        return resolution.call((), MapType(NullType(), NullType(), False), False)  # type: ignore[no-any-return]
    sides: list[DataType] = []
    for start, what in ((0, "KEY"), (1, "VALUE")):
        kinds = [dtype_of(a) for a in args[start::2]]
        common = resolution.common_type(args[start::2])
        if common is None:
            shown = "[" + ", ".join(type_name(k) for k in kinds) + "]"
            raise resolution.mismatch(f"CREATE_MAP_{what}_DIFF_TYPES", functionName="`map`", dataType=shown)
        sides.append(common)
    if _holds_map(sides[0]):
        raise resolution.mismatch("INVALID_MAP_KEY_TYPE", keyType=type_name(sides[0]))
    cast = tuple([resolution.cast(a, sides[i % 2]) for i, a in enumerate(args)])
    dtype = MapType(sides[0], sides[1], any(nullable_of(a) for a in cast[1::2]))
    return resolution.call(cast, dtype, False)  # type: ignore[no-any-return]


def _holds_map(dtype: DataType) -> bool:
    match dtype:
        case ArrayType():
            return _holds_map(dtype.elementType)
        case StructType():
            return any(_holds_map(f.dataType) for f in dtype.fields)
    return isinstance(dtype, MapType)


@null_if_void
def _map_from_arrays(evaluation: Evaluation, keys: pl.Expr, values: pl.Expr) -> pl.Expr:
    return _from_lists(evaluation, keys, values)


@null_if_void
def _map_from_entries(evaluation: Evaluation, entries: pl.Expr) -> pl.Expr:
    def make(rows: Rows, arrays: pl.Series) -> pl.Series:
        taken = lists.parts(arrays)
        names = [f.name for f in taken.values.dtype.fields]  # type: ignore[attr-defined]
        keys, values = [taken.values.struct.field(n) for n in names]
        lengths, valid = taken.lengths, taken.valid
        if taken.values.null_count():  # a NULL entry makes the whole map NULL
            holed = np.zeros(len(lengths), dtype=bool)
            holed[taken.rows[taken.values.is_null().to_numpy()]] = True
            keep = pl.Series(~holed[taken.rows])
            keys, values = keys.filter(keep), values.filter(keep)
            lengths, valid = np.where(holed, 0, lengths), lists.both_valid(valid, ~holed)
        return checked_map(evaluation, rows, keys, values, lengths, valid)

    return evaluation.columnwise(make, entries)


def _resolve_from_entries(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    entry = kind.elementType if isinstance(kind, ArrayType) else None
    if not (isinstance(entry, StructType) and len(entry.fields) == 2):
        raise resolution.unexpected(0, '"ARRAY" of pair "STRUCT"')
    key, value = entry.fields
    assert isinstance(kind, ArrayType)
    dtype = MapType(key.dataType, value.dataType, value.nullable)
    return resolution.call(resolution.args, dtype, nullable_of(resolution.args[0]) or kind.containsNull)  # type: ignore[no-any-return]


def _map_concat(evaluation: Evaluation, *maps: pl.Expr) -> pl.Expr:
    if not maps:
        return _empty(carrier(evaluation.call.dtype))
    joined = pl.concat_list(*[m.map.entries() for m in maps]) if len(maps) > 1 else maps[0].map.entries()
    return _map_from_entries(evaluation, joined)


def _resolve_map_concat(resolution: Any) -> Expression:
    if not resolution.args:
        return resolution.call((), MapType(STRING, STRING, False), False)  # type: ignore[no-any-return]
    kinds = [dtype_of(a) for a in resolution.args]
    common = resolution.common_type(resolution.args)
    if not all(isinstance(k, MapType | NullType) for k in kinds):
        shown = "[" + ", ".join(type_name(k) for k in kinds) + "]"
        raise resolution.mismatch("MAP_CONCAT_DIFF_TYPES", functionName="`map_concat`", dataType=shown)
    if common is None:
        shown = "[" + ", ".join(type_name(k) for k in kinds) + "]"
        raise resolution.mismatch("DATA_DIFF_TYPES", functionName="`map_concat`", dataType=shown)
    return resolution.call(tuple([resolution.cast(a, common) for a in resolution.args]), common)  # type: ignore[no-any-return]


# ---- looking ---------------------------------------------------------------------------------------
@null_if_void
def _get_map_value(evaluation: Evaluation, value: pl.Expr, key: pl.Expr) -> pl.Expr:
    return value.map.get(key)


@null_if_void
def _contains_key(evaluation: Evaluation, value: pl.Expr, key: pl.Expr) -> pl.Expr:
    return pl.when(value.is_not_null() & key.is_not_null()).then(value.map.contains_key(key))


def _resolve_contains_key(resolution: Any) -> Expression:
    kind, key = dtype_of(resolution.args[0]), dtype_of(resolution.args[1])
    if isinstance(key, NullType):
        raise resolution.mismatch("NULL_TYPE", functionName="`map_contains_key`")
    common = wider_types([kind.keyType, key], resolution.ansi) if isinstance(kind, MapType) else None
    mixed = isinstance(kind, MapType) and isinstance(kind.keyType, StringType) != isinstance(key, StringType)
    if not isinstance(kind, MapType) or common is None or mixed:
        raise resolution.mismatch(
            "MAP_FUNCTION_DIFF_TYPES", functionName="`map_contains_key`", dataType='"MAP"', leftType=type_name(kind),
            rightType=type_name(key),
        )  # fmt: skip
    keyed = resolution.cast(resolution.args[0], MapType(common, kind.valueType, kind.valueContainsNull))
    return resolution.call((keyed, resolution.cast(resolution.args[1], common)), BOOLEAN, True)  # type: ignore[no-any-return]


# ---- text ------------------------------------------------------------------------------------------
_REGEX_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


def _split_all(texts: list[str], delimiter: str) -> list[list[str]]:
    """Java's split by a regular expression, empty strings kept."""
    if not _REGEX_SPECIAL.search(delimiter):
        return [t.split(delimiter) if delimiter else list(t) for t in texts]
    pattern = re.compile(delimiter)
    return [pattern.split(t) for t in texts]


def _split_pair(text: str, delimiter: str) -> tuple[str, str | None]:
    if not _REGEX_SPECIAL.search(delimiter):
        key, found, value = text.partition(delimiter) if delimiter else (text, "", "")
        return key, value if found else None
    parts = re.split(delimiter, text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else None


def _str_to_map(evaluation: Evaluation, text: pl.Expr, pair: pl.Expr, key: pl.Expr) -> pl.Expr:
    def make(rows: Rows, texts: pl.Series, pairs: pl.Series, keys: pl.Series) -> pl.Series:
        known = texts.is_not_null() & pairs.is_not_null() & keys.is_not_null()
        lengths = np.zeros(len(texts), dtype=np.int64)
        found: list[tuple[str, str | None]] = []
        for row in np.flatnonzero(known.to_numpy()):
            split = _split_all([texts[int(row)]], pairs[int(row)])[0]
            lengths[row] = len(split)
            found += [_split_pair(s, keys[int(row)]) for s in split]
        names = pl.Series([k for k, _ in found], dtype=pl.String)
        values = pl.Series([v for _, v in found], dtype=pl.String)
        return checked_map(evaluation, rows, names, values, lengths, known.to_numpy())

    return evaluation.columnwise(make, text, pair, key)


# ---- entries ---------------------------------------------------------------------------------------
def _map_type(args: tuple[Expression, ...]) -> MapType:
    kind = dtype_of(args[0])
    return kind if isinstance(kind, MapType) else MapType(NullType(), NullType())


def _entries_type(args: tuple[Expression, ...]) -> DataType:
    kind = _map_type(args)
    fields = [StructField("key", kind.keyType, False), StructField("value", kind.valueType, kind.valueContainsNull)]
    return ArrayType(StructType(fields), False)


def _from_arrays_type(args: tuple[Expression, ...]) -> DataType:
    keys, values = [dtype_of(a) for a in args]
    if isinstance(keys, ArrayType) and isinstance(values, ArrayType):
        return MapType(keys.elementType, values.elementType, values.containsNull)
    return MapType(NullType(), NullType())


def _delimiter(name: str, default: str) -> Parameter:
    return Parameter(name, STRING_INPUT, Literal(default, STRING))


def _str_to_map_name(names: tuple[str, ...]) -> str:
    return f"str_to_map({', '.join([*names, ',', ':'][: len(names)] + [',', ':'][len(names) - 1 :])})"


_ONE = parameters(("map", MAP))
_ARRAY = Accept((ArrayType,), (), '"ARRAY"')
_PAIRS = Signature((Parameter("elements", ANY),), repeated=1, minimum=0)

FUNCTIONS: tuple[Function, ...] = (
    Function(("map",), _PAIRS, STRING, _map, nullable=never_nullable, resolve=_resolve_map),
    Function(
        ("map_keys",), _ONE, lambda args: ArrayType(_map_type(args).keyType, False),
        null_if_void(lambda evaluation, value: value.map.keys()),
    ),
    Function(
        ("map_values",), _ONE, lambda args: ArrayType(_map_type(args).valueType, _map_type(args).valueContainsNull),
        null_if_void(lambda evaluation, value: value.map.values()),
    ),
    Function(("map_entries",), _ONE, _entries_type, null_if_void(lambda evaluation, value: value.map.entries())),
    Function(("map_concat",), _PAIRS, STRING, _map_concat, nullable=any_argument_nullable, resolve=_resolve_map_concat),
    Function(("map_from_arrays",), parameters(("keys", _ARRAY), ("values", _ARRAY)), _from_arrays_type,
        _map_from_arrays),
    Function(
        ("map_from_entries",), parameters(("entries", ANY)), STRING, _map_from_entries, resolve=_resolve_from_entries
    ),
    Function(
        ("map_contains_key",), parameters(("map", ANY), ("key", ANY)), BOOLEAN, _contains_key,
        resolve=_resolve_contains_key,
    ),
    Function(
        ("get_map_value",), parameters(("map", ANY), ("key", ANY)), lambda args: _map_type(args).valueType,
        _get_map_value, nullable=always_nullable, internal=True,
    ),
    Function(
        ("str_to_map",), parameters(("text", STRING_INPUT), _delimiter("pairDelim", ","),
            _delimiter("keyValueDelim", ":")),
        MapType(STRING, STRING), _str_to_map, display=_str_to_map_name,
        notes="Splits row by row: delimiters are Java regular expressions and may differ by row.",
    ),
)  # fmt: skip
