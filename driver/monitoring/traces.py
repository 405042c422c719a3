"""OpenTelemetry traces: an operation's span below its client's, its stages' below that, their tasks' below those.

Nothing of OpenTelemetry is loaded unless an endpoint is set. Executors report when their tasks began and ended, and the
driver makes the spans: executors need no exporter, and a query that is not traced pays nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import voltray
from voltray.driver.monitoring.operations import OperationNotes
from voltray.driver.monitoring.stages import StageNotes, TaskNote
from voltray.driver.settings import SettingError
from voltray.proto.status import FAILED

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

logger = logging.getLogger("voltray.traces")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LONGEST_STATEMENT = 4000
STOP_SECONDS = 5.0
_INSTALL = "install voltray[otel], which brings OpenTelemetry"


class Traces:
    """Makes spans of what is noted, and sends them in batches from a thread of OpenTelemetry's own."""

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        name = os.environ.get("OTEL_SERVICE_NAME") or "voltray"
        resource = Resource.create({"service.name": name, "service.version": voltray.__version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("voltray", voltray.__version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, notes: OperationNotes) -> None:
        """Begin an operation's span, below the client's where it named one."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        carrier = {} if notes.traceparent is None else {"traceparent": notes.traceparent}
        notes.span = self._tracer.start_span(
            "operation",
            # An empty context: no span of whatever this thread did before.
            self._propagator.extract(carrier, Context()),
            kind=SpanKind.SERVER,
            attributes={
                "voltray.operation": notes.operation_id,
                "voltray.session": notes.session_id,
                "enduser.id": notes.user,
                "voltray.tags": notes.tags,
            },
            start_time=_nanoseconds(notes.began),
        )

    def end(self, notes: OperationNotes) -> None:
        """End an operation's span, with those of its stages and tasks."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        span: Any = notes.span
        if span is None:
            return
        notes.span = None
        ended = _nanoseconds(notes.ended or notes.began)
        if span.is_recording():
            span.set_attribute("voltray.state", notes.state)
            span.set_attribute("db.query.text", notes.statement.text[:LONGEST_STATEMENT])
            span.set_attribute("voltray.rows", notes.rows)
            span.set_attribute("voltray.bytes", notes.bytes)
            if notes.state == FAILED:
                span.set_attribute("error.type", notes.condition or "")
                span.set_status(Status(StatusCode.ERROR, notes.condition))
            context = set_span_in_context(span)
            for query in notes.queries:
                for stage in query.stages:
                    self._stage(stage, context, notes.ended or notes.began)
        span.end(ended)

    def stop(self) -> None:
        """Send what is left, unless the collector is away."""
        sending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        sending.start()
        sending.join(STOP_SECONDS)

    def _stage(self, stage: StageNotes, parent: Context, ended: float) -> None:
        from opentelemetry.trace import set_span_in_context

        status = stage.status()
        span: Span = self._tracer.start_span(
            f"stage {stage.stage_id}",
            parent,
            attributes={
                "voltray.stage": stage.stage_id,
                "voltray.stage.kind": stage.kind,
                "voltray.tasks": stage.tasks,
                "voltray.rows": status.rows,
                "voltray.bytes": status.bytes,
                "voltray.spilled_bytes": stage.spilled_bytes,
                "voltray.tasks_lost": stage.lost,
            },
            start_time=_nanoseconds(stage.began),
        )
        context = set_span_in_context(span)
        for task in stage.traced:
            self._task(task, stage, context)
        stage.traced.clear()
        span.end(_nanoseconds(stage.ended or ended))

    def _task(self, task: TaskNote, stage: StageNotes, parent: Context) -> None:
        began = task.began or stage.began
        span = self._tracer.start_span(
            f"task {stage.stage_id}.{task.index}",
            parent,
            attributes={"voltray.task": task.index, "voltray.executor": task.executor, "voltray.rows": task.rows},
            start_time=_nanoseconds(began),
        )
        span.end(_nanoseconds(began + task.seconds))


def _nanoseconds(moment: float) -> int:
    return int(moment * 1_000_000_000)


def traces_of(endpoint: str) -> Traces | None:
    """The traces that a setting or OpenTelemetry's own environment asks for.

    Raises SettingError where the setting asks for them and OpenTelemetry is not installed.
    """
    if not endpoint and not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        # Without an endpoint it reads the environment itself.
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces") if endpoint else OTLPSpanExporter()
        return Traces(exporter)
    except ImportError:
        if endpoint:
            raise SettingError(f"otel_endpoint: {_INSTALL}") from None
        logger.warning("the environment asks for traces, and there are none: %s", _INSTALL)
        return None
