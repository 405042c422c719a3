"""Users' Python data sources: registering them, and writing with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql.connect.proto import relations_pb2

from voltray.driver.analysis.relations.python_source import PythonDataSource, asked, path_options
from voltray.driver.catalog.write_planning import WriteRequest
from voltray.driver.connect.session import Work
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.executors.sources.catalogue import lookup_source
from voltray.proto.expressions import Attribute, PythonCall, new_id
from voltray.proto.failures import spark_error
from voltray.proto.python_planning import CommitDataSourceWrite, PlanDataSourceWrite
from voltray.proto.types import BinaryType, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

_MAP_ARROW = 207
_MODES = {"SAVE_MODE_APPEND": False, "SAVE_MODE_OVERWRITE": True}
_MODE_NAMES = {"SAVE_MODE_IGNORE": "Ignore"}


def register_data_source(
    session: Session, operation: Operation, command: relations_pb2.CommonInlineUserDefinedDataSource
) -> None:
    """Register a data source of the session."""
    if lookup_source(command.name) is not None:
        raise spark_error("DATA_SOURCE_ALREADY_EXISTS", provider=command.name)
    python = command.python_data_source
    session.register_data_source(PythonDataSource(command.name, python.command, python.python_ver))


def write_with_python(
    session: Session, operation: Operation, source: PythonDataSource, plan: LogicalPlan, request: WriteRequest
) -> None:
    """Write a plan's rows with a data source: a message from each task, then its commit, or its abort."""
    overwrite = _MODES.get(request.mode)
    if overwrite is None:
        mode = _MODE_NAMES.get(request.mode, "ErrorIfExists")
        raise spark_error("UNSUPPORTED_DATA_SOURCE_SAVE_MODE", source=source.name, createMode=f'"{mode}"')
    options = path_options(request.options, (request.path,) if request.path else ())
    wanted = PlanDataSourceWrite(source.command, source.name, schema_of(plan).json(), options, overwrite)
    command, writer = asked(wanted, source.python_version, session, "initialize", "writer").parts
    dtype = StructType([StructField("message", BinaryType(), True)])
    call = PythonCall("write", (), dtype, _MAP_ARROW, command, source.python_version)
    message = Attribute(new_id(), "message", BinaryType(), True)
    rows = logical.MapInPython(plan, call, plan.output, (message,))

    def end(messages: tuple[bytes | None, ...], *, abort: bool) -> None:
        last = CommitDataSourceWrite(writer, messages, abort)
        asked(last, source.python_version, session, "commit or abort", "write")

    try:
        messages = _messages(session, operation, rows)
    except Exception:
        end((None,), abort=True)
        raise
    end(messages, abort=False)


def _messages(session: Session, operation: Operation, rows: LogicalPlan) -> tuple[bytes | None, ...]:
    scheduler: Any = session.backend.scheduler
    optimized = session.optimize(rows, operation)
    operation.check_canceled()
    operation.follow(Work(scheduler, operation.work_id))
    table = scheduler.collect(optimized, session.evaluation_context(), operation_id=operation.work_id)
    operation.check_canceled()
    return tuple(table.column(0).to_pylist())
