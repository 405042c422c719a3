"""``python_worker_logs()``: what the session's Python functions have logged."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.plan.relations import LocalRelation

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.plan.relations import TableFunction

NAME = "python_worker_logs"
ENABLED = "spark.sql.pyspark.worker.logging.enabled"
_FRAME = pa.struct([pa.field(n, pa.utf8()) for n in ("class", "method", "file", "line")])
_EXCEPTION = pa.struct(
    [pa.field("class", pa.utf8()), pa.field("msg", pa.utf8()), pa.field("stacktrace", pa.list_(_FRAME))]
)
_SCHEMA = pa.schema(
    [
        pa.field("ts", pa.timestamp("us", "UTC")),
        pa.field("level", pa.utf8()),
        pa.field("msg", pa.utf8()),
        pa.field("context", pa.map_(pa.utf8(), pa.utf8())),
        pa.field("exception", _EXCEPTION),
        pa.field("logger", pa.utf8()),
    ]
)
_DDL = (
    "ts timestamp, level string, msg string, context map<string, string>, "
    "exception struct<class: string, msg: string, stacktrace: "
    "array<struct<class: string, method: string, file: string, line: string>>>, logger string"
)


def logs_relation(call: TableFunction, environment: Environment) -> LocalRelation:
    """The session's log records as rows."""
    if environment.conf(ENABLED).lower() != "true":
        raise analysis_error(
            "FEATURE_NOT_ENABLED", call.origin, featureName="Python Worker Logging", configKey=ENABLED,
            configValue="true",
        )  # fmt: skip
    if call.args:
        raise analysis_error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", call.origin, functionName=f"`{NAME}`", expectedNum="0",
            actualNum=len(call.args), docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    table = pa.Table.from_pylist([_row(json.loads(record)) for record in environment.python_logs()], _SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return LocalRelation((sink.getvalue().to_pybytes(),), _DDL)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    exception = record.get("exception")
    if exception is not None:
        frames = [{k: _text(f.get(k)) for k in ("class", "method", "file", "line")} for f in exception["stacktrace"]]
        exception = {"class": exception.get("class"), "msg": exception.get("msg"), "stacktrace": frames}
    context = [(k, _text(v)) for k, v in (record.get("context") or {}).items()]
    return {
        "ts": datetime.strptime(record["ts"], "%Y-%m-%d %H:%M:%S.%f%z"),
        "level": record.get("level"),
        "msg": record.get("msg"),
        "context": context,
        "exception": exception,
        "logger": record.get("logger"),
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
