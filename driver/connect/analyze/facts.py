"""Plain facts of a plan or of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.analyze.plan import analyzed
from voltray.driver.plan.logical import FileScan, LocalData, walk
from voltray.driver.plan.streaming import is_streaming as reads_stream

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

SPARK_VERSION = "4.1.1"


def spark_version(
    session: Session,
    request: base_pb2.AnalyzePlanRequest.SparkVersion,
    response: base_pb2.AnalyzePlanResponse,
) -> None:
    """Answer with the version of Spark whose answers Voltray gives."""
    response.spark_version.version = SPARK_VERSION


def is_local(
    session: Session, request: base_pb2.AnalyzePlanRequest.IsLocal, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer whether the rows are there without running anything."""
    plan = analyzed(session, request.plan)
    response.is_local.is_local = isinstance(plan, LocalData)


def is_streaming(
    session: Session, request: base_pb2.AnalyzePlanRequest.IsStreaming, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer whether the plan reads a stream."""
    response.is_streaming.is_streaming = reads_stream(analyzed(session, request.plan))


def input_files(
    session: Session, request: base_pb2.AnalyzePlanRequest.InputFiles, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer with the files that the plan reads."""
    plan = session.optimize(analyzed(session, request.plan))
    found: dict[str, None] = {}
    for node in walk(plan):
        if isinstance(node, FileScan):
            found.update((_uri(file.path), None) for file in node.files)
    response.input_files.files.extend(found)


def _uri(path: str) -> str:
    return path if "://" in path or path.startswith("file:") else f"file://{path}"
