"""A session small enough for analysis alone, and DataFrames of a client that reaches no server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.proto import relations_pb2

from voltray.driver.analysis.analyzer import analyze
from voltray.driver.connect.messages.relations import relation_from_message
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.driver.plan.relations import CachedLocalRelation, LocalRelation, NamedTable, Relation
from voltray.proto.expressions import Expression
from voltray.proto.types import DataType, StructType


class PlainEnvironment:
    """An environment without tables, whose SQL is the product's own."""

    user = "somebody"
    time_zone = "UTC"
    ansi = True
    case_sensitive = False
    catalog: Any = None

    def __init__(self, ansi: bool = True, views: Mapping[str, LogicalPlan] | None = None) -> None:
        self.ansi = ansi
        self.views = dict(views or {})
        self.variables: Mapping[str, Any] = {}

    def conf(self, key: str) -> str:
        return {"spark.sql.pivotMaxValues": "10000"}.get(key, "")

    def local_chunks(self, relation: CachedLocalRelation) -> LocalRelation:
        raise KeyError(relation)

    def remote_relation(self, relation_id: str) -> LogicalPlan:
        return self.views[relation_id]

    def resolve_table(self, table: NamedTable) -> LogicalPlan | Relation:
        return self.views[table.parts[-1]]

    def user_function(self, name: tuple[str, ...]) -> Any | None:
        return None

    def collect(self, plan: LogicalPlan) -> pa.Table:
        raise NotImplementedError

    def parse_expression(self, text: str) -> Expression:
        from voltray.driver.sql.parser import parse_expression

        return parse_expression(text)

    def parse_query(self, text: str) -> Relation:
        from voltray.driver.sql.parser import parse_query

        return parse_query(text)

    def parse_schema(self, text: str) -> DataType:
        from voltray.driver.sql.schema import parse_schema

        return parse_schema(text)


class _Client:
    """What a DataFrame asks of its session's client while it only builds plans."""

    def __init__(self) -> None:
        self._client_id = "test"


class Session:
    """Enough of a Connect session to build DataFrames without a server."""

    def __init__(self) -> None:
        self.client = self
        self._session_id = "test"
        self._user_id = "test"
        self._plan_compression_threshold = -1


def plan_message(frame: DataFrame) -> relations_pb2.Relation:
    """The relation message that a client would send."""
    from pyspark.sql.connect.client import SparkConnectClient  # noqa: F401

    return frame._plan.plan(frame._session.client)


def analyzed(frame: DataFrame, environment: Any | None = None) -> LogicalPlan:
    """A DataFrame analysed here instead of on its server."""
    return analyze(relation_from_message(frame._plan.plan(frame._session.client)), environment or PlainEnvironment())


def schema(frame: DataFrame, environment: Any | None = None) -> StructType:
    """A DataFrame's schema as this analyzer sees it."""
    return schema_of(analyzed(frame, environment))


def deeply(function: Callable[[], Any]) -> Any:
    """Run with the large stack and recursion limit that the server's threads have."""
    import sys

    result: list[Any] = []
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    sys.setrecursionlimit(1_000_000)
    threading.stack_size(512 * 1024 * 1024)
    try:
        thread = threading.Thread(target=lambda: result.append(function()))
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    return result[0]
