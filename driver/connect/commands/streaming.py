"""Streaming: ``df.writeStream``, what a query is asked, ``spark.streams``, and the bus of its listeners."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from pyspark.sql.connect.proto import base_pb2, commands_pb2

from voltray.driver.connect.errors import unsupported_operation
from voltray.driver.plan.text import plan_text
from voltray.driver.streaming.batch import without_counts
from voltray.driver.streaming.query import IDLE, PROGRESS, TERMINATED, exception_text
from voltray.driver.streaming.triggers import Trigger, processing_time
from voltray.driver.streaming.writing import StreamWriteRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session
    from voltray.driver.streaming.query import StreamingQuery

Response = base_pb2.ExecutePlanResponse
Result = commands_pb2.StreamingQueryCommandResult
ManagerResult = commands_pb2.StreamingQueryManagerCommandResult
_EVENTS = {
    PROGRESS: commands_pb2.QUERY_PROGRESS_EVENT,
    TERMINATED: commands_pb2.QUERY_TERMINATED_EVENT,
    IDLE: commands_pb2.QUERY_IDLE_EVENT,
}


# ---- writeStream -----------------------------------------------------------------------------------------
def start_stream(session: Session, operation: Operation, command: commands_pb2.WriteStreamOperationStart) -> None:
    """Start a query and answer with its ids."""
    query = session.streams.start(_request(command), session.analyze_message(command.input))
    response = Response()
    result = response.write_stream_operation_start_result
    result.query_id.id, result.query_id.run_id = query.identity.query_id, query.identity.run_id
    result.name = query.identity.name or ""
    result.query_started_event_json = query.started_json()
    operation.respond(response)


def _request(command: commands_pb2.WriteStreamOperationStart) -> StreamWriteRequest:
    kind, function = "", b""
    for field, name in (("foreach_batch", "batch"), ("foreach_writer", "rows")):
        if command.HasField(field):  # type: ignore[arg-type]
            made = getattr(command, field)
            if made.WhichOneof("function") != "python_function":
                raise unsupported_operation(f"{field} in Scala: there is no JVM")
            kind, function = name, made.python_function.command
    return StreamWriteRequest(
        format=command.format,
        mode=command.output_mode,
        name=command.query_name or None,
        path=command.path or None,
        table=command.table_name or None,
        options=tuple(sorted(command.options.items())),
        partition_columns=tuple(command.partitioning_column_names),
        trigger=_trigger(command),
        function_kind=kind,
        function=function,
    )


def _trigger(command: commands_pb2.WriteStreamOperationStart) -> Trigger:
    match command.WhichOneof("trigger"):
        case "processing_time_interval":
            return processing_time(command.processing_time_interval)
        case "available_now":
            return Trigger("available_now")
        case "once":
            return Trigger("once")
        case "continuous_checkpoint_interval":
            raise unsupported_operation("continuous processing: streams run in micro-batches")
    return Trigger()


# ---- a query ---------------------------------------------------------------------------------------------
def ask_query(session: Session, operation: Operation, command: commands_pb2.StreamingQueryCommand) -> None:
    """Answer a question to a query, or do what it is told."""
    query = session.streams.of_run(command.query_id.id, command.query_id.run_id)
    response = Response()
    result = response.streaming_query_command_result
    result.SetInParent()
    result.query_id.CopyFrom(command.query_id)
    kind = str(command.WhichOneof("command"))
    handler = _QUERY.get(kind)
    if handler is None:
        raise unsupported_operation(f"the streaming query command {kind}")
    handler(query, command, result, operation)
    operation.respond(response)


def _is_wanted(operation: Operation) -> Callable[[], bool]:
    def is_wanted() -> bool:
        operation.check_canceled()
        return True

    return is_wanted


def _status(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    status = query.status
    result.status.status_message = status.message
    result.status.is_data_available = status.is_data_available
    result.status.is_trigger_active = status.is_trigger_active
    result.status.is_active = query.is_active


def _last_progress(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    result.recent_progress.recent_progress_json.extend(list(query.progress)[-1:])


def _recent_progress(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    result.recent_progress.recent_progress_json.extend(list(query.progress))


def _stop(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    query.stop()


def _process_all(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    query.process_all_available(_is_wanted(operation))


def _explain(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    execution = query.execution
    plan = None if execution is None else execution.last_plan
    if execution is None or plan is None:
        result.explain.result = "No physical plan. Waiting for data."
        return
    session = execution.session
    plan = without_counts(plan)
    optimized = session.optimize(plan)
    physical = session.scheduler.explain(optimized, session.evaluation_context())
    shown = f"== Physical Plan ==\n{physical.rstrip()}\n"
    if command.explain.extended:
        analyzed = f"== Parsed Logical Plan ==\n{plan_text(plan)}\n\n== Analyzed Logical Plan ==\n{plan_text(plan)}\n\n"
        shown = f"{analyzed}== Optimized Logical Plan ==\n{plan_text(optimized)}\n\n{shown}"
    result.explain.result = shown


def _exception(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    failure = query.failure
    result.exception.SetInParent()
    if failure is not None:
        result.exception.exception_message = exception_text(failure)
        result.exception.error_class = failure.condition


def _await(query: StreamingQuery, command: Any, result: Result, operation: Operation) -> None:
    wait = command.await_termination
    seconds = wait.timeout_ms / 1000 if wait.HasField("timeout_ms") else None
    result.await_termination.terminated = query.await_termination(seconds, _is_wanted(operation))


_QUERY: dict[str, Callable[[StreamingQuery, Any, Result, Operation], None]] = {
    "status": _status,
    "last_progress": _last_progress,
    "recent_progress": _recent_progress,
    "stop": _stop,
    "process_all_available": _process_all,
    "explain": _explain,
    "exception": _exception,
    "await_termination": _await,
}


# ---- spark.streams ---------------------------------------------------------------------------------------
def ask_manager(session: Session, operation: Operation, command: commands_pb2.StreamingQueryManagerCommand) -> None:
    """Answer for all queries of the session."""
    streams = session.streams
    response = Response()
    result = response.streaming_query_manager_command_result
    result.SetInParent()
    match command.WhichOneof("command"):
        case "active":
            result.active.SetInParent()
            for query in streams.active():
                _name(result.active.active_queries.add(), query)
        case "get_query":
            found = streams.get(command.get_query)
            if found is not None:
                _name(result.query, found)
        case "await_any_termination":
            wait = command.await_any_termination
            seconds = wait.timeout_ms / 1000 if wait.HasField("timeout_ms") else None
            result.await_any_termination.terminated = streams.await_any(seconds, _is_wanted(operation))
        case "reset_terminated":
            streams.reset_terminated()
            result.reset_terminated = True
        case kind:
            raise unsupported_operation(f"the streaming command {kind}: listeners run in the client")
    operation.respond(response)


def _name(instance: Any, query: StreamingQuery) -> None:
    instance.id.id, instance.id.run_id = query.identity.query_id, query.identity.run_id
    if query.identity.name:
        instance.name = query.identity.name


# ---- listeners -------------------------------------------------------------------------------------------
def serve_listeners(
    session: Session, operation: Operation, command: commands_pb2.StreamingQueryListenerBusCommand
) -> None:
    """Send the session's events to its client until the client wants no more."""
    if command.WhichOneof("command") == "remove_listener_bus_listener":
        session.streams.remove_listeners()
        return
    events = session.streams.add_listener()
    added = Response()
    added.streaming_query_listener_events_result.listener_bus_listener_added = True
    operation.respond(added)
    while True:
        operation.check_canceled()
        try:
            event = events.get(timeout=0.5)
        except queue.Empty:
            continue
        if event is None:
            return
        kind, text = event
        response = Response()
        response.streaming_query_listener_events_result.events.add(event_json=text, event_type=_EVENTS[kind])
        operation.respond(response)
