"""Records that do not fit their schema: the modes of reading and the column that keeps such records."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import Options, SourceFile
from voltray.executors.sources.failures import read_uri
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import StringType, StructType, type_name

_MODES = ("PERMISSIVE", "DROPMALFORMED", "FAILFAST")


def mode_of(options: Options) -> str:
    """The mode; one that does not exist counts as PERMISSIVE."""
    mode = options.get("mode", "PERMISSIVE").upper()
    return mode if mode in _MODES else "PERMISSIVE"


def corrupt_name(options: Options, context: EvaluationContext) -> str:
    """The name of the column for malformed records."""
    default = context.conf("spark.sql.columnNameOfCorruptRecord", "_corrupt_record")
    return options.get("columnNameOfCorruptRecord", default)


def corrupt_column(schema: StructType, options: Options, context: EvaluationContext) -> str | None:
    """The schema's column for malformed records, if it has one; it must hold strings."""
    name = corrupt_name(options, context)
    field = next((f for f in schema.fields if f.name == name), None)
    if field is None:
        return None
    if not isinstance(field.dataType, StringType):
        raise spark_error("INVALID_CORRUPT_RECORD_TYPE", columnName=f"`{name}`", actualType=type_name(field.dataType))
    return name


def corrupt_records(records: pl.Series, bad: pl.Series) -> pl.Series:
    """The malformed records themselves, NULL for the others."""
    return pl.DataFrame({"r": records, "b": bad}).select(pl.when("b").then("r"))["r"]


class MalformedRows:
    """Drops malformed rows or fails for them, as the mode says."""

    def __init__(self, options: Options, context: EvaluationContext, files: tuple[SourceFile, ...]) -> None:
        self.mode = mode_of(options)
        self._files = files

    def handled(self, frame: pl.DataFrame, bad: pl.Series, records: pl.Series) -> pl.DataFrame:
        """The rows that remain."""
        if self.mode == "PERMISSIVE" or not bad.any():
            return frame
        if self.mode == "DROPMALFORMED":
            return frame.filter(~bad)
        record = records.filter(bad)[0]
        words = f"Malformed records are detected in record parsing: {record}. Parse Mode: FAILFAST."
        raise failed_record(self._files[0].path if self._files else "", words)


def failed_record(path: str, words: str) -> SparkError:
    """The error for a file with a record that may not be there, with the reason in words."""
    uri = read_uri(path)
    message = f"[FAILED_READ_FILE.NO_HINT] Encountered error while reading file {uri}. {words} SQLSTATE: KD001"
    return spark_error("FAILED_READ_FILE.NO_HINT", ErrorKind.SPARK, message=message, path=uri)
