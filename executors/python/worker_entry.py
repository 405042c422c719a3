"""What a worker process runs: Spark's own worker, one task after another, over an inherited socket.

A script of its own that imports nothing of Voltray, so that any Python that has pyspark can run it. Pickled
functions get and give their rows as Arrow streams too: their values become Python objects here and never in
the executor, which thus unpickles nothing.
"""

from __future__ import annotations

import datetime
import importlib
import io
import json
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyspark
from pyspark import worker
from pyspark.serializers import SpecialLengths, UTF8Deserializer, read_int, write_int, write_with_length
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    Row,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    UserDefinedType,
    VariantType,
    VariantVal,
    YearMonthIntervalType,
)

if TYPE_CHECKING:
    from voltray.executors.python.worker_values import PICKLE_EXCEPTION, UnreadableResultError, check_readable
else:  # beside this script, wherever that lies
    from worker_values import PICKLE_EXCEPTION, UnreadableResultError, check_readable

Converter = Callable[[Any], Any]
BATCH_ROWS = 10_000


VARIANT = StructType().add("value", BinaryType()).add("metadata", BinaryType())


def keep(value: Any) -> Any:
    """The value as it is."""
    return value


# ---- what a function gets ---------------------------------------------------------------------------
def _local_time(value: datetime.datetime) -> datetime.datetime:
    return value.astimezone().replace(tzinfo=None)


def input_converter(dtype: DataType) -> Converter:
    """From what Arrow makes of a cell to what Spark gives a pickled function."""
    match dtype:
        case TimestampType():
            return _nullable(_local_time)
        case ArrayType():
            element = input_converter(dtype.elementType)
            return keep if element is keep else _nullable(lambda v: [element(x) for x in v])
        case MapType():
            key, item = input_converter(dtype.keyType), input_converter(dtype.valueType)
            return _nullable(lambda v: {key(k): item(x) for k, x in v})
        case StructType():
            return _nullable(_row_maker(dtype))
        case UserDefinedType():
            inner = input_converter(dtype.sqlType())
            return _nullable(lambda v: dtype.deserialize(inner(v)))
        case VariantType():
            return _nullable(lambda v: VariantVal(v["value"], v["metadata"]))
    return keep


def _row_maker(dtype: StructType) -> Converter:
    names = dtype.names
    parts = [input_converter(f.dataType) for f in dtype.fields]

    def make(value: Any) -> Any:
        row = Row(*[p(value[n]) for p, n in zip(parts, names, strict=True)])
        row.__fields__ = names
        return row

    return make


def _nullable(function: Converter) -> Converter:
    return lambda value: None if value is None else function(value)


# ---- what a function gives -------------------------------------------------------------------------
def java_text(value: Any) -> str:
    """A value as Java prints the object that Spark's unpickler would make of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (list, set, frozenset)):
        return "[" + ", ".join(java_text(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{java_text(k)}={java_text(v)}" for k, v in value.items()) + "}"
    return str(value)


def _integer(bits: int) -> Converter:
    half, whole = 1 << (bits - 1), 1 << bits

    def convert(value: Any) -> Any:
        if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
            return None
        return value if -half <= value < half else (value + half) % whole - half

    return convert


def _decimal(dtype: DecimalType) -> Converter:
    def convert(value: Any) -> Any:
        if not isinstance(value, Decimal) or not value.is_finite():
            return None
        try:
            scaled = int(value.scaleb(dtype.scale).to_integral_value("ROUND_HALF_UP"))
        except ArithmeticError:
            return None
        if abs(scaled) >= 10**dtype.precision:
            return None
        return Decimal(scaled).scaleb(-dtype.scale)

    return convert


def _of_type(*classes: type) -> Converter:
    return lambda value: value if type(value) in classes else None


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


_PLAIN: dict[type[DataType], Converter] = {
    BooleanType: _of_type(bool),
    ByteType: _integer(8),
    ShortType: _integer(16),
    IntegerType: _integer(32),
    LongType: _integer(64),
    FloatType: _of_type(float),
    DoubleType: _of_type(float),
    StringType: lambda v: v if type(v) is str or v is None else java_text(v),
    BinaryType: _bytes,
    DateType: _integer(32),
    TimestampType: _integer(64),
    TimestampNTZType: _integer(64),
    DayTimeIntervalType: _integer(64),
    YearMonthIntervalType: _integer(32),
}


def output_converter(dtype: DataType) -> Converter:
    """From what a pickled function returned (in internal form) to the cell Spark makes of it; NULL for other types."""
    plain = _PLAIN.get(type(dtype))
    if plain is not None:
        return plain
    match dtype:
        case DecimalType():
            return _decimal(dtype)
        case ArrayType():
            element = output_converter(dtype.elementType)
            return lambda v: [element(x) for x in v] if isinstance(v, (list, tuple)) or hasattr(v, "tolist") else None
        case MapType():
            key, item = output_converter(dtype.keyType), output_converter(dtype.valueType)
            return lambda v: [(key(k), item(x)) for k, x in v.items()] if isinstance(v, dict) else None
        case StructType():
            return _struct_converter(dtype)
        case VariantType():
            return _variant_parts
        case UserDefinedType():
            return output_converter(dtype.sqlType())
    return keep


def _variant_parts(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"value", "metadata"}:
        return [value["value"], value["metadata"]]
    return [value.value, value.metadata] if isinstance(value, VariantVal) else None


def _struct_converter(dtype: StructType) -> Converter:
    parts = [output_converter(f.dataType) for f in dtype.fields]

    def convert(value: Any) -> Any:
        if not isinstance(value, (tuple, list)):
            return None
        if len(value) != len(parts):
            raise ValueError(
                f"Input row doesn't have expected number of values required by the schema. "
                f"{len(parts)} fields are required while {len(value)} values are provided."
            )
        return [p(v) for p, v in zip(parts, value, strict=True)]

    return convert


def plain_arrow(dtype: DataType) -> pa.DataType:
    """An Arrow type for converted cells: temporal ones as integers, structs by position."""
    match dtype:
        case BooleanType():
            return pa.bool_()
        case ByteType():
            return pa.int8()
        case ShortType():
            return pa.int16()
        case IntegerType() | DateType() | YearMonthIntervalType():
            return pa.int32()
        case LongType() | TimestampType() | TimestampNTZType() | DayTimeIntervalType():
            return pa.int64()
        case FloatType():
            return pa.float32()
        case DoubleType():
            return pa.float64()
        case StringType():
            return pa.utf8()
        case BinaryType():
            return pa.binary()
        case DecimalType():
            return pa.decimal128(dtype.precision, dtype.scale)
        case ArrayType():
            return pa.list_(plain_arrow(dtype.elementType))
        case MapType():
            return pa.map_(plain_arrow(dtype.keyType), plain_arrow(dtype.valueType))
        case StructType():
            names = field_names(dtype)
            return pa.struct([pa.field(n, plain_arrow(f.dataType)) for n, f in zip(names, dtype.fields, strict=True)])
        case VariantType():
            return plain_arrow(VARIANT)
        case UserDefinedType():
            return plain_arrow(dtype.sqlType())
    return pa.null()


def cells_to_arrow(cells: list[Any], dtype: DataType) -> pa.Array:
    """Converted cells as an array of their plain type."""
    if isinstance(dtype, UserDefinedType):
        return cells_to_arrow(cells, dtype.sqlType())
    if isinstance(dtype, VariantType):
        return cells_to_arrow(cells, VARIANT)
    if isinstance(dtype, StructType):
        mask = pa.array([c is None for c in cells], pa.bool_())
        columns = [
            cells_to_arrow([None if c is None else c[i] for c in cells], f.dataType) for i, f in enumerate(dtype.fields)
        ]
        return pa.StructArray.from_arrays(columns, names=field_names(dtype), mask=mask)
    if isinstance(dtype, ArrayType):
        offsets, flat = _flattened(cells)
        return pa.ListArray.from_arrays(offsets, cells_to_arrow(flat, dtype.elementType))
    if isinstance(dtype, MapType):
        offsets, flat = _flattened(cells)
        keys = cells_to_arrow([k for k, _ in flat], dtype.keyType)
        return pa.MapArray.from_arrays(offsets, keys, cells_to_arrow([v for _, v in flat], dtype.valueType))
    array = pa.array(cells, plain_arrow(dtype))
    final = _TEMPORAL.get(type(dtype))
    return array if final is None else array.view(final)


_TEMPORAL: dict[type[DataType], pa.DataType] = {
    DateType: pa.date32(),
    TimestampType: pa.timestamp("us", "UTC"),
    TimestampNTZType: pa.timestamp("us"),
    DayTimeIntervalType: pa.duration("us"),
}


def field_names(dtype: StructType) -> list[str]:
    """Names of a struct's fields, those that occur again made different as executors do."""
    seen: set[str] = set()
    names: list[str] = []
    for position, field in enumerate(dtype.fields):
        names.append(f"{field.name}\x01{position}" if field.name in seen else field.name)
        seen.add(field.name)
    return names


def _flattened(cells: list[Any]) -> tuple[pa.Array, list[Any]]:
    offsets: list[int | None] = []
    flat: list[Any] = []
    for cell in cells:
        offsets.append(None if cell is None else len(flat))
        flat.extend(cell or ())
    return pa.array([*offsets, len(flat)], pa.int32()), flat


class ArrowRows:
    """Stands for Spark's pickling serializer: rows of Python objects to the function, over Arrow streams."""

    def __init__(self, *_: Any) -> None:
        self.results: list[DataType] = []
        self.makes_tables = False

    def load_stream(self, stream: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of the input, as Spark would have pickled them."""
        reader = pa.ipc.open_stream(stream)
        described = json.loads(reader.schema.metadata[b"spark"])
        inputs = [worker_type(t) for t in described["inputs"]]
        self.results = [worker_type(t) for t in described["results"]]
        self.makes_tables = described.get("table", False)
        converters = [input_converter(t) for t in inputs]
        for batch in reader:
            columns = []
            for column, convert in zip(batch.columns, converters, strict=True):
                cells = column.to_pylist()
                columns.append(cells if convert is keep else [convert(c) for c in cells])
            yield from zip(*columns, strict=True) if columns else [()] * batch.num_rows

    def dump_stream(self, rows: Iterable[Any], stream: Any) -> None:
        """Results as Arrow batches, one column a function."""
        writer = None
        iterator = self._single_rows(rows)
        while True:
            taken = [row for _, row in zip(range(BATCH_ROWS), iterator, strict=False)]
            if not taken and writer is not None:
                break
            batch = self._batch(taken)
            if writer is None:
                write_int(SpecialLengths.START_ARROW_STREAM, stream)
                writer = pa.RecordBatchStreamWriter(stream, batch.schema)
            writer.write_batch(batch)
        writer.close()

    def _single_rows(self, rows: Iterable[Any]) -> Iterator[Any]:
        for number, row in enumerate(rows):
            if self.makes_tables:
                yield from ((number, made) for made in row)
            else:
                yield row

    def _batch(self, rows: list[Any]) -> pa.RecordBatch:
        if self.makes_tables:
            # Beside each row stands which row of the input it was made of.
            numbers = pa.array([number for number, _ in rows], pa.int64())
            made = self._columns([row for _, row in rows])
            return pa.RecordBatch.from_arrays([*made, numbers], names=["_0", "_1"])
        arrays = self._columns(rows)
        return pa.RecordBatch.from_arrays(arrays, names=[f"_{i}" for i in range(len(arrays))])

    def _columns(self, rows: list[Any]) -> list[pa.Array]:
        columns = [rows] if len(self.results) == 1 else [[row[i] for row in rows] for i in range(len(self.results))]
        arrays = []
        for column, dtype in zip(columns, self.results, strict=True):
            check_readable(column)
            convert = output_converter(dtype)
            arrays.append(cells_to_arrow([None if c is None else convert(c) for c in column], dtype))
        return arrays


def worker_type(text: str) -> DataType:
    """A type from Spark's JSON."""
    from pyspark.sql.types import _parse_datatype_json_string

    return _parse_datatype_json_string(text)


def report_exception(error: BaseException, outfile: Any, hide_traceback: bool | None = None) -> None:
    """Send the traceback: from the user's first frame on, all of it, or none, as the session's confs say."""
    if isinstance(error, UnreadableResultError):
        shown = [f"{PICKLE_EXCEPTION}{error}"]
    elif hide_traceback or os.environ.get("SPARK_HIDE_TRACEBACK"):
        shown = traceback.format_exception_only(type(error), error)
    elif not os.environ.get("SPARK_SIMPLIFIED_TRACEBACK"):
        shown = traceback.format_exception(type(error), error, error.__traceback__)
    else:
        ours = (os.path.dirname(pyspark.__file__), os.path.dirname(__file__))
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
            frames = frames.tb_next
        if frames is not None:
            error.__cause__ = None
        shown = traceback.format_exception(type(error), error, frames or error.__traceback__)
    write_int(SpecialLengths.PYTHON_EXCEPTION_THROWN, outfile)
    write_with_length("".join(shown).encode(), outfile)


def run_task(file: Any) -> None:
    """Run one task that the executor sends, or answer a question before a query runs."""
    try:
        # The number of a task's partition is never negative.
        if file.peek(1)[:1] == b"\xff":
            run_planning(file)
        else:
            worker.main(file, file)
    except SystemExit:
        file.flush()
        os._exit(1)
    file.flush()


def run_planning(file: Any) -> None:
    """Run one of Spark's planning modules; what it writes goes out as one cell, its exception as a task's would."""
    read_int(file)
    name = UTF8Deserializer().loads(file)
    module = importlib.import_module(f"pyspark.sql.worker.{name}")
    # What a module has written before its exception is of no use.
    setattr(module, "handle_worker_exception", lambda error, _: report_exception(error, file))  # noqa: B010
    written = io.BytesIO()
    module.main(file, written)
    batch = pa.RecordBatch.from_arrays([pa.array([written.getvalue()], pa.binary())], names=["reply"])
    write_int(SpecialLengths.START_ARROW_STREAM, file)
    with pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    write_int(SpecialLengths.END_OF_DATA_SECTION, file)
    write_int(0, file)  # no accumulators
    write_int(SpecialLengths.END_OF_STREAM, file)


def install() -> None:
    """Put what is ours in the place of what Spark's worker takes from its own modules."""
    setattr(worker, "BatchedSerializer", ArrowRows)  # noqa: B010 - not a name that the module exports
    setattr(worker, "handle_worker_exception", report_exception)  # noqa: B010
