"""The schema of JSON records."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import polars as pl
import pyarrow as pa
import pyarrow.json as pa_json

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options
from voltray.executors.sources.json_scanner import JsonScanner, Node, leniency_of
from voltray.executors.sources.malformed import corrupt_name, mode_of
from voltray.executors.sources.text_values import parse_text
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    BOOLEAN,
    DOUBLE,
    LONG,
    NULL,
    STRING,
    TIMESTAMP,
    ArrayType,
    DataType,
    DecimalType,
    DoubleType,
    LongType,
    NullType,
    StringType,
    StructField,
    StructType,
)  # fmt: skip

_NOTHING: DataType = NULL
_LONG_LIMIT = 1 << 63
_LONG_NUMBER = r"\d{19}"


def infer_json(batches: Iterable[pl.Series], options: Options, context: EvaluationContext) -> StructType:
    """The struct that holds all records, its fields by name; malformed records add their column."""
    ratio = float(options.get("samplingRatio", "1.0"))
    root: DataType = NULL
    corrupt = False
    for records in batches:
        sample = records.sample(fraction=ratio, seed=1) if ratio < 1 and len(records) else records
        found = _by_arrow(sample, options)
        if found is None:
            found, bad = _by_record(sample.to_list(), options, context)
            corrupt = corrupt or bad
        root = merged(root, found)
    schema = _canonical(root, options)
    fields = list(schema.fields) if isinstance(schema, StructType) else []
    if corrupt and mode_of(options) == "PERMISSIVE":
        name = corrupt_name(options, context)
        if all(f.name != name for f in fields):
            fields.append(StructField(name, STRING, True))
    if corrupt and mode_of(options) == "FAILFAST":
        raise spark_error(
            "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", ErrorKind.SPARK,
            badRecord=corrupt_name(options, context), failFastMode="FAILFAST",
        )  # fmt: skip
    _check_names(fields, context)
    return StructType(sorted(fields, key=lambda f: f.name.encode("utf-16-be")))


def _check_names(fields: list[StructField], context: EvaluationContext) -> None:
    seen: set[str] = set()
    for field in fields:
        key = field.name if context.conf("spark.sql.caseSensitive") == "true" else field.name.lower()
        if key in seen:
            raise spark_error("COLUMN_ALREADY_EXISTS", columnName=f"`{key}`")
        seen.add(key)


def is_plain_json(records: pl.Series) -> bool:
    """Whether every record looks like one object: all that Arrow's parser may be given (others crash it)."""
    return len(records) > 0 and bool(records.str.contains(r"(?s)^\s*\{.*\}\s*$").all())


def _by_arrow(records: pl.Series, options: Options) -> DataType | None:
    """The quick way, for records that are alike and plain; None where Spark's own rules are needed."""
    if not is_plain_json(records) or options.flag("inferTimestamp") or options.flag("prefersDecimal"):
        return None
    if records.str.contains(_LONG_NUMBER).any():
        return None  # perhaps beyond 64 bits, which Arrow would make a double
    data = "\n".join(records.to_list()).encode()
    try:
        table = pa_json.read_json(pa.BufferReader(data), read_options=pa_json.ReadOptions(block_size=len(data) + 1))
    except (pa.ArrowException, ValueError):
        return None
    if table.num_rows != len(records):
        return None
    try:
        return _struct([(f.name, _from_arrow(f.type, options)) for f in table.schema])
    except TypeError:
        return None


def _from_arrow(dtype: pa.DataType, options: Options) -> DataType:
    if pa.types.is_struct(dtype):
        return _struct([(f.name, _from_arrow(f.type, options)) for f in dtype])
    if pa.types.is_list(dtype):
        return ArrayType(_from_arrow(dtype.value_type, options), True)
    if pa.types.is_null(dtype):
        return NULL
    if pa.types.is_string(dtype) or pa.types.is_timestamp(dtype):
        return STRING
    if options.flag("primitivesAsString"):
        return STRING
    if pa.types.is_int64(dtype):
        return LONG
    if pa.types.is_float64(dtype):
        return DOUBLE
    if pa.types.is_boolean(dtype):
        return BOOLEAN
    raise TypeError(dtype)


def _struct(fields: Iterable[tuple[str, DataType]]) -> StructType:
    return StructType([StructField(n, t, True) for n, t in sorted(fields)])


def _by_record(records: list[str], options: Options, context: EvaluationContext) -> tuple[DataType, bool]:
    leniency = leniency_of(options)
    found: DataType = NULL
    corrupt = False
    seen: dict[str, DataType] = {}
    for text in records:
        try:
            root = JsonScanner(text, leniency).root()
        except (ValueError, RecursionError):
            corrupt = True
            continue
        for node in root.value if root.kind == "array" else [root]:
            if node.kind not in ("object", "null"):
                corrupt = True
                continue
            dtype = _type_of(node, options, context)
            key = dtype.simpleString()
            if key not in seen:
                seen[key] = dtype
                found = merged(found, dtype)
    return found, corrupt


def _type_of(node: Node, options: Options, context: EvaluationContext) -> DataType:
    match node.kind:
        case "null":
            return NULL
        case "object":
            names = [n for n, _ in node.value]
            if len(set(names)) != len(names):
                twice = next(n for n in names if names.count(n) > 1)
                raise spark_error("COLUMN_ALREADY_EXISTS", columnName=f"`{twice.lower()}`")
            return _struct([(n, _type_of(v, options, context)) for n, v in node.value])
        case "array":
            types = [_type_of(v, options, context) for v in node.value]
            return ArrayType(reduce(merged, types, _NOTHING), True)
        case "string":
            return _string_type(node, options, context)
    return STRING if options.flag("primitivesAsString") else _number_type(node, options)


def _string_type(node: Node, options: Options, context: EvaluationContext) -> DataType:
    if options.flag("inferTimestamp"):
        text = pl.Series([node.value], dtype=pl.String)
        if parse_text(text, TIMESTAMP, options, context)[0] is not None:
            return TIMESTAMP
    return STRING


def _number_type(node: Node, options: Options) -> DataType:
    if node.kind == "boolean":
        return BOOLEAN
    if node.kind == "integer":
        value = int(node.value)
        if -_LONG_LIMIT <= value < _LONG_LIMIT:
            return LONG
        digits = len(str(abs(value)))
        return DecimalType(digits, 0) if digits <= 38 else DOUBLE
    if node.kind == "float" and options.flag("prefersDecimal"):
        whole, _, fraction = node.value.lstrip("-").partition(".")
        if fraction.isdigit() and len(whole) + len(fraction) <= 38:
            return DecimalType(max(len(whole.lstrip("0")) + len(fraction), len(fraction)), len(fraction))
    return DOUBLE


def merged(left: DataType, right: DataType) -> DataType:
    """The narrowest type for values of both; strings in the end."""
    match left, right:
        case (NullType(), _):
            return right
        case (_, NullType()):
            return left
        case (StructType(), StructType()):
            types = {f.name: f.dataType for f in left.fields}
            for field in right.fields:
                types[field.name] = merged(types.get(field.name, NULL), field.dataType)
            return _struct(types.items())
        case (ArrayType(), ArrayType()):
            return ArrayType(merged(left.elementType, right.elementType), True)
        case (LongType() | DecimalType(), LongType() | DecimalType()):
            return _decimal(left, right) if left != right else left
        case (DoubleType(), LongType() | DecimalType()) | (LongType() | DecimalType(), DoubleType()):
            return DOUBLE
    return left if left == right else STRING


def _decimal(left: DataType, right: DataType) -> DataType:
    sides = [t if isinstance(t, DecimalType) else DecimalType(20, 0) for t in (left, right)]
    scale = max(t.scale for t in sides)
    whole = max(t.precision - t.scale for t in sides)
    return DecimalType(whole + scale, scale) if whole + scale <= 38 else DOUBLE


def _canonical(dtype: DataType, options: Options) -> DataType | None:
    """The type without what holds nothing: NULL becomes string, empty structs vanish."""
    drop = options.flag("dropFieldIfAllNull")
    match dtype:
        case NullType():
            return None if drop else STRING
        case StringType():
            return dtype
        case ArrayType():
            element = _canonical(dtype.elementType, options)
            return None if element is None else ArrayType(element, True)
        case StructType():
            types = ((f.name, _canonical(f.dataType, options)) for f in dtype.fields)
            kept = [StructField(n, t, True) for n, t in types if t is not None]
            return StructType(kept) if kept else None
    return dtype
