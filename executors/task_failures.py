"""Any exception of a task as a Spark error."""

from __future__ import annotations

import re

import polars as pl

from voltray.executors.sources.failures import broken_scan
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.operators import Operator

_DOCUMENT = re.compile(r'\{"condition": "')
_NO_SUCH_FILE = re.compile(r"no such file or directory", re.IGNORECASE)
_FILE_FORMAT = re.compile(
    r"parquet: |invalid utf-?8|unexpected end of file|.*(?:gzip|zstd|deflate|decompress)", re.IGNORECASE
)
_PATH = re.compile(r"(?:file://)?(/[^\s'\"]+)")


def as_spark_error(error: BaseException, operator: Operator | None = None) -> SparkError:
    """The Spark error that an exception carries in its text, or the one that fits its kind.

    ``operator`` is what the task ran: a file of its scans may be to blame.
    """
    if isinstance(error, SparkError):
        return SparkError(error.args[0])
    text = str(error)
    # Polars re-creates a callback's exception from its text, with words of its own around it.
    if found := _DOCUMENT.search(text):
        carried = SparkError(text[found.start() :])
        try:
            _ = carried.failure
        except (ValueError, TypeError, KeyError):
            pass
        else:
            return carried
    if error.__cause__ is not None and isinstance(error.__cause__, SparkError):
        return as_spark_error(error.__cause__)
    if _FILE_FORMAT.match(text) and operator is not None:
        return broken_scan(operator) or _by_kind(error, text)
    return _by_kind(error, text)


def _by_kind(error: BaseException, text: str) -> SparkError:
    if isinstance(error, FileNotFoundError) or _NO_SUCH_FILE.search(text):
        return spark_error("FAILED_READ_FILE.FILE_NOT_EXIST", ErrorKind.SPARK, path=_path_in(text))
    if isinstance(error, MemoryError):
        return spark_error("INTERNAL_ERROR_MEMORY", ErrorKind.SPARK, message="An executor ran out of memory.")
    shown = _first_line(text)
    if isinstance(error, pl.exceptions.PolarsError):
        return spark_error("INTERNAL_ERROR", ErrorKind.SPARK, message=f"The engine failed: {shown}")
    return spark_error("INTERNAL_ERROR", ErrorKind.SPARK, message=f"{type(error).__name__}: {shown}")


def _path_in(text: str) -> str:
    found = _PATH.search(text)
    return found[1] if found else "?"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:500]
