"""Apache DataSketches: HLL, theta and KLL sketches, in the binary forms that Spark reads and writes."""

from __future__ import annotations

import math
import re
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import datasketches as ds  # type: ignore[import-untyped]
import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate, one_buffer
from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.displays import with_defaults
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    BINARY_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.sketches import each_group
from voltray.proto.expressions import AggregateCall, Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    BINARY,
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INTEGER,
    LONG,
    STRING,
    ArrayType,
    BinaryType,
    ByteType,
    DataType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NullType,
    ShortType,
    StringType,
    carrier,
    type_name,
)  # fmt: skip

_NOTE = "Sketches are built by Apache DataSketches, value by value, and merge across partitions."
_INT = accepts_type(INTEGER)
_TWELVE, _FALSE = Literal(12, INTEGER), Literal(False, BOOLEAN)


def _constant(expression: Expression) -> Any:
    return expression.value if isinstance(expression, Literal) else None


def _key(value: Any) -> Any:
    """A value as the library hashes it; byte strings that are no text it cannot take."""
    if isinstance(value, array):
        value = value.tobytes()
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        feature = "sketches of byte strings that are not UTF-8"
        raise spark_error("UNSUPPORTED_FEATURE.SKETCH_INPUT", ErrorKind.UNSUPPORTED, feature=feature) from None


def _present(value: Any) -> bool:
    """Empty strings and arrays are not counted."""
    return not (isinstance(value, (str, bytes, list)) and not value)


def _mapped(column: pl.Expr, function: Callable[[Any], Any], result: DataType) -> pl.Expr:
    def run(series: pl.Series) -> pl.Series:
        return pl.Series([None if v is None else function(v) for v in series.to_list()], dtype=carrier(result))

    return column.map_batches(run, return_dtype=carrier(result), is_elementwise=True)


def _scalar(function: Callable[..., Any]) -> Callable[..., pl.Expr]:
    """A body that works on each distinct row of sketches and arguments."""

    def body(evaluation: Evaluation, *columns: pl.Expr) -> pl.Expr:
        name = evaluation.call.name

        def run(rows: Rows, *series: pl.Series) -> pl.Series:
            return by_unique_rows(list(series), lambda *cells: function(name, *cells), carrier(evaluation.call.dtype))

        return evaluation.columnwise(run, *columns)

    return body


# ---- HLL -------------------------------------------------------------------------------------------
def _hll_error(name: str) -> SparkError:
    return spark_error("HLL_INVALID_INPUT_SKETCH_BUFFER", ErrorKind.RUNTIME, function=f"`{name}`")


def _read_hll(name: str, data: bytes) -> Any:
    try:
        return ds.hll_sketch.deserialize(data)
    except (RuntimeError, ValueError, TypeError, IndexError, MemoryError):
        raise _hll_error(name) from None


def _hll_built(size: int) -> Callable[[list[Any]], bytes]:
    def build(values: list[Any]) -> bytes:
        sketch = ds.hll_sketch(size, ds.tgt_hll_type.HLL_8)
        for value in values:
            if _present(value):
                sketch.update(_key(value))
        return bytes(sketch.serialize_updatable())

    return build


def _hll_merged(name: str, sketches: list[bytes], mixed: bool) -> bytes:
    read = [_read_hll(name, s) for s in sketches]
    sizes = [s.lg_config_k for s in read] or [12]
    other = next((s for s in sizes if s != sizes[0]), None)
    if other is not None and not mixed:
        shown = {"function": f"`{name}`", "left": sizes[0], "right": other}
        raise spark_error("HLL_UNION_DIFFERENT_LG_K", ErrorKind.RUNTIME, extra=shown)
    union = ds.hll_union(min(sizes))
    for sketch in read:
        union.update(sketch)
    return bytes(union.get_result(ds.tgt_hll_type.HLL_8).serialize_updatable())


def _hll_size(args: tuple[Expression, ...], name: str) -> int:
    size = _constant(args[1]) if len(args) > 1 else 12
    if size is None or not 4 <= size <= 21:
        raise spark_error("HLL_INVALID_LG_K", ErrorKind.RUNTIME, function=f"`{name}`", min=4, max=21, value=size)
    return int(size)


def _hll_partial(evaluation: Evaluation, value: pl.Expr, *size: pl.Expr) -> pl.Expr:
    args = evaluation.call.args
    return each_group(value, dtype_of(args[0]), _hll_built(_hll_size(args, evaluation.call.name)), BINARY)


def _merge_hll(buffer: pl.Expr) -> pl.Expr:
    return each_group(buffer, BINARY, lambda sketches: _hll_merged("hll_sketch_agg", sketches, True), BINARY)


def _hll_union_partial(evaluation: Evaluation, value: pl.Expr, *mixed: pl.Expr) -> pl.Expr:
    args = evaluation.call.args
    allow = bool(_constant(args[1])) if len(args) > 1 else False
    return each_group(value, BINARY, lambda sketches: _hll_merged(evaluation.call.name, sketches, allow), BINARY)


def _hll_estimate(name: str, data: bytes) -> int:
    return math.floor(_read_hll(name, data).get_estimate() + 0.5)  # type: ignore[no-any-return]


# ---- theta -----------------------------------------------------------------------------------------
def _read_theta(name: str, data: bytes) -> Any:
    try:
        return ds.compact_theta_sketch.deserialize(data)
    except (RuntimeError, ValueError, TypeError, IndexError, MemoryError):
        raise spark_error("THETA_INVALID_INPUT_SKETCH_BUFFER", ErrorKind.RUNTIME, function=f"`{name}`") from None


def theta_bytes(sketch: Any) -> bytes:
    """A compact theta sketch, its hashes packed as differences (serial version 4), as Java writes it."""
    hashes = sorted(sketch)
    estimating = sketch.theta64 < (1 << 63) - 1
    if not hashes or (len(hashes) == 1 and not estimating):
        return _short_theta(sketch, hashes)
    steps = [b - a for a, b in zip([0, *hashes], hashes, strict=False)]
    width = max(s.bit_length() for s in steps)
    count_bytes = (len(hashes).bit_length() + 7) // 8
    bits = 0
    for step in steps:
        bits = bits << width | step
    size = (width * len(steps) + 7) // 8
    packed = (bits << (size * 8 - width * len(steps))).to_bytes(size, "big")
    head = struct.pack("<BBBBBBH", 2 if estimating else 1, 4, 3, width, count_bytes, 0x1A, sketch.get_seed_hash())
    theta = struct.pack("<q", sketch.theta64) if estimating else b""
    return head + theta + len(hashes).to_bytes(count_bytes, "little") + packed  # type: ignore[no-any-return]


def _short_theta(sketch: Any, hashes: list[int]) -> bytes:
    if not hashes:
        if sketch.theta64 < (1 << 63) - 1:
            return bytes(sketch.serialize())
        return b"\x01\x03\x03\x00\x00\x1e\x00\x00"
    return struct.pack("<BBBBBBHq", 1, 3, 3, 0, 0, 0x3A, sketch.get_seed_hash(), hashes[0])


def _theta_size(args: tuple[Expression, ...], name: str) -> int:
    size = _constant(args[1]) if len(args) > 1 else 12
    return _checked_size(name, size)


def _checked_size(name: str, size: Any) -> int:
    if size is None or not 4 <= size <= 26:
        shown = {"function": f"`{name}`", "min": 4, "max": 26, "value": size}
        raise spark_error("THETA_INVALID_LG_NOM_ENTRIES", ErrorKind.RUNTIME, extra=shown)
    return int(size)


def _array_code(expression: Expression) -> str | None:
    """How an array of numbers is laid out in bytes, NULL as 0; none for other values."""
    dtype = dtype_of(expression)
    if not isinstance(dtype, ArrayType):
        return None
    code = {IntegerType: "i", LongType: "q", NullType: "i"}.get(type(dtype.elementType))
    if code is None:
        raise spark_error(
            "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", sqlExpr='"theta_sketch_agg"', paramIndex="first",
            requiredType=_THETA_VALUE.shown, inputSql='"array"', inputType=type_name(dtype),
        )  # fmt: skip
    return code


def _theta_partial(evaluation: Evaluation, value: pl.Expr, *size: pl.Expr) -> pl.Expr:
    args = evaluation.call.args
    entries = max(_theta_size(args, evaluation.call.name), 5)
    code = _array_code(args[0])

    def build(values: list[Any]) -> bytes:
        sketch = ds.update_theta_sketch(entries)
        for item in values:
            if _present(item):
                sketch.update(_key(item if code is None else array(code, [v or 0 for v in item])))
        sketch.trim()
        return theta_bytes(sketch.compact())

    return each_group(value, dtype_of(args[0]), build, BINARY)


def _theta_united(name: str, sketches: list[bytes], size: int) -> bytes:
    union = ds.theta_union(max(size, 5))
    for data in sketches:
        union.update(_read_theta(name, data))
    return theta_bytes(union.get_result())


def _theta_common(name: str, sketches: list[bytes]) -> bytes | None:
    if not sketches:
        return None
    intersection = ds.theta_intersection()
    for data in sketches:
        intersection.update(_read_theta(name, data))
    return theta_bytes(intersection.get_result())


def _merge_theta(buffer: pl.Expr) -> pl.Expr:
    return each_group(buffer, BINARY, lambda sketches: _theta_united("theta_sketch_agg", sketches, 26), BINARY)


def _theta_union_partial(evaluation: Evaluation, value: pl.Expr, *size: pl.Expr) -> pl.Expr:
    name, args = evaluation.call.name, evaluation.call.args
    entries = _theta_size(args, name)
    return each_group(value, BINARY, lambda sketches: _theta_united(name, sketches, entries), BINARY)


def _theta_common_partial(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return each_group(value, BINARY, lambda sketches: _theta_common(evaluation.call.name, sketches), BINARY)


def _merge_theta_common(buffer: pl.Expr) -> pl.Expr:
    return each_group(buffer, BINARY, lambda sketches: _theta_common("theta_intersection_agg", sketches), BINARY)


def _theta_union(name: str, left: bytes, right: bytes, size: int) -> bytes:
    return _theta_united(name, [left, right], _checked_size(name, size))


def _theta_intersection(name: str, left: bytes, right: bytes) -> bytes:
    return _theta_common(name, [left, right]) or b""


def _theta_difference(name: str, left: bytes, right: bytes) -> bytes:
    return theta_bytes(ds.theta_a_not_b().compute(_read_theta(name, left), _read_theta(name, right)))


def _theta_estimate(name: str, data: bytes) -> int:
    return math.floor(_read_theta(name, data).get_estimate() + 0.5)  # type: ignore[no-any-return]


# ---- KLL -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _KllKind:
    """One of the three kinds of KLL sketches."""

    suffix: str
    title: str
    dtype: DataType
    accepts: Accept
    width: int

    def new(self, size: int) -> Any:
        """An empty sketch."""
        makers = {"bigint": ds.kll_items_sketch, "float": ds.kll_floats_sketch, "double": ds.kll_doubles_sketch}
        return makers[self.suffix](size)

    def write(self, sketch: Any) -> bytes:
        """A sketch's bytes."""
        return bytes(sketch.serialize(ds.PyLongsSerDe()) if self.suffix == "bigint" else sketch.serialize())

    def read(self, name: str, data: bytes) -> Any:
        """A sketch from its bytes."""
        try:
            if self.suffix == "bigint":
                return ds.kll_items_sketch.deserialize(data, ds.PyLongsSerDe())
            return type(self.new(200)).deserialize(data)
        except (RuntimeError, ValueError, TypeError, IndexError, MemoryError) as problem:
            raise _kll_error(name, str(problem)) from None


def _kll_error(name: str, reason: str) -> SparkError:
    return spark_error("KLL_SKETCH_INVALID_INPUT", ErrorKind.RUNTIME, functionName=f"`{name}`", reason=reason)


_KLL = (
    _KllKind("bigint", "KllLongsSketch", LONG, Accept(
        (ByteType, IntegerType, LongType, ShortType), (), '("TINYINT" or "INT" or "BIGINT" or "SMALLINT")'), 8),
    _KllKind("float", "KllFloatsSketch", FLOAT, Accept((FloatType,), (FLOAT,), '"FLOAT"'), 4),
    _KllKind("double", "KllDoublesSketch", DOUBLE, Accept((FloatType, DoubleType), (DOUBLE,),
        '("FLOAT" or "DOUBLE")'), 8),
)  # fmt: skip


def _kll_size(call: AggregateCall) -> int:
    return int(_constant(call.args[1]) or 200) if len(call.args) > 1 else 200


def _kll_aggregate(kind: _KllKind) -> Function:
    name = f"kll_sketch_agg_{kind.suffix}"

    def partial(evaluation: Evaluation, value: pl.Expr, *size: pl.Expr) -> pl.Expr:
        call = evaluation.call
        assert isinstance(call, AggregateCall)

        def build(values: list[Any]) -> bytes:
            sketch = kind.new(_kll_size(call))
            for item in values:
                sketch.update(item)
            return kind.write(sketch)

        return each_group(value, dtype_of(call.args[0]), build, BINARY)

    def merge(buffer: pl.Expr) -> pl.Expr:
        return each_group(buffer, BINARY, lambda sketches: _kll_merged(kind, name, *sketches), BINARY)

    def resolve(resolution: Any) -> Expression:
        size = _constant(resolution.args[1]) if len(resolution.args) > 1 else 200
        if size is None or (isinstance(size, int) and not 8 <= size <= 65535):
            reason = f"the k parameter of `{name}` must lie between 8 and 65535, not {size}"
            shown = f"[KLL_SKETCH_K_OUT_OF_RANGE] {reason}"
            raise resolution.mismatch("TYPE_CHECK_FAILURE_WITH_HINT", msg=shown, hint="")
        return resolution.finish()  # type: ignore[no-any-return]

    signature = Signature((Parameter("expr", kind.accepts), Parameter("k", _INT, optional=True)))
    split = one_buffer("sketch", BINARY, partial, merge)
    return aggregate(name, signature, BINARY, split, nullable=never_nullable, resolve=resolve, notes=_NOTE)


def _kll_merged(kind: _KllKind, name: str, *sketches: bytes) -> bytes:
    read = [kind.read(name, s) for s in sketches]
    whole = kind.new(max([s.k for s in read], default=200))
    for sketch in read:
        whole.merge(sketch)
    return kind.write(whole)


def _kll_n(kind: _KllKind) -> Callable[..., int]:
    return lambda name, data: kind.read(name, data).n


def _kll_looked_up(kind: _KllKind, quantile: bool) -> Callable[..., Any]:
    def look(name: str, data: bytes, wanted: Any) -> Any:
        sketch = kind.read(name, data)
        if sketch.is_empty():
            raise _kll_error(name, "The sketch is empty.")

        def one(value: Any) -> Any:
            if value is None:
                return None
            if not quantile:
                return sketch.get_rank(value, True)
            if not 0 <= value <= 1:
                shown = {"functionName": f"`{name}`", "quantile": f"{value}D"}
                raise spark_error("KLL_SKETCH_INVALID_QUANTILE_RANGE", ErrorKind.RUNTIME, extra=shown)
            return sketch.get_quantile(value, True)

        return [one(v) for v in wanted] if isinstance(wanted, list) else one(wanted)

    return look


def _kll_text(kind: _KllKind) -> Callable[..., str]:
    def text(name: str, data: bytes) -> str:
        sketch = kind.read(name, data)
        told = dict(re.findall(r"^\s*(\w[\w ]*?)\s*: (.*)$", sketch.to_string(), re.MULTILINE))
        levels, capacity = int(told.get("Levels", 1)), int(told.get("Capacity items", sketch.k))
        estimating = "true" if sketch.is_estimation_mode() else "false"
        retained, empty = sketch.num_retained, sketch.is_empty()
        extremes = [] if empty else [sketch.get_min_value(), sketch.get_max_value()]
        lines = [
            ("K", sketch.k), ("Dynamic min K", told.get("min K", sketch.k)), ("M", 8), ("N", sketch.n),
            ("Epsilon", f"{sketch.normalized_rank_error(False) * 100:.3f}%"),
            ("Epsilon PMF", f"{sketch.normalized_rank_error(True) * 100:.3f}%"), ("Empty",
                "true" if empty else "false"),
            ("Estimation Mode", estimating), ("Levels", levels),
            ("Level 0 Sorted", told.get("Sorted", "false")), ("Capacity Items", capacity), ("Retained Items", retained),
            ("Free Space", capacity - retained), ("ReadOnly", "false"),
            ("Updatable Storage Bytes", 20 + 4 * (levels + 1) + kind.width * (capacity + 2)),
            ("Compact Storage Bytes", 20 + 4 * levels + kind.width * (retained + 2)),
            *zip(("Min Item", "Max Item"), extremes, strict=False),
        ]  # fmt: skip
        shown = "".join([f"   {label:<23}: {value}\n" for label, value in lines])
        return f"\n### Kll{kind.title} Summary:\n{shown}### End sketch summary\n"

    return text


def _looked_up_type(dtype: DataType) -> Callable[[tuple[Expression, ...]], DataType]:
    def result(args: tuple[Expression, ...]) -> DataType:
        wanted = dtype_of(args[1])
        return ArrayType(dtype, wanted.containsNull) if isinstance(wanted, ArrayType) else dtype

    return result


def _resolve_lookup(dtype: DataType) -> Callable[[Any], Expression]:
    def resolve(resolution: Any) -> Expression:
        sketch, wanted = resolution.coerce(0, BINARY), resolution.args[1]
        kind = dtype_of(wanted)
        many = isinstance(kind, ArrayType)
        cast = resolution.cast(wanted, ArrayType(dtype, kind.containsNull)) if many else resolution.coerce(1, dtype)  # type: ignore[attr-defined]
        return resolution.call((sketch, cast))  # type: ignore[no-any-return]

    return resolve


def _kll_functions(kind: _KllKind) -> list[Function]:
    one = parameters(("sketch", BINARY_INPUT))
    two = parameters(("sketch", BINARY_INPUT), ("other", BINARY_INPUT))
    free = parameters(("sketch", Accept()), ("value", Accept()))
    suffix = kind.suffix
    return [
        _kll_aggregate(kind),
        Function((f"kll_sketch_get_n_{suffix}",), one, LONG, _scalar(_kll_n(kind))),
        Function((f"kll_sketch_to_string_{suffix}",), one, STRING, _scalar(_kll_text(kind))),
        Function(
            (f"kll_sketch_merge_{suffix}",), two, BINARY,
            _scalar(lambda name, left, right: _kll_merged(kind, name, left, right)),
        ),
        Function(
            (f"kll_sketch_get_quantile_{suffix}",), free, _looked_up_type(kind.dtype),
            _scalar(_kll_looked_up(kind, True)), resolve=_resolve_lookup(DOUBLE),
        ),
        Function(
            (f"kll_sketch_get_rank_{suffix}",), free, _looked_up_type(DOUBLE), _scalar(_kll_looked_up(kind, False)),
            resolve=_resolve_lookup(kind.dtype),
        ),
    ]  # fmt: skip


# ---- entries ---------------------------------------------------------------------------------------
_HLL_VALUE = Accept(
    (IntegerType, LongType, StringType, BinaryType), (LONG,), '("INT" or "BIGINT" or "STRING" or "BINARY")'
)
_THETA_VALUE = Accept(
    (ByteType, ShortType, IntegerType, LongType, FloatType, DoubleType, StringType, BinaryType, ArrayType),
    (),
    '("ARRAY<INT>" or "ARRAY<BIGINT>" or "BINARY" or "DOUBLE" or "FLOAT" or "INT" or "BIGINT" or "STRING")',
)
_SIZE = Parameter("lgConfigK", _INT, _TWELVE)
_MIXED = Parameter("allowDifferentLgConfigK", Accept((type(BOOLEAN),), (BOOLEAN,), '"BOOLEAN"'), _FALSE)
_ONE = parameters(("sketch", BINARY_INPUT))
_TWO = (Parameter("first", BINARY_INPUT), Parameter("second", BINARY_INPUT))


def _hll_union(name: str, left: bytes, right: bytes, mixed: bool) -> bytes:
    return _hll_merged(name, [left, right], mixed)


FUNCTIONS: tuple[Function, ...] = (
    aggregate(
        "hll_sketch_agg", Signature((Parameter("expr", _HLL_VALUE), _SIZE)), BINARY,
        one_buffer("sketch", BINARY, _hll_partial, _merge_hll), nullable=never_nullable,
        display=with_defaults("hll_sketch_agg", 2, "12"), notes=_NOTE,
    ),
    aggregate(
        "hll_union_agg", Signature((Parameter("expr", BINARY_INPUT), _MIXED)), BINARY,
        one_buffer("sketch", BINARY, _hll_union_partial, _merge_hll), nullable=never_nullable,
        display=with_defaults("hll_union_agg", 2, "false"), notes=_NOTE,
    ),
    Function(("hll_sketch_estimate",), _ONE, LONG, _scalar(_hll_estimate)),
    Function(
        ("hll_union",), Signature((*_TWO, _MIXED)), BINARY, _scalar(_hll_union),
        display=with_defaults("hll_union", 3, "false"),
    ),
    aggregate(
        "theta_sketch_agg", Signature((Parameter("expr", _THETA_VALUE), _SIZE)), BINARY,
        one_buffer("sketch", BINARY, _theta_partial, _merge_theta), nullable=never_nullable,
        display=with_defaults("theta_sketch_agg", 2, "12"), notes=_NOTE,
    ),
    aggregate(
        "theta_union_agg", Signature((Parameter("expr", BINARY_INPUT), _SIZE)), BINARY,
        one_buffer("sketch", BINARY, _theta_union_partial, _merge_theta), nullable=never_nullable,
        display=with_defaults("theta_union_agg", 2, "12"), notes=_NOTE,
    ),
    aggregate(
        "theta_intersection_agg", Signature((Parameter("expr", BINARY_INPUT),)), BINARY,
        one_buffer("sketch", BINARY, _theta_common_partial, _merge_theta_common), nullable=never_nullable, notes=_NOTE,
    ),
    Function(("theta_sketch_estimate",), _ONE, LONG, _scalar(_theta_estimate)),
    Function(
        ("theta_union",), Signature((*_TWO, _SIZE)), BINARY, _scalar(_theta_union),
        display=with_defaults("theta_union", 3, "12"),
    ),
    Function(("theta_intersection",), Signature(_TWO), BINARY, _scalar(_theta_intersection)),
    Function(("theta_difference",), Signature(_TWO), BINARY, _scalar(_theta_difference)),
    *[function for kind in _KLL for function in _kll_functions(kind)],
)  # fmt: skip
