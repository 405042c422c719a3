"""``df.schema``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.analyze.plan import analyzed
from voltray.driver.connect.messages.types import data_type_to_message
from voltray.driver.plan.logical import schema_of

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session


def schema(
    session: Session, request: base_pb2.AnalyzePlanRequest.Schema, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer with the plan's schema."""
    plan = analyzed(session, request.plan)
    response.schema.schema.CopyFrom(data_type_to_message(schema_of(plan)))
