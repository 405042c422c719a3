"""Kinds of AnalyzePlan: one file each, found by the name of the oneof field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.analyze.caching import get_storage_level, persist, unpersist
from voltray.driver.connect.analyze.ddl import ddl_parse, json_to_ddl
from voltray.driver.connect.analyze.explain import explain
from voltray.driver.connect.analyze.facts import input_files, is_local, is_streaming, spark_version
from voltray.driver.connect.analyze.schema import schema
from voltray.driver.connect.analyze.semantics import same_semantics, semantic_hash
from voltray.driver.connect.analyze.tree_string import tree_string
from voltray.driver.connect.errors import invalid_plan

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

Handler = Callable[["Session", Any, base_pb2.AnalyzePlanResponse], None]

KINDS: dict[str, Handler] = {
    "schema": schema,
    "explain": explain,
    "tree_string": tree_string,
    "is_local": is_local,
    "is_streaming": is_streaming,
    "input_files": input_files,
    "spark_version": spark_version,
    "ddl_parse": ddl_parse,
    "same_semantics": same_semantics,
    "semantic_hash": semantic_hash,
    "persist": persist,
    "unpersist": unpersist,
    "get_storage_level": get_storage_level,
    "json_to_ddl": json_to_ddl,
}


def answer_analysis(
    session: Session, request: base_pb2.AnalyzePlanRequest, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer a request of any kind."""
    kind = request.WhichOneof("analyze")
    handler = KINDS.get(str(kind))
    if handler is None:
        raise invalid_plan(f"Unknown Analyze Method {kind or 'ANALYZE_NOT_SET'}!")
    handler(session, getattr(request, str(kind)), response)
