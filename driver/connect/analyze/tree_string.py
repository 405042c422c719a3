"""``df.printSchema``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.analyze.plan import analyzed
from voltray.driver.plan.logical import schema_of

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

_EVERY_LEVEL = (1 << 31) - 1


def tree_string(
    session: Session, request: base_pb2.AnalyzePlanRequest.TreeString, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer with the schema as a tree, down to a level where one is given."""
    schema = schema_of(analyzed(session, request.plan))
    level = request.level if request.HasField("level") and request.level > 0 else _EVERY_LEVEL
    response.tree_string.tree_string = schema.treeString(level)
