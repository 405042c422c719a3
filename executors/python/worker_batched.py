"""Pickled functions of rows in a worker process: whole columns at a time, where Spark's worker goes row by row."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import worker
from pyspark.errors import PySparkRuntimeError
from pyspark.serializers import SpecialLengths, read_bool, read_int, write_int
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.executors.python import worker_entry as entry
    from voltray.executors.python.worker_values import check_readable
else:  # beside this script, wherever that lies
    import worker_entry as entry
    from worker_values import check_readable

BATCHED = 100
Columns = tuple[list[list[Any]], int]
Function = tuple[Sequence[int], Callable[..., Any], DataType]

# Cells of these classes alone are of the type as they are.
_CLASSES: dict[type[DataType], frozenset[type]] = {
    LongType: frozenset((int, type(None))),
    IntegerType: frozenset((int, type(None))),
    DoubleType: frozenset((float, type(None))),
    BooleanType: frozenset((bool, type(None))),
    StringType: frozenset((str, type(None))),
    BinaryType: frozenset((bytes, type(None))),
}


def cells_of(column: pa.Array, convert: Callable[[Any], Any]) -> list[Any]:
    """A column's cells as a function gets them."""
    if convert is not entry.keep:
        return [convert(cell) for cell in column.to_pylist()]
    if not column.null_count and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return column.to_numpy().tolist()  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]


def result_array(cells: list[Any], dtype: DataType) -> pa.Array:
    """What a function returned as an array of its type."""
    classes = _CLASSES.get(type(dtype))
    if classes is not None and classes.issuperset(map(type, cells)):
        # A number beyond the type is told cell by cell.
        with contextlib.suppress(pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
            return pa.array(cells, entry.plain_arrow(dtype))
    check_readable(cells)
    convert = entry.output_converter(dtype)
    return entry.cells_to_arrow([None if c is None else convert(c) for c in cells], dtype)


class ArrowColumns:
    """Stands for Spark's pickling serializer: batches of columns in and out."""

    def __init__(self) -> None:
        self.results: list[DataType] = []

    def load_stream(self, stream: Any) -> Iterator[Columns]:
        """The input's batches, each as lists of cells and its number of rows."""
        reader = pa.ipc.open_stream(stream)
        described = json.loads(reader.schema.metadata[b"spark"])
        self.results = [entry.worker_type(t) for t in described["results"]]
        converters = [entry.input_converter(entry.worker_type(t)) for t in described["inputs"]]
        for batch in reader:
            pairs = zip(batch.columns, converters, strict=True)
            yield [cells_of(column, convert) for column, convert in pairs], batch.num_rows

    def dump_stream(self, batches: Iterable[list[list[Any]]], stream: Any) -> None:
        """Results as Arrow batches, one column a function."""
        writer = None
        for columns in batches:
            arrays = [result_array(c, t) for c, t in zip(columns, self.results, strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, names=[f"_{i}" for i in range(len(arrays))])
            if writer is None:
                write_int(SpecialLengths.START_ARROW_STREAM, stream)
                writer = pa.RecordBatchStreamWriter(stream, batch.schema)
            writer.write_batch(batch)
        if writer is not None:
            writer.close()


def _wrapped(
    function: Callable[..., Any], offsets: list[int], keywords: dict[str, int], return_type: DataType
) -> Function:
    if not keywords:
        return offsets, function, return_type
    names, count = list(keywords), len(offsets)

    def with_keywords(*cells: Any) -> Any:
        return function(*cells[:count], **dict(zip(names, cells[count:], strict=True)))

    return [*offsets, *keywords.values()], with_keywords, return_type


def _called(function: Function, columns: list[list[Any]], rows: int) -> list[Any]:
    offsets, call, return_type = function
    try:
        if len(offsets) == 1:
            results = [call(cell) for cell in columns[offsets[0]]]
        elif offsets:
            results = [call(*cells) for cells in zip(*[columns[o] for o in offsets], strict=True)]
        else:
            results = [call() for _ in range(rows)]
    except StopIteration as error:
        raise PySparkRuntimeError(
            errorClass="STOP_ITERATION_OCCURRED", messageParameters={"exc": str(error)}
        ) from error
    return list(map(return_type.toInternal, results)) if return_type.needConversion() else results


def _read_functions(pickled: Any, infile: Any) -> tuple[Any, None, ArrowColumns, ArrowColumns]:
    theirs: Any = worker
    profiler = theirs.utf8_deserializer.loads(infile) if read_bool(infile) else None
    spark_wrap, spark_check = theirs.wrap_udf, theirs.fail_on_stopiteration
    theirs.wrap_udf, theirs.fail_on_stopiteration = _wrapped, entry.keep
    try:
        count = read_int(infile)
        functions: list[Function] = [
            worker.read_single_udf(pickled, infile, BATCHED, {}, udf_index=i, profiler=profiler) for i in range(count)
        ]
    finally:
        theirs.wrap_udf, theirs.fail_on_stopiteration = spark_wrap, spark_check

    def evaluate(_: int, batches: Iterator[Columns]) -> Iterator[list[list[Any]]]:
        for columns, rows in batches:
            yield [_called(f, columns, rows) for f in functions]

    serializer = ArrowColumns()
    return evaluate, None, serializer, serializer


def install() -> None:
    """Read pickled functions in this module's way."""
    theirs: Any = worker
    spark_read = theirs.read_udfs

    def read_udfs(pickled: Any, infile: Any, eval_type: int) -> Any:
        return _read_functions(pickled, infile) if eval_type == BATCHED else spark_read(pickled, infile, eval_type)

    theirs.read_udfs = read_udfs
    if not theirs.has_memory_profiler:
        # Spark's worker fails here, on an import that it does not need.
        theirs.wrap_memory_profiler = lambda function, *_: function
