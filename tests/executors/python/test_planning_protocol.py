"""What the driver's questions look like to the modules of pyspark that answer them."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import pytest
from pyspark.cloudpickle import dumps
from pyspark.serializers import UTF8Deserializer, read_int
from pyspark.sql.datasource import DataSource, DataSourceReader
from pyspark.sql.types import IntegerType, StructType
from pyspark.sql.udtf import AnalyzeArgument, AnalyzeResult

from voltray.executors.python.planning_protocol import PLANNING_MARK, PlanningTask, decoded
from voltray.proto.python_planning import AnalyzeArgument as Argument
from voltray.proto.python_planning import (
    AnalyzeTableFunction,
    CreateDataSource,
    PlanDataSourceRead,
    PlanningReply,
    PlanningRequest,
)

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def reply_to(request: PlanningRequest) -> PlanningReply:
    source = io.BytesIO(PlanningTask(request, VERSION).encoded())
    assert read_int(source) == PLANNING_MARK
    module = importlib.import_module(f"pyspark.sql.worker.{UTF8Deserializer().loads(source)}")
    written = io.BytesIO()
    module.main(source, written)
    assert not source.read()
    return PlanningReply.decoded(decoded(request, written.getvalue()).encoded())


class Function:
    @staticmethod
    def analyze(x: AnalyzeArgument, y: AnalyzeArgument) -> AnalyzeResult:
        return AnalyzeResult(StructType().add(f"{x.value} {y.isConstantExpression}", IntegerType()))


def test_analyze() -> None:
    int_type = IntegerType().json()
    arguments = (Argument(int_type, 3, is_constant=True), Argument(int_type, name="y"))
    reply = reply_to(AnalyzeTableFunction("f", dumps(Function), arguments))
    assert reply.fact("schema") == StructType().add("3 False", IntegerType()).json()
    assert (reply.fact("single"), reply.fact("partitions"), reply.fact("select")) == (False, (), ())


class Reader(DataSourceReader):
    def read(self, partition: Any) -> Any:
        yield (1,)


class Source(DataSource):
    def schema(self) -> str:
        return "a int"

    def reader(self, schema: StructType) -> Reader:
        return Reader()


@pytest.mark.parametrize("filters", [None, "[]"])
def test_data_sources(filters: str | None) -> None:
    made = reply_to(CreateDataSource(dumps(Source), "source", None, (("k", "v"),)))
    assert (made.fact("is_ddl"), made.fact("schema")) == (True, "a int")
    schema = StructType().add("a", IntegerType()).json()
    read = reply_to(PlanDataSourceRead(made.parts[0], schema, filters, 100))
    assert len(read.parts) == 2
    assert read.fact("supported") == ()
