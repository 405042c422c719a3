"""Failures as Spark describes them: a condition, its SQLSTATE, message parameters and query context.

One exception class travels through the whole system. Polars re-creates an exception that a Python
callback raised from its text alone, with words of its own behind it, so the text is the state: a JSON
document from which every field is read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import lru_cache
from importlib import resources
from typing import Any


class ErrorKind(Enum):
    """The Java exception a client maps back to its own class."""

    ANALYSIS = "org.apache.spark.sql.AnalysisException"
    PARSE = "org.apache.spark.sql.catalyst.parser.ParseException"
    TEMPORARY_TABLE_EXISTS = "org.apache.spark.sql.catalyst.analysis.TempTableAlreadyExistsException"
    NO_SUCH_TABLE = "org.apache.spark.sql.catalyst.analysis.NoSuchTableException"
    ARITHMETIC = "org.apache.spark.SparkArithmeticException"
    DATE_TIME = "org.apache.spark.SparkDateTimeException"
    NUMBER_FORMAT = "org.apache.spark.SparkNumberFormatException"
    ARRAY_INDEX = "org.apache.spark.SparkArrayIndexOutOfBoundsException"
    ILLEGAL_ARGUMENT = "org.apache.spark.SparkIllegalArgumentException"
    NO_SUCH_ELEMENT = "org.apache.spark.SparkNoSuchElementException"
    RUNTIME = "org.apache.spark.SparkRuntimeException"
    UNSUPPORTED = "org.apache.spark.SparkUnsupportedOperationException"
    UPGRADE = "org.apache.spark.SparkUpgradeException"
    CLASS_NOT_FOUND = "org.apache.spark.SparkClassNotFoundException"
    FILE_NOT_FOUND = "org.apache.spark.SparkFileNotFoundException"
    SECURITY = "org.apache.spark.SparkSecurityException"
    SQL = "org.apache.spark.SparkSQLException"
    STREAMING_QUERY = "org.apache.spark.sql.streaming.StreamingQueryException"
    PYTHON = "org.apache.spark.api.python.PythonException"
    SPARK = "org.apache.spark.SparkException"
    INVALID_PLAN = "org.apache.spark.sql.connect.common.InvalidPlanInput"


@dataclass(frozen=True, slots=True)
class QueryContext:
    """Where in the SQL text (or at which DataFrame call) a failure arose; positions are offsets."""

    fragment: str = ""
    start_index: int = -1
    stop_index: int = -1
    object_type: str = ""
    object_name: str = ""
    call_site: str = ""
    kind: str = "SQL"
    text: str = ""
    """The whole SQL text that the fragment stands in."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The fields of a Spark error."""

    condition: str
    message: str
    sqlstate: str
    kind: ErrorKind
    parameters: Mapping[str, str] = field(default_factory=dict)
    contexts: tuple[QueryContext, ...] = ()


class SparkError(Exception):
    """The one error of Voltray that a user sees; build it with :func:`spark_error`."""

    @property
    def failure(self) -> Failure:
        """The structured failure, read back from the text."""
        document, _ = json.JSONDecoder().raw_decode(str(self.args[0]))
        contexts = tuple(QueryContext(**c) for c in document.pop("contexts"))
        return Failure(**{**document, "kind": ErrorKind[document["kind"]], "contexts": contexts})

    @property
    def condition(self) -> str:
        """The error condition's name, such as ``DIVIDE_BY_ZERO``."""
        return self.failure.condition

    # No __str__ of its own: Polars re-creates a callback's exception from str(error), which must be the document.


@lru_cache(maxsize=1)
def conditions() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Every Spark error condition: name -> (SQLSTATE, names of its message parameters)."""
    text = resources.files("voltray.proto").joinpath("error_conditions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[1:] if line)
    return {r[0]: (r[1], tuple(p for p in (r[2] if len(r) > 2 else "").split(",") if p)) for r in rows}


@lru_cache(maxsize=1)
def _templates() -> Mapping[str, str]:
    text = resources.files("voltray.proto").joinpath("error_messages.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {row[0]: row[1] for row in rows}


_LEGACY = "_LEGACY_ERROR_TEMP_"
"""Conditions that Spark has not named yet: their messages show neither name nor SQLSTATE."""


class _Parameters(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _message(condition: str, sqlstate: str, parameters: Mapping[str, str]) -> str:
    templates = _templates()
    template = templates.get(condition) or templates.get(condition.partition(".")[0])
    if template is None:
        shown = "; ".join(f"{name}: {value}" for name, value in parameters.items())
        words = condition.strip("_").replace(".", ": ").replace("_", " ").lower().capitalize()
        body = f"{words}. {shown}" if shown else f"{words}."
    else:
        body = template.format_map(_Parameters(parameters))
    return f"[{condition}] {body} SQLSTATE: {sqlstate}" if sqlstate else body


def spark_error(
    condition: str,
    kind: ErrorKind = ErrorKind.ANALYSIS,
    *,
    contexts: tuple[QueryContext, ...] = (),
    sqlstate: str | None = None,
    message: str | None = None,
    extra: Mapping[str, object] | None = None,
    **parameters: object,
) -> SparkError:
    """Build the error of a Spark condition; its message comes from ``error_messages.tsv`` unless given.

    ``extra`` holds parameters whose names are taken here (``message``, ``condition``).
    """
    unnamed = "" if condition.startswith(_LEGACY) else "XX000"
    state = sqlstate or conditions().get(condition, (unnamed, ()))[0]
    shown = {name: str(value) for name, value in {**(extra or {}), **parameters}.items()}
    text = message if message is not None else _message(condition, state, shown)
    failure = Failure(condition, text, state, kind, shown, contexts)
    document: dict[str, Any] = {**asdict(failure), "kind": kind.name}
    return SparkError(json.dumps(document))
