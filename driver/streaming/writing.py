"""``df.writeStream``: a request checked, its sink found, and the execution that will run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voltray.driver.catalog.file_relation import find_source
from voltray.driver.catalog.write_planning import WriteRequest, check_columns
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.driver.plan.streaming import is_streaming
from voltray.driver.streaming.checkpoint import Checkpoint
from voltray.driver.streaming.execution import Execution
from voltray.driver.streaming.foreach import PythonProcess
from voltray.driver.streaming.progress import Identity
from voltray.driver.streaming.sinks import ConsoleSink, FileSink, MemorySink, NoopSink, PythonSink, Sink
from voltray.driver.streaming.support import check_supported, output_mode
from voltray.driver.streaming.triggers import Trigger
from voltray.executors.sources.base import Options
from voltray.executors.sources.listing import local_path
from voltray.proto.failures import ErrorKind, spark_error

if TYPE_CHECKING:
    from voltray.driver.streaming.environment import StreamingSession

CHECKPOINT_CONF = "spark.sql.streaming.checkpointLocation"
_WITHOUT_CHECKPOINT = ("memory", "console", "noop", "foreach", "foreachbatch")


@dataclass(frozen=True, slots=True)
class StreamWriteRequest:
    """A ``df.writeStream`` as the client sends it; ``function`` is what the client pickled, never opened here."""

    format: str = ""
    mode: str = ""
    name: str | None = None
    path: str | None = None
    table: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    partition_columns: tuple[str, ...] = ()
    trigger: Trigger = field(default_factory=Trigger)
    function_kind: str = ""
    """batch or rows, where a Python function takes the rows."""
    function: bytes = b""


@dataclass(frozen=True, slots=True)
class PlannedStream:
    """A stream ready to start: its checkpoint is open; the sink opens on the query's own thread."""

    plan: LogicalPlan
    mode: str
    checkpoint: Checkpoint
    open_sink: Callable[[str], Sink]

    def execution(self, session: StreamingSession, identity: Identity, operation_id: str) -> Execution:
        """The execution, with its sink open."""
        sink = self.open_sink(identity.query_id)
        return Execution(session, self.plan, self.mode, sink, self.checkpoint, identity, operation_id)


def plan_stream(request: StreamWriteRequest, plan: LogicalPlan, session: StreamingSession) -> PlannedStream:
    """Check all that Spark checks before a query starts."""
    if not is_streaming(plan):
        raise spark_error("WRITE_STREAM_NOT_ALLOWED")
    mode = output_mode(request.mode)
    kind = _sink_kind(request, session)
    if kind == "memory" and not request.name:
        raise spark_error("_LEGACY_ERROR_TEMP_1194", sqlstate="",
                          message="queryName must be specified for memory sink.")  # fmt: skip
    open_sink = _sink_opener(kind, request, plan, mode, session)
    location = Options(request.options).get("checkpointLocation")
    if location is None and (default := _conf_or_none(session, CHECKPOINT_CONF)):
        location = f"{default.rstrip('/')}/{request.name or 'query'}"
    if location is None and kind not in _WITHOUT_CHECKPOINT:
        raise spark_error(
            "_LEGACY_ERROR_TEMP_1298",
            sqlstate="",
            message='checkpointLocation must be specified either through option("checkpointLocation", ...) or '
            f'SparkSession.conf.set("{CHECKPOINT_CONF}", ...).',
            config=CHECKPOINT_CONF,
        )
    check_supported(plan, mode)
    if location is not None:
        session.catalog.access.check_write(location)
    checkpoint = Checkpoint.open(None if location is None else local_path(location))
    return PlannedStream(plan, mode, checkpoint, open_sink)


def _conf_or_none(session: StreamingSession, key: str) -> str | None:
    try:
        return session.conf(key) or None
    except Exception:  # noqa: BLE001 - a conf without a default is not set
        return None


def _sink_kind(request: StreamWriteRequest, session: StreamingSession) -> str:
    if request.function_kind:
        return "foreachbatch" if request.function_kind == "batch" else "foreach"
    if request.table:
        return "table"
    return (request.format or session.conf("spark.sql.sources.default")).lower()


def _sink_opener(
    kind: str, request: StreamWriteRequest, plan: LogicalPlan, mode: str, session: StreamingSession
) -> Callable[[str], Sink]:
    options = Options(request.options)
    schema = schema_of(plan)
    match kind:
        case "noop":
            return lambda query_id: NoopSink()
        case "console":
            truncate = 20 if options.flag("truncate", True) else 0
            rows = int(options.get("numRows") or 20)
            return lambda query_id: ConsoleSink(rows, truncate)
        case "memory":
            name = request.name or ""
            return lambda query_id: MemorySink(session, name, schema, mode == "complete")
        case "foreach" | "foreachbatch":
            title = "ForeachBatchSink" if kind == "foreachbatch" else "ForeachWriterTable"
            url, function, what = session.connect_url, request.function, request.function_kind
            return lambda query_id: PythonSink(PythonProcess.start(what, function, url), title)
        case "table":
            return _table_opener(request, plan, mode, session)
    return _file_opener(kind, request, plan, mode, session)


def _file_opener(
    kind: str, request: StreamWriteRequest, plan: LogicalPlan, mode: str, session: StreamingSession
) -> Callable[[str], Sink]:
    source = find_source(kind)
    if source.writer is None:
        message = f"Data source {kind} does not support streamed writing"
        raise spark_error("_LEGACY_ERROR_TEMP_2046", ErrorKind.UNSUPPORTED, sqlstate="", message=message)
    path = request.path or Options(request.options).get("path")
    if path is None:
        raise spark_error("_LEGACY_ERROR_TEMP_2047", ErrorKind.ILLEGAL_ARGUMENT, sqlstate="",
                          message="'path' is not specified.")  # fmt: skip
    if mode != "append":
        raise spark_error("STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE", outputMode=mode, className=kind)
    write = WriteRequest(
        format=kind, mode="append", path=path, partition_columns=request.partition_columns, options=_kept(request)
    )
    check_columns(source, schema_of(plan), write, session)
    session.catalog.access.check_write(path)
    location = local_path(path)
    return lambda query_id: FileSink(session, query_id, write, location, f"FileSink[file:{location}]")


def _kept(request: StreamWriteRequest) -> tuple[tuple[str, str], ...]:
    gone = ("checkpointlocation", "path", "queryname")
    return tuple([(k, v) for k, v in request.options if k.lower() not in gone])


def _table_opener(
    request: StreamWriteRequest, plan: LogicalPlan, mode: str, session: StreamingSession
) -> Callable[[str], Sink]:
    parts = split_identifier(request.table or "")
    table = session.catalog.table(parts)
    if table is not None and table.is_view:
        message = f"Streaming into views {request.table} is not supported."
        raise spark_error("_LEGACY_ERROR_TEMP_1321", sqlstate="", message=message, viewName=request.table)
    if mode != "append":
        provider = table.provider if table is not None else request.format or session.conf("spark.sql.sources.default")
        raise spark_error("STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE", outputMode=mode, className=provider)
    write = WriteRequest(
        format=request.format or None,
        mode="append",
        table=parts,
        path=request.path,
        method="save_as_table",
        partition_columns=request.partition_columns,
        options=_kept(request),
    )
    if table is None:
        _create_table(write, plan, session)
        table = session.catalog.table(parts)
        assert table is not None
        write = WriteRequest(mode="append", table=parts, method="save_as_table", options=_kept(request))
    location = table.location
    return lambda query_id: FileSink(session, query_id, write, location, f"FileSink[file:{location}]")


def _create_table(write: WriteRequest, plan: LogicalPlan, session: StreamingSession) -> None:
    """Make the table that the stream is to fill."""
    from voltray.driver.analysis.local_data import empty_data
    from voltray.driver.catalog.write_planning import plan_write

    planned = plan_write(write, empty_data(schema_of(plan)), session)
    assert planned.specification is not None
    reports = session.scheduler.write(
        session.optimize(planned.plan), session.evaluation_context(), planned.specification, operation_id="stream"
    )
    planned.commit(reports)
