"""Frames of result rows as the Arrow IPC streams that a Spark Connect client takes: exact names and types."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from voltray.proto.stages import ResultOutput
from voltray.proto.types import (
    ArrayType,
    CalendarIntervalType,
    DataType,
    MapType,
    NullType,
    StructType,
    UserDefinedType,
    VariantType,
    arrow_schema,
    arrow_type,
    client_arrow_schema,
)  # fmt: skip

BATCH_BYTES = 16 << 20
_NEWEST = pl.CompatLevel.newest()


class ResultEncoder:
    """Turns frames with id-named columns into IPC streams of one result schema."""

    def __init__(self, output: ResultOutput) -> None:
        self._columns = [a.column for a in output.attributes]
        self._types = [f.dataType for f in output.schema.fields]
        self._time_zone = output.time_zone
        self._schema = arrow_schema(output.schema, output.time_zone)
        client_schema = client_arrow_schema(output.schema, output.time_zone)
        # PyArrow has no arrays of months: their stream is one of integers under another head.
        self._head = None if client_schema is None else client_schema.serialize()
        self._batch_rows = output.batch_rows

    def encode(self, frame: pl.DataFrame) -> Iterator[tuple[int, pa.Buffer]]:
        """One (row count, IPC stream) for each batch; a frame without rows gives none."""
        step = self._rows_of_batch(frame)
        for start in range(0, frame.height, step):
            part = frame.slice(start, step)
            yield part.height, self._stream(self._batch(part))

    def empty(self) -> tuple[int, pa.Buffer]:
        """A stream with one batch of no rows: clients take the schema from the batch."""
        arrays = [pa.array([], f.type) for f in self._schema]
        return 0, self._stream(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _rows_of_batch(self, frame: pl.DataFrame) -> int:
        if not frame.height:
            return 1
        row_bytes = max(1, int(frame.estimated_size()) // frame.height)
        return max(1, min(self._batch_rows, BATCH_BYTES // row_bytes))

    def _batch(self, frame: pl.DataFrame) -> pa.RecordBatch:
        if not self._columns:
            empty = pa.StructArray.from_buffers(pa.struct([]), frame.height, [None])
            return pa.RecordBatch.from_struct_array(empty)
        arrays: dict[str, pa.Array] = {}
        for name, dtype in zip(self._columns, self._types, strict=True):
            if name not in arrays:
                arrays[name] = exact_array(_one_chunk(frame[name]), dtype, self._time_zone)
        return pa.RecordBatch.from_arrays([arrays[n] for n in self._columns], schema=self._schema)

    def _stream(self, batch: pa.RecordBatch) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_batch(batch)
        stream = sink.getvalue()
        if self._head is None:
            return stream
        return pa.py_buffer(b"".join([self._head, stream.slice(self._schema.serialize().size)]))


def _one_chunk(series: pl.Series) -> pa.Array:
    return series.rechunk().to_arrow(compat_level=_NEWEST)


def exact_array(array: pa.Array, dtype: DataType, time_zone: str) -> pa.Array:
    """An array as Polars exports it, in exactly the Arrow type of a Spark type."""
    match dtype:
        case UserDefinedType():
            return exact_array(array, dtype.sqlType(), time_zone)
        case ArrayType():
            return _exact_list(array, dtype, time_zone)
        case MapType():
            return _exact_map(array, dtype, time_zone)
        case StructType() | VariantType():
            return _exact_struct(array, dtype, time_zone)
        case CalendarIntervalType():
            return _exact_calendar_interval(array)
        case NullType():
            return pa.nulls(len(array))
    target = arrow_type(dtype, time_zone)
    return array if array.type == target else array.cast(target)


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _offsets(array: pa.Array) -> tuple[pa.Array, int, int]:
    """Offsets from zero as int32, and the span of the values that they speak of."""
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    if not len(offsets):
        return pa.array([0], pa.int32()), 0, 0
    start, end = int(offsets[0]), int(offsets[-1])
    return pa.array((offsets - start).astype(np.int32)), start, end


def _exact_list(array: pa.Array, dtype: ArrayType, time_zone: str) -> pa.Array:
    offsets, start, end = _offsets(array)
    values = exact_array(array.values.slice(start, end - start), dtype.elementType, time_zone)
    return pa.ListArray.from_arrays(offsets, values, type=arrow_type(dtype, time_zone), mask=_mask(array))


def _exact_map(array: pa.Array, dtype: MapType, time_zone: str) -> pa.Array:
    offsets, start, end = _offsets(array)
    keys = exact_array(array.keys.slice(start, end - start), dtype.keyType, time_zone)
    items = exact_array(array.items.slice(start, end - start), dtype.valueType, time_zone)
    target = arrow_type(dtype, time_zone)
    if not len(keys):  # of no type, perhaps, as those of map() are
        keys, items = pa.array([], target.key_type), pa.array([], target.item_type)
    return pa.MapArray.from_arrays(offsets, keys, items, type=target, mask=_mask(array))


def _exact_struct(array: pa.Array, dtype: StructType | VariantType, time_zone: str) -> pa.Array:
    target = arrow_type(dtype, time_zone)
    fields = [target.field(i) for i in range(target.num_fields)]
    if not fields:
        validity = pc.is_valid(array)
        return pa.array([{} if v else None for v in validity.to_pylist()], target)
    if isinstance(dtype, VariantType):
        children = [array.field(f.name).cast(f.type) for f in fields]
    else:
        children = [exact_array(array.field(i), f.dataType, time_zone) for i, f in enumerate(dtype.fields)]
    return pa.StructArray.from_arrays(children, fields=fields, mask=_mask(array))


def _exact_calendar_interval(array: pa.Array) -> pa.Array:
    cells = np.zeros(len(array), dtype=[("months", np.int32), ("days", np.int32), ("nanoseconds", np.int64)])
    for position, (name, scale) in enumerate((("months", 1), ("days", 1), ("nanoseconds", 1000))):
        cells[name] = array.field(position).fill_null(0).to_numpy(zero_copy_only=False) * scale
    validity = None
    if array.null_count:
        bits = np.packbits(array.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
        validity = pa.py_buffer(bits.tobytes())
    buffers = [validity, pa.py_buffer(cells.tobytes())]
    return pa.Array.from_buffers(pa.month_day_nano_interval(), len(array), buffers)
