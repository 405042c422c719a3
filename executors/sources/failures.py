"""What reading files can fail with, as Spark's conditions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.operators import FileScan, Operator, walk


def read_uri(path: str) -> str:
    """A path as Spark prints it in FAILED_READ_FILE: ``file:///a/b``."""
    return f"file://{path}"


def missing_file(path: str) -> SparkError:
    """The file is gone since it was listed."""
    return spark_error("FAILED_READ_FILE.FILE_NOT_EXIST", ErrorKind.SPARK, path=read_uri(path))


def unreadable_file(path: str, footer: bool = False) -> SparkError:
    """The file cannot be read as what it should be."""
    if not os.path.exists(path):
        return missing_file(path)
    hint = "CANNOT_READ_FILE_FOOTER" if footer else "NO_HINT"
    return spark_error(f"FAILED_READ_FILE.{hint}", ErrorKind.SPARK, path=read_uri(path))


@contextmanager
def reading(path: str, footer: bool = False) -> Iterator[None]:
    """Turn whatever a reader raises into Spark's condition for this file."""
    try:
        yield
    except SparkError:
        raise
    except Exception as error:
        raise unreadable_file(path, footer) from error


def broken_scan(operator: Operator) -> SparkError | None:
    """Spark's error for the file, of all that a task scans, that cannot be read; found by reading them again."""
    for node in walk(operator):
        if isinstance(node, FileScan):
            for file in node.files:
                if not _is_readable(file.path, node.format):
                    return unreadable_file(file.path)
    return None


def _is_readable(path: str, source: str) -> bool:
    scanned = pl.scan_parquet(path, glob=False) if source == "parquet" else pl.scan_lines(path, glob=False)
    try:
        for _ in scanned.collect_batches(engine="streaming"):
            pass
    except Exception:  # noqa: BLE001  readers raise errors of many families
        return False
    return True


def column_mismatch(path: str, column: str, expected: str, actual: str) -> SparkError:
    """A Parquet column cannot be read as the type asked for."""
    return spark_error(
        "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH",
        ErrorKind.SPARK,
        path=read_uri(path),
        column=f"[{column}]",
        expectedType=expected,
        actualType=actual,
    )
