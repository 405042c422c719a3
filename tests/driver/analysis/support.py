"""A session small enough for analysis alone, and DataFrames of a client that reaches no server."""

from __future__ import annotations

import atexit
import json
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.plan import SQL
from pyspark.sql.connect.session import SparkSession

from voltray.driver.analysis.analyzer import analyze
from voltray.driver.connect.messages.relations import relation_from_message
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.driver.plan.relations import CachedLocalRelation, LocalRelation, NamedTable, Relation
from voltray.driver.sql.parser import parse_expression, parse_query
from voltray.driver.sql.schema import parse_schema
from voltray.proto.expressions import Expression
from voltray.proto.failures import SparkError
from voltray.proto.types import DataType, StructType

RECORDED = Path(__file__).with_name("recorded.json")


class PlainEnvironment:
    """An environment without tables."""

    user = "somebody"
    time_zone = "UTC"
    case_sensitive = False
    catalog: Any = None
    variables: Mapping[str, Any] = {}

    def __init__(self, ansi: bool = True, views: Mapping[str, LogicalPlan] | None = None) -> None:
        self.ansi = ansi
        self.views = dict(views or {})

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

    def python_logs(self) -> tuple[str, ...]:
        return ()

    def stored_function(self, name: tuple[str, ...]) -> Any | None:
        return None

    def data_source(self, name: str) -> Any | None:
        return None

    def collect(self, plan: LogicalPlan) -> pa.Table:
        raise NotImplementedError

    def parse_expression(self, text: str) -> Expression:
        return parse_expression(text)

    def parse_query(self, text: str) -> Relation:
        return parse_query(text)

    def parse_schema(self, text: str) -> DataType:
        return parse_schema(text)


def offline_session() -> SparkSession:
    """A client that builds plans and has no server."""
    session = SparkSession("sc://localhost:1")
    atexit.unregister(session.client._cleanup_ml_cache)  # would wait for a server at the end
    return session


def sql(session: SparkSession, text: str) -> DataFrame:
    """A query's DataFrame, not run eagerly as ``session.sql`` does."""
    return DataFrame(SQL(text), session)


def relation(frame: DataFrame) -> Relation:
    """The relation that a client would send."""
    return relation_from_message(frame._plan.plan(frame._session.client))


def analyzed(frame: DataFrame, environment: Any | None = None) -> LogicalPlan:
    """A DataFrame analysed here instead of on its server."""
    return analyze(relation(frame), environment or PlainEnvironment())


def schema(frame: DataFrame, environment: Any | None = None) -> StructType:
    """A DataFrame's schema as this analyzer sees it."""
    return schema_of(analyzed(frame, environment))


def described(schema: StructType) -> list[list[Any]]:
    """A schema as it is recorded: names, types, nullability."""
    return [[f.name, f.dataType.jsonValue(), f.nullable] for f in schema.fields]


def outcome(frame: Callable[[], DataFrame], environment: Any | None = None) -> Any:
    """A schema, or the condition and parameters of the error."""
    try:
        return described(schema(frame(), environment))
    except SparkError as error:
        return {"condition": error.failure.condition, "parameters": dict(sorted(error.failure.parameters.items()))}


def recorded() -> dict[str, Any]:
    """Answers of Spark 4.1.1 to the cases of this folder, by name."""
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def deeply(function: Callable[[], Any]) -> Any:
    """Run with the large stack and recursion limit that the server's threads have."""
    result: list[Any] = []
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    sys.setrecursionlimit(1_000_000)
    threading.stack_size(512 << 20)
    try:
        thread = threading.Thread(target=lambda: result.append(function()))
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    return result[0]
